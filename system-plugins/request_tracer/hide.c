/*
 * Heads without credentials.
 *
 * A credential is known by its place: a header or a parameter whose name says so. Where the name says nothing, a value
 * that looks like a vendor's key is hidden, too. ccproxy's own secrets are not these functions' business: the core
 * overwrites them wherever they stand (ccp_api.redact).
 */
#include "request_tracer_impl.h"

#define HIDDEN CCP_SPAN("[redacted]")

static bool word_byte(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '-';
}

/* With what the keys and tokens of vendors begin. */
static bool looks_here(struct ccp_span s)
{
    static const struct ccp_span begins[] = {
        CCP_LIT("sk-"),     CCP_LIT("sk_"),         CCP_LIT("rk_"),  CCP_LIT("eyJ"),    CCP_LIT("AIza"),
        CCP_LIT("ya29."),   CCP_LIT("ghp_"),        CCP_LIT("gho_"), CCP_LIT("ghu_"),   CCP_LIT("ghs_"),
        CCP_LIT("ghr_"),    CCP_LIT("github_pat_"), CCP_LIT("xox"),  CCP_LIT("glpat-"), CCP_LIT("AKIA"),
        CCP_LIT("ASIA"),    CCP_LIT("hf_"),         CCP_LIT("gsk_"), CCP_LIT("xai-"),   CCP_LIT("Bearer "),
        CCP_LIT("bearer "), CCP_LIT("Basic "),      CCP_LIT("1//")};
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (s.n >= begins[i].n + 8 && ccp_span_starts(s, begins[i]))
            return true;
    return false;
}

bool hide_looks_secret(struct ccp_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((i == 0 || !word_byte(text.p[i - 1])) && looks_here(ccp_span_skip(text, i)))
            return true;
    return false;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Percent-decoded into `out`; what does not fit is left off. */
static struct ccp_span decoded(char *out, size_t max, struct ccp_span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < max; i++) {
        bool escape = s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0;
        out[n++] = escape ? (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2])) : s.p[i];
        i += escape ? 2 : 0;
    }
    return ccp_span_of(out, n);
}

/* In windows, each half in the next one: a secret shows itself within a few bytes, wherever it stands. */
static bool decoded_looks_secret(struct ccp_span s)
{
    char text[512];
    for (;;) {
        struct ccp_span window = ccp_span_of(s.p, s.n < sizeof(text) ? s.n : sizeof(text));
        if (hide_looks_secret(decoded(text, sizeof(text), window)))
            return true;
        if (window.n == s.n)
            return false;
        s = ccp_span_skip(s, sizeof(text) / 2);
    }
}

void hide_path(struct sink *s, struct ccp_span path)
{
    while (path.n != 0) {
        size_t n = ccp_span_find(path, '/');
        struct ccp_span segment = ccp_span_of(path.p, n);
        sink_add(s, decoded_looks_secret(segment) ? HIDDEN : segment);
        if (n < path.n)
            sink_z(s, "/");
        path = ccp_span_skip(path, n + 1);
    }
}

static bool secret_parameter(const struct ccp_api *api, struct ccp_span encoded)
{
    static const char *const more[] = {"code", "sig", "state", "session", "sid", "ticket"};
    char text[64];
    struct ccp_span name = decoded(text, sizeof(text), encoded);
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        if (ccp_span_ieq(name, ccp_span_z(more[i])))
            return true;
    return encoded.n > sizeof(text) || api->header_is_secret(name);
}

void hide_query(const struct ccp_api *api, struct sink *s, struct ccp_span query)
{
    while (query.n != 0) {
        struct ccp_span one = ccp_span_of(query.p, ccp_span_find(query, '&'));
        struct ccp_span name = ccp_span_of(one.p, ccp_span_find(one, '=')), value = ccp_span_skip(one, name.n + 1);
        bool more = one.n < query.n;
        sink_add(s, decoded_looks_secret(name) ? HIDDEN : name);
        if (name.n < one.n) {
            sink_z(s, "=");
            sink_add(s, secret_parameter(api, name) || decoded_looks_secret(value) ? HIDDEN : value);
        }
        query = ccp_span_skip(query, one.n + 1);
        if (more)
            sink_z(s, "&");
    }
}

void hide_url(const struct ccp_api *api, struct sink *s, struct ccp_span url)
{
    size_t mark = ccp_span_find(url, '?');
    hide_path(s, ccp_span_of(url.p, mark));
    if (mark == url.n)
        return;
    sink_z(s, "?");
    hide_query(api, s, ccp_span_skip(url, mark + 1));
}

/* "Bearer x" -> "Bearer [redacted]": the scheme is no secret, and often what is wrong. */
static void hide_value(struct sink *s, struct ccp_span value)
{
    static const struct ccp_span schemes[] = {CCP_LIT("bearer"), CCP_LIT("basic"), CCP_LIT("digest"), CCP_LIT("token")};
    size_t space = ccp_span_find(value, ' ');
    for (size_t i = 0; space < value.n && i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (ccp_span_ieq(ccp_span_of(value.p, space), schemes[i]))
            sink_add(s, ccp_span_of(value.p, space + 1));
    sink_add(s, HIDDEN);
}

static bool is_url(struct ccp_span name)
{
    return ccp_span_ieq(name, CCP_SPAN("referer")) || ccp_span_ieq(name, CCP_SPAN("location")) ||
           ccp_span_ieq(name, CCP_SPAN("content-location"));
}

void hide_header(const struct ccp_api *api, struct sink *s, const struct ccp_header *h)
{
    sink_add(s, hide_looks_secret(h->name) ? HIDDEN : h->name);
    sink_z(s, ": ");
    if (api->header_is_secret(h->name))
        hide_value(s, h->value);
    else if (hide_looks_secret(h->value))
        sink_add(s, HIDDEN);
    else if (is_url(h->name))
        hide_url(api, s, h->value);
    else
        sink_add(s, h->value);
    sink_z(s, "\n");
}
