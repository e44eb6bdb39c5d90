/*
 * Header fields: the rules of wire/headers.c against a plain reading of them, and the upstream's head parser, whose
 * output is written to clients: whatever comes in, no name or value out can start another line.
 *
 * The input is lines as an upstream sends them. The first one also serves as the value of a Connection field.
 */
#include "fuzz.h"

#include <upstream/head_impl.h>
#include <wire/headers.h>

static bool is_one_of(struct ccp_span name, const char *const *list)
{
    for (; *list != NULL; list++)
        if (ccp_span_is(name, *list))
            return true;
    return false;
}

static const char *const hops[] = {
    "connection",     "keep-alive",         "proxy-connection",    "te", "trailer", "transfer-encoding", "upgrade",
    "http2-settings", "proxy-authenticate", "proxy-authorization", NULL};
static const char *const never_up[] = {
    "host",           "content-length", "expect", "cookie", "accept-encoding", "forwarded", "via", "x-client-ip",
    "true-client-ip", "x-real-ip",      "",       NULL};
static const char *const never_down[] = {"content-length", "date", "server", "set-cookie", "", NULL};
static const char *const judged[] = {"authorization", "x-api-key",  "x-goog-api-key", "api-key", "x-ccproxy-token",
                                     "cookie",        "set-cookie", "host",           NULL};

static bool token(unsigned char c, bool upper)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (upper && c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool name_fine(struct ccp_span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!token((unsigned char)name.p[i], false))
            return false;
    return name.n != 0;
}

static bool value_fine(struct ccp_span value)
{
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] == 0x7f || ((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t'))
            return false;
    return true;
}

static bool listed(struct ccp_span list, struct ccp_span name)
{
    while (list.n != 0) {
        size_t comma = ccp_span_find(list, ',');
        struct ccp_span item = ccp_span_of(list.p, comma);
        while (item.n != 0 && strchr(" \t", item.p[0]) != NULL && item.p[0] != 0)
            item = ccp_span_skip(item, 1);
        while (item.n != 0 && strchr(" \t", item.p[item.n - 1]) != NULL && item.p[item.n - 1] != 0)
            item.n--;
        if (item.n == name.n && (name.n == 0 || strncasecmp(item.p, name.p, name.n) == 0))
            return true;
        list = ccp_span_skip(list, comma + 1);
    }
    return false;
}

static void rules(struct ccp_span name, struct ccp_span value, struct ccp_span connection)
{
    bool hop = is_one_of(name, hops);
    MUST(headers_name_ok(name) == name_fine(name));
    MUST(headers_value_ok(value) == value_fine(value));
    MUST(headers_hop_by_hop(name, CCP_SPAN("")) == hop);
    if (hop || is_one_of(name, judged) || ccp_span_starts(name, CCP_SPAN("content-")))
        MUST(headers_hop_by_hop(name, connection) == hop);
    else if (name_fine(name) && memchr(connection.p, 0, connection.n) == NULL)
        MUST(headers_hop_by_hop(name, connection) == listed(connection, name));
    bool ours = ccp_span_starts(name, CCP_SPAN("x-ccproxy-")) || hop || (name.n != 0 && name.p[0] == ':');
    if (ours || is_one_of(name, never_up) || ccp_span_starts(name, CCP_SPAN("x-forwarded")))
        MUST(!headers_forward_request(name));
    if (ours || is_one_of(name, never_down) || ccp_span_starts(name, CCP_SPAN("access-control-")))
        MUST(!headers_forward_response(name));
    MUST(!headers_credential(name) || is_one_of(name, judged) || ccp_span_is(name, "proxy-authorization"));
}

/* What the parser gives can be written as it stands, and reading what was written gives it again. */
static void out_is_canonical(const struct head *h)
{
    struct ccp_header *v = calloc(head_count(h) + 1, sizeof(*v)), *again = calloc(head_count(h) + 1, sizeof(*v));
    struct head second;
    MUST(v != NULL && again != NULL);
    head_fields(h, v);
    head_init(&second);
    MUST(head_line(&second, CCP_SPAN("HTTP/1.1 200 OK\r\n")) == HEAD_MORE);
    for (size_t i = 0; i < head_count(h); i++) {
        struct ccp_buf line;
        MUST(name_fine(v[i].name) && value_fine(v[i].value));
        struct ccp_span got = headers_get(v, head_count(h), v[i].name);
        for (size_t k = 0; k <= i; k++) /* the first of that name */
            if (ccp_span_eq(v[k].name, v[i].name)) {
                MUST(got.p == v[k].value.p);
                break;
            }
        buf_init(&line, 1 << 20);
        buf_printf(&line, "%.*s: %.*s\r\n", CCP_FMT(v[i].name), CCP_FMT(v[i].value));
        enum head_result r = head_line(&second, buf_span(&line));
        MUST(r == HEAD_MORE || r == HEAD_TOO_LARGE); /* two bytes more for each field */
        buf_release(&line);
        if (r == HEAD_TOO_LARGE)
            break;
        MUST(head_count(&second) == i + 1);
        head_fields(&second, again);
        MUST(ccp_span_eq(again[i].name, v[i].name) && ccp_span_eq(again[i].value, v[i].value));
    }
    head_release(&second);
    free(v);
    free(again);
}

static void upstream_head(struct ccp_span text)
{
    struct head h;
    enum head_result r = HEAD_MORE;
    head_init(&h);
    while (text.n != 0 && r == HEAD_MORE) {
        size_t n = ccp_span_find(text, '\n');
        n = n < text.n ? n + 1 : n;
        char *line = malloc(n); /* its own block, so that a look beyond it is seen */
        MUST(line != NULL);
        memcpy(line, text.p, n);
        r = head_line(&h, ccp_span_of(line, n));
        free(line);
        text = ccp_span_skip(text, n);
    }
    MUST(head_count(&h) <= HEAD_FIELDS_MAX && h.text.n <= HEAD_BYTES_MAX);
    if (r == HEAD_COMPLETE) {
        MUST(h.status >= 200 && h.status <= 599);
        out_is_canonical(&h);
    }
    head_release(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ccp_span text = {(const char *)data, size}, rest = text, connection;
    connection = ccp_span_of(text.p, ccp_span_find(text, '\n'));
    for (int i = 0; i < 64 && rest.n != 0; i++) {
        struct ccp_span line = ccp_span_of(rest.p, ccp_span_find(rest, '\n'));
        size_t colon = ccp_span_find(line, ':');
        rules(ccp_span_of(line.p, colon), ccp_span_skip(line, colon + 1), connection);
        rest = ccp_span_skip(rest, line.n + 1);
    }
    upstream_head(text);
    struct ccp_buf whole;
    buf_init(&whole, 1 << 22);
    buf_addz(&whole, "HTTP/1.1 200 OK\r\n");
    buf_add(&whole, text);
    buf_addz(&whole, "\r\n\r\n");
    upstream_head(buf_span(&whole));
    buf_release(&whole);
    return 0;
}
