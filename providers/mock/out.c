/*
 * The growing text of out.h.
 */
#include "out.h"

#include <stdarg.h>
#include <stdio.h>

void mock_out_init(struct mock_out *out, struct ccp_exchange *x)
{
    *out = (struct mock_out){.x = x};
}

void mock_out_reset(struct mock_out *out)
{
    out->n = 0;
}

struct ccp_span mock_out_span(const struct mock_out *out)
{
    return ccp_span_of(out->p, out->n);
}

/* Room for `more` bytes. The arena frees nothing before its end, so growth doubles to waste at most as much again. */
static bool reserve(struct mock_out *out, size_t more)
{
    size_t capacity = out->capacity != 0 ? out->capacity : 1024;
    char *p;
    if (out->failed || more > SIZE_MAX / 4 - out->n) {
        out->failed = true;
        return false;
    }
    if (out->n + more <= out->capacity)
        return true;
    while (capacity < out->n + more)
        capacity *= 2;
    if ((p = out->x->api->alloc(out->x, capacity)) == NULL) {
        out->failed = true;
        return false;
    }
    if (out->n != 0)
        memcpy(p, out->p, out->n);
    out->p = p;
    out->capacity = capacity;
    return true;
}

void mock_put(struct mock_out *out, struct ccp_span text)
{
    if (text.n == 0 || !reserve(out, text.n))
        return;
    memcpy(out->p + out->n, text.p, text.n);
    out->n += text.n;
}

void mock_putz(struct mock_out *out, const char *text)
{
    mock_put(out, ccp_span_z(text));
}

void mock_putf(struct mock_out *out, const char *format, ...)
{
    va_list ap;
    int n;
    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0 || !reserve(out, (size_t)n + 1)) {
        out->failed = true;
        return;
    }
    va_start(ap, format);
    vsnprintf(out->p + out->n, (size_t)n + 1, format, ap);
    va_end(ap);
    out->n += (size_t)n;
}

static void put_escaped(struct mock_out *out, unsigned char c)
{
    switch (c) {
    case '"':
        mock_putz(out, "\\\"");
        break;
    case '\\':
        mock_putz(out, "\\\\");
        break;
    case '\n':
        mock_putz(out, "\\n");
        break;
    case '\r':
        mock_putz(out, "\\r");
        break;
    case '\t':
        mock_putz(out, "\\t");
        break;
    default:
        mock_putf(out, "\\u%04x", (unsigned)c);
    }
}

void mock_escape(struct mock_out *out, struct ccp_span text)
{
    size_t plain = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        mock_put(out, ccp_span_of(text.p + plain, i - plain));
        put_escaped(out, c);
        plain = i + 1;
    }
    mock_put(out, ccp_span_of(text.p + plain, text.n - plain));
}

void mock_quote(struct mock_out *out, struct ccp_span text)
{
    mock_putz(out, "\"");
    mock_escape(out, text);
    mock_putz(out, "\"");
}

void mock_compact(struct mock_out *out, struct ccp_span json)
{
    size_t start = 0;
    bool quoted = false;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
            mock_put(out, ccp_span_of(json.p + start, i - start));
            start = i + 1;
        }
    }
    mock_put(out, ccp_span_skip(json, start));
}

void mock_base64(struct mock_out *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)bytes[i] << 16;
        if (have > 1)
            v |= (uint32_t)bytes[i + 1] << 8;
        if (have > 2)
            v |= bytes[i + 2];
        char quad[4] = {digits[v >> 18], digits[v >> 12 & 63], have > 1 ? digits[v >> 6 & 63] : '=',
                        have > 2 ? digits[v & 63] : '='};
        mock_put(out, ccp_span_of(quad, sizeof(quad)));
    }
}
