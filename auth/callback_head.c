/*
 * The head of a request to the loopback listener, read strictly (RFC 9112): whatever is unusual is refused, since the
 * only sender that matters is a browser that follows a redirect.
 *
 * Host must be a loopback name with our port, so that a web page which points its own name at 127.0.0.1 gets nothing
 * (DNS rebinding); an Origin other than ours means that a script asks, and no redirect is a script's.
 */
#include <auth/callback_impl.h>

#include <stdio.h>

struct head {
    struct ccp_span method, target, version;
    struct ccp_span host, origin;
    size_t hosts;
    bool has_origin, has_body;
};

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool all_tokens(struct ccp_span s)
{
    size_t i = 0;
    while (i < s.n && is_token(s.p[i]))
        i++;
    return s.n != 0 && i == s.n;
}

static bool all_visible(struct ccp_span s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] > 0x20 && s.p[i] < 0x7f)
        i++;
    return i == s.n;
}

/* The next line without its CRLF; false: a bare line feed, a NUL or another control byte. */
static bool next_line(struct ccp_span *rest, struct ccp_span *line)
{
    size_t n = ccp_span_find(*rest, '\n');
    if (n == 0 || n == rest->n || rest->p[n - 1] != '\r')
        return false;
    *line = ccp_span_of(rest->p, n - 1);
    *rest = ccp_span_skip(*rest, n + 1);
    for (size_t i = 0; i < line->n; i++)
        if (((unsigned char)line->p[i] < 0x20 && line->p[i] != '\t') || line->p[i] == 0x7f)
            return false;
    return true;
}

/* The text up to the next space, which is taken too. */
static struct ccp_span next_word(struct ccp_span *line)
{
    size_t n = ccp_span_find(*line, ' ');
    struct ccp_span word = ccp_span_of(line->p, n);
    *line = n < line->n ? ccp_span_of(line->p + n + 1, line->n - n - 1) : ccp_span_of(line->p + line->n, 0);
    return word;
}

static bool read_request_line(struct ccp_span line, struct head *h)
{
    h->method = next_word(&line);
    h->target = next_word(&line);
    h->version = line;
    return all_tokens(h->method) && h->target.n != 0 && h->target.p[0] == '/' && all_visible(h->target) &&
           (ccp_span_is(h->version, "HTTP/1.1") || ccp_span_is(h->version, "HTTP/1.0"));
}

static bool read_field(struct ccp_span line, struct head *h)
{
    size_t colon = ccp_span_find(line, ':');
    struct ccp_span name = ccp_span_of(line.p, colon), value = ccp_span_trim(ccp_span_skip(line, colon + 1));
    if (colon == line.n || !all_tokens(name))
        return false;
    if (ccp_span_ieq(name, CCP_SPAN("host"))) {
        h->host = value;
        h->hosts++;
    } else if (ccp_span_ieq(name, CCP_SPAN("origin"))) {
        if (h->has_origin)
            return false;
        h->has_origin = true;
        h->origin = value;
    } else if (ccp_span_ieq(name, CCP_SPAN("transfer-encoding")) ||
               (ccp_span_ieq(name, CCP_SPAN("content-length")) && !ccp_span_is(value, "0"))) {
        h->has_body = true;
    }
    return true;
}

static bool read_head(struct ccp_span text, struct head *h)
{
    struct ccp_span line;
    if (!next_line(&text, &line) || !read_request_line(line, h))
        return false;
    while (text.n > 2)
        if (!next_line(&text, &line) || !read_field(line, h))
            return false;
    return h->hosts == 1;
}

/* "127.0.0.1:1455", "localhost:1455", "[::1]:1455"; on port 80 browsers leave the port out. */
static bool is_ours(struct ccp_span authority, uint16_t port)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    char whole[32];
    for (size_t i = 0; i < 3; i++) {
        snprintf(whole, sizeof(whole), "%s:%u", names[i], port);
        if (ccp_span_ieq(authority, ccp_span_z(whole)) || (port == 80 && ccp_span_ieq(authority, ccp_span_z(names[i]))))
            return true;
    }
    return false;
}

static bool origin_fits(const struct head *h, uint16_t port)
{
    return !h->has_origin || (ccp_span_starts(h->origin, CCP_SPAN("http://")) &&
                              is_ours(ccp_span_skip(h->origin, strlen("http://")), port));
}

/* Bytes up to and with the empty line; 0 = it has not come. */
static size_t head_length(struct ccp_span text)
{
    const char *end = text.n != 0 ? memmem(text.p, text.n, "\r\n\r\n", 4) : NULL;
    return end != NULL ? (size_t)(end - text.p) + 4 : 0;
}

int callback_head(struct ccp_span text, uint16_t port, struct ccp_span *path, struct ccp_span *query)
{
    struct head h = {.hosts = 0};
    size_t n = head_length(text);
    if (n == 0 && text.n >= CALLBACK_HEAD_MAX)
        return ccp_span_find(text, '\n') == text.n ? 414 : 431;
    if (n == 0)
        return 0;
    if (!read_head(ccp_span_of(text.p, n), &h))
        return 400;
    if (!ccp_span_is(h.method, "GET"))
        return 405;
    if (!is_ours(h.host, port))
        return 421;
    if (!origin_fits(&h, port) || h.has_body)
        return 400;
    size_t mark = ccp_span_find(h.target, '?');
    *path = ccp_span_of(h.target.p, mark);
    *query = ccp_span_skip(h.target, mark + 1);
    return 200;
}
