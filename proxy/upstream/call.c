/*
 * The request as libcurl wants it: checked (request.c), and with its header lines built.
 *
 * Not how it is handed over (apply.c). A credential's bytes get next to other text here and in direct_head.c only.
 * They live in one block that is wiped when the call is released. Header text with control bytes never reaches curl.
 */
#include <upstream/upstream_impl.h>

#include <base/assert.h>
#include <base/fault.h>
#include <base/secret.h>

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
    size_t text = EXTRA_BYTES + r->credential_header.n + r->credential_prefix.n + request_credential(r).n +
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
    if (!request_has(r, CCP_SPAN("accept")))
        put_suppressed(&w, "Accept");
    if (!request_has(r, CCP_SPAN("content-type")))
        put_suppressed(&w, "Content-Type");
    if (!request_has(r, CCP_SPAN("user-agent")) && c->user_agent != NULL)
        put_line(&w, CCP_SPAN("user-agent"), none, ccp_span_z(c->user_agent));
    for (size_t i = 0; i < r->header_count; i++)
        if (!request_skips(r, r->headers[i].name))
            put_line(&w, r->headers[i].name, none, r->headers[i].value);
    if (r->credential != NULL)
        put_line(&w, r->credential_header, r->credential_prefix, request_credential(r));
    CCP_ASSERT(w.at <= w.end);
    return true;
}

const char *call_init(struct call *c, const struct ccp_upstream_request *request)
{
    c->request = request;
    const char *why = request_check(request, &c->url);
    if (why != NULL)
        return why;
    c->body_total = request_body_size(request);
    call_find_targets(c);
    return build_headers(c, request) ? NULL : "out of memory";
}

void call_release(struct call *c)
{
    if (c->block != NULL)
        secret_wipe(c->block, c->block_size);
    call_unpin(c);
    free(c->block);
    c->block = NULL;
    c->headers = NULL;
}
