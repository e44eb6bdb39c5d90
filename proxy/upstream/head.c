/*
 * Parsing of response heads; pure, no libcurl.
 *
 * Fields are stored as offsets because the text moves while it grows. A folded line (RFC 9112 section 5.2) is
 * joined to the value before it with one space, as a proxy must. Nothing with a control byte gets through:
 * what is parsed here is written to clients later.
 */
#include <base/assert.h>
#include <upstream/head_impl.h>
#include <wire/headers.h>

struct head_field {
    uint32_t name, name_n, value, value_n;
};

void head_init(struct head *h)
{
    *h = (struct head){0};
    buf_init(&h->text, HEAD_BYTES_MAX);
    buf_init(&h->fields, HEAD_FIELDS_MAX * sizeof(struct head_field));
}

void head_release(struct head *h)
{
    buf_release(&h->text);
    buf_release(&h->fields);
}

size_t head_count(const struct head *h)
{
    return h->fields.n / sizeof(struct head_field);
}

/* "HTTP/1.1 200 OK" -> 200; 0 = not a status line. */
static int status_of(struct ccp_span line)
{
    struct ccp_span rest = ccp_span_trim(ccp_span_skip(line, ccp_span_find(line, ' ')));

    if (rest.n < 3 || (rest.n > 3 && rest.p[3] != ' '))
        return 0;
    for (int i = 0; i < 3; i++)
        if (rest.p[i] < '0' || rest.p[i] > '9')
            return 0;
    return (rest.p[0] - '0') * 100 + (rest.p[1] - '0') * 10 + (rest.p[2] - '0');
}

static enum head_result start_block(struct head *h, struct ccp_span line)
{
    h->text.n = h->fields.n = 0;
    h->seen = line.n;
    h->status = status_of(line);
    return h->status >= 100 && h->status <= 599 ? HEAD_MORE : HEAD_MALFORMED;
}

/* Two ways to tell where the body ends are two answers for two readers (RFC 9112 section 6.3): curl follows one of
 * them, the client would follow the other. */
static bool framed_once(const struct head *h)
{
    const struct head_field *f = (const struct head_field *)(const void *)h->fields.p, *length = NULL;
    bool coded = false;

    for (size_t i = 0; i < head_count(h); i++) {
        struct ccp_span name = ccp_span_of(h->text.p + f[i].name, f[i].name_n);
        coded |= ccp_span_is(name, "transfer-encoding");
        if (!ccp_span_is(name, "content-length"))
            continue;
        if (length != NULL && !ccp_span_eq(ccp_span_of(h->text.p + length->value, length->value_n),
                                           ccp_span_of(h->text.p + f[i].value, f[i].value_n)))
            return false;
        length = &f[i];
    }
    return length == NULL || !coded;
}

static enum head_result end_block(struct head *h)
{
    if (h->status == 101) /* never asked for */
        return HEAD_MALFORMED;
    if (h->status >= 200 && !framed_once(h))
        return HEAD_MALFORMED;
    h->complete = h->status >= 200;
    return h->complete ? HEAD_COMPLETE : HEAD_MORE;
}

static enum head_result add_fold(struct head *h, struct ccp_span line)
{
    struct ccp_span more = ccp_span_trim(line);

    if (head_count(h) == 0 || !headers_value_ok(more))
        return HEAD_MALFORMED;
    if (more.n == 0)
        return HEAD_MORE;
    /* The last value is the last thing in the text, so it can grow in place; an empty one begins here. */
    struct head_field *last = (struct head_field *)(void *)h->fields.p + head_count(h) - 1;
    if ((last->value_n != 0 && !buf_add(&h->text, CCP_SPAN(" "))) || !buf_add(&h->text, more))
        return HEAD_NO_MEMORY;
    last->value_n = (uint32_t)(h->text.n - last->value);
    return HEAD_MORE;
}

static void lower(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] += 'a' - 'A';
}

static enum head_result add_field(struct head *h, struct ccp_span line)
{
    size_t colon = ccp_span_find(line, ':');
    struct ccp_span name = {line.p, colon}, value = ccp_span_trim(ccp_span_skip(line, colon + 1));
    struct head_field f = {(uint32_t)h->text.n, (uint32_t)name.n, (uint32_t)(h->text.n + name.n), (uint32_t)value.n};

    if (colon == 0 || colon == line.n || !headers_value_ok(value))
        return HEAD_MALFORMED;
    if (head_count(h) == HEAD_FIELDS_MAX)
        return HEAD_TOO_LARGE;
    if (!buf_add(&h->text, name) || !buf_add(&h->text, value) ||
        !buf_add(&h->fields, ccp_span_of((const char *)&f, sizeof(f))))
        return HEAD_NO_MEMORY;
    lower(h->text.p + f.name, f.name_n);
    return headers_name_ok(ccp_span_of(h->text.p + f.name, f.name_n)) ? HEAD_MORE : HEAD_MALFORMED;
}

enum head_result head_line(struct head *h, struct ccp_span line)
{
    if (h->complete)
        return HEAD_MORE;
    if (line.n != 0 && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n != 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (ccp_span_starts(line, CCP_SPAN("HTTP/")))
        return start_block(h, line);
    h->seen += line.n + 2;
    if (h->seen > HEAD_BYTES_MAX)
        return HEAD_TOO_LARGE;
    if (line.n == 0)
        return end_block(h);
    return line.p[0] == ' ' || line.p[0] == '\t' ? add_fold(h, line) : add_field(h, line);
}

void head_fields(const struct head *h, struct ccp_header *out)
{
    const struct head_field *f = (const struct head_field *)(const void *)h->fields.p;

    for (size_t i = 0; i < head_count(h); i++) {
        CCP_ASSERT((size_t)f[i].value + f[i].value_n <= h->text.n);
        out[i].name = ccp_span_of(h->text.p + f[i].name, f[i].name_n);
        out[i].value = ccp_span_of(h->text.p + f[i].value, f[i].value_n);
    }
}
