/*
 * The request as libcurl wants it: checked, and with its header lines built.
 *
 * Not how it is handed over (apply.c). This is the only place that puts a credential's bytes next to other text. They
 * live in one block that is wiped when the call is released. Header text with control bytes never reaches curl.
 */
#include <upstream/upstream_impl.h>

#include <base/assert.h>
#include <base/fault.h>
#include <base/secret.h>
#include <wire/headers.h>

/* Written by us or by curl; a caller's copy could contradict the message on the wire. */
static const struct ccp_span framing[] = {CCP_LIT("host"), CCP_LIT("content-length"), CCP_LIT("transfer-encoding"),
                                          CCP_LIT("connection"), CCP_LIT("expect")};

static bool token_ok(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return s.n != 0;
}

static bool skipped(const struct ccp_upstream_request *r, struct ccp_span name)
{
    for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++)
        if (ccp_span_ieq(name, framing[i]))
            return true;
    return r->credential != NULL && ccp_span_ieq(name, r->credential_header);
}

static bool has_header(const struct ccp_upstream_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (ccp_span_ieq(r->headers[i].name, ccp_span_z(name)))
            return true;
    return r->credential != NULL && ccp_span_ieq(r->credential_header, ccp_span_z(name));
}

/* A credential's bytes, to be written into its header line and nowhere else. */
static struct ccp_span credential_of(const struct ccp_upstream_request *r)
{
    return r->credential != NULL ? secret_reveal(r->credential) : (struct ccp_span){NULL, 0};
}

static const char *check_request(struct call *c, const struct ccp_upstream_request *r)
{
    const char *why = url_parse(r->url, &c->url);

    if (why != NULL)
        return why;
    for (size_t i = 0; i < r->url.n; i++)
        if ((unsigned char)r->url.p[i] <= 0x20 || (unsigned char)r->url.p[i] >= 0x7f)
            return "the URL has a byte that must be percent-encoded";
    if (!token_ok(r->method) || r->method.n > 32)
        return "the method is not a token";
    if (r->body_pieces > sizeof(r->body) / sizeof(r->body[0]))
        return "the body has too many pieces";
    for (size_t i = 0; i < r->header_count; i++) {
        if (!token_ok(r->headers[i].name))
            return "a request header has a malformed name";
        if (!headers_value_ok(r->headers[i].value))
            return "a request header has control bytes in its value";
    }
    if (r->credential != NULL && (!token_ok(r->credential_header) || !headers_value_ok(r->credential_prefix)))
        return "the credential's header is malformed";
    return headers_value_ok(credential_of(r)) ? NULL : "the credential has control bytes in it";
}

/* The block: list nodes first, then the text of the lines. */
struct writer {
    struct curl_slist *node, *last;
    char *at, *end;
};

static void put(struct writer *w, struct ccp_span s)
{
    if (s.n != 0)
        memcpy(w->at, s.p, s.n);
    w->at += s.n;
}

/* "name: value"; curl drops "name:" and sends an empty field for "name;". */
static void put_line(struct writer *w, struct ccp_span name, struct ccp_span prefix, struct ccp_span value)
{
    w->node->data = w->at;
    w->node->next = NULL;
    if (w->last != NULL)
        w->last->next = w->node;
    w->last = w->node++;
    put(w, name);
    put(w, prefix.n + value.n != 0 ? CCP_SPAN(": ") : CCP_SPAN(";"));
    put(w, prefix);
    put(w, value);
    *w->at++ = 0;
}

/* Tells curl to leave out a field that it would add by itself. */
static void put_suppressed(struct writer *w, const char *name)
{
    char *start = w->at;

    put_line(w, ccp_span_z(name), (struct ccp_span){NULL, 0}, (struct ccp_span){NULL, 0});
    start[strlen(name)] = ':';
}

enum { EXTRA_LINES = 5, EXTRA_BYTES = 128 }; /* suppressions, user agent, credential */

static bool make_block(struct call *c, const struct ccp_upstream_request *r, size_t *nodes)
{
    size_t text = EXTRA_BYTES + r->credential_header.n + r->credential_prefix.n + credential_of(r).n +
                  (c->user_agent != NULL ? strlen(c->user_agent) : 0);

    for (size_t i = 0; i < r->header_count; i++)
        text += r->headers[i].name.n + r->headers[i].value.n + 3;
    *nodes = r->header_count + EXTRA_LINES;
    c->block_size = *nodes * sizeof(struct curl_slist) + text;
    c->block = CCP_FAULT("upstream.headers") ? NULL : malloc(c->block_size);
    return c->block != NULL;
}

static bool build_headers(struct call *c, const struct ccp_upstream_request *r)
{
    const struct ccp_span none = {NULL, 0};
    size_t nodes;

    if (!make_block(c, r, &nodes))
        return false;
    struct writer w = {.node = (struct curl_slist *)(void *)c->block, .end = c->block + c->block_size};
    w.at = c->block + nodes * sizeof(struct curl_slist);
    c->headers = w.node;
    put_suppressed(&w, "Expect");
    if (!has_header(r, "accept"))
        put_suppressed(&w, "Accept");
    if (!has_header(r, "content-type"))
        put_suppressed(&w, "Content-Type");
    if (!has_header(r, "user-agent") && c->user_agent != NULL)
        put_line(&w, CCP_SPAN("user-agent"), none, ccp_span_z(c->user_agent));
    for (size_t i = 0; i < r->header_count; i++)
        if (!skipped(r, r->headers[i].name))
            put_line(&w, r->headers[i].name, none, r->headers[i].value);
    if (r->credential != NULL)
        put_line(&w, r->credential_header, r->credential_prefix, credential_of(r));
    CCP_ASSERT(w.at <= w.end);
    return true;
}

const char *call_init(struct call *c, const struct ccp_upstream_request *request)
{
    c->request = request;
    for (size_t i = 0; i < request->body_pieces && i < sizeof(request->body) / sizeof(request->body[0]); i++)
        c->body_total += request->body[i].n;
    const char *why = check_request(c, request);
    if (why != NULL)
        return why;
    return build_headers(c, request) ? NULL : "out of memory";
}

void call_release(struct call *c)
{
    if (c->block != NULL)
        secret_wipe(c->block, c->block_size);
    free(c->block);
    c->block = NULL;
    c->headers = NULL;
}
