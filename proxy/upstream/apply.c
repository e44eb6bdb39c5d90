/*
 * Handing a call to an easy handle: every option that differs from request to request, and what curl calls back
 * to read the body, to check certificates and to say that it sends.
 *
 * Options that never change are set in curl_easy.c. Whatever is set here points into the call, so easy_recycle
 * must clear it.
 */
#include <upstream/upstream_impl.h>

#include <base/fault.h>

/* ---- what curl calls --------------------------------------------------------------------------------- */

static size_t read_body(char *out, size_t size, size_t n, void *arg)
{
    struct call *c = arg;
    size_t room = size * n, done = 0;

    while (done < room && c->body_piece < c->request->body_pieces) {
        struct ccp_span rest = ccp_span_skip(c->request->body[c->body_piece], c->body_at);
        size_t take = rest.n < room - done ? rest.n : room - done;
        if (take != 0)
            memcpy(out + done, rest.p, take);
        done += take;
        c->body_at += take;
        if (take == rest.n)
            c->body_piece++, c->body_at = 0;
    }
    return done;
}

/* curl rewinds when it sends the request again on a fresh connection. */
static int seek_body(void *arg, curl_off_t offset, int origin)
{
    struct call *c = arg;
    size_t left = (size_t)offset;

    if (origin != SEEK_SET || offset < 0 || left > c->body_total)
        return CURL_SEEKFUNC_FAIL;
    for (c->body_piece = 0; c->body_piece < c->request->body_pieces; c->body_piece++) {
        if (left < c->request->body[c->body_piece].n)
            break;
        left -= c->request->body[c->body_piece].n;
    }
    c->body_at = left;
    return CURL_SEEKFUNC_OK;
}

static int on_sending(void *arg, char *address, char *local, int port, int local_port)
{
    (void)address, (void)local, (void)port, (void)local_port;
    ((struct call *)arg)->sends++;
    return CURL_PREREQFUNC_OK;
}

static CURLcode on_tls(CURL *easy, void *ssl_ctx, void *arg)
{
    const struct call *c = arg;

    (void)easy;
    if (c->trust != NULL)
        trust_apply(c->trust, ssl_ctx);
    return CURLE_OK;
}

/* ---- options that change from request to request ------------------------------------------------------ */

static bool set_text(CURL *easy, CURLoption option, struct ccp_span s)
{
    char *z = CCP_FAULT("upstream.option") ? NULL : strndup(s.n != 0 ? s.p : "", s.n);
    bool set = z != NULL && curl_easy_setopt(easy, option, z) == CURLE_OK; /* curl copies */

    free(z);
    return set;
}

static void set_body(struct call *c, CURL *easy)
{
    const struct ccp_upstream_request *r = c->request;
    size_t filled = 0;
    const char *only = "";

    for (size_t i = 0; i < r->body_pieces; i++)
        if (r->body[i].n != 0)
            filled++, only = r->body[i].p;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_total);
    if (filled <= 1) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, only); /* not copied */
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_body);
    curl_easy_setopt(easy, CURLOPT_READDATA, c);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, c);
}

static bool set_method(struct call *c, CURL *easy)
{
    struct ccp_span method = c->request->method;

    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL); /* makes it a POST, so the reset to GET comes after it */
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    if (ccp_span_is(method, "HEAD"))
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if (c->body_total != 0 || request_expects_body(method))
        set_body(c, easy);
    if (ccp_span_is(method, "POST") || (ccp_span_is(method, "GET") && c->body_total == 0))
        return true;
    return set_text(easy, CURLOPT_CUSTOMREQUEST, method);
}

bool call_apply(struct call *c, CURL *easy)
{
    const struct ccp_upstream_request *r = c->request;
    uint64_t connect_ms = r->limits.connect_ms != 0 ? r->limits.connect_ms : 24 * 3600 * 1000;
    struct ccp_span proxy = c->proxied ? r->proxy : CCP_SPAN("");

    connect_ms = connect_ms > c->lookup_ms ? connect_ms - c->lookup_ms : 1;

    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c->sockets); /* outlives the call, like the connection */
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, c);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, c);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_ms < INT32_MAX ? connect_ms : INT32_MAX));
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, r->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    /* An empty text, not NULL: NULL would let the environment decide. */
    return set_text(easy, CURLOPT_PROXY, proxy) && set_text(easy, CURLOPT_URL, r->url) && call_pin(c, easy) &&
           set_method(c, easy);
}
