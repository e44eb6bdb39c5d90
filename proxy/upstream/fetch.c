/*
 * The blocking variant for the command line: one request, one answer in memory.
 *
 * Same easy-handle options, address rules and trust as a transfer; no loop, no pool, no connection reuse.
 */
#include <upstream/upstream_impl.h>

#include <base/clock.h>

struct fetch {
    struct call call;
    struct head head;
    struct ccp_buf *out;
    uint64_t began_ms;
    const char *why; /* what our callbacks found wrong */
};

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    enum head_result result = head_line(&f->head, ccp_span_of(p, size * n));

    if (result == HEAD_MORE || result == HEAD_COMPLETE)
        return size * n;
    f->why = "the answer has a malformed or too large head";
    return CURL_WRITEFUNC_ERROR;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;

    if (buf_add(f->out, ccp_span_of(p, size * n)))
        return size * n;
    f->why = "the answer is too large";
    return CURL_WRITEFUNC_ERROR;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct fetch *f = arg;
    uint64_t limit = f->call.request->limits.first_byte_ms;

    (void)a, (void)b, (void)c, (void)d;
    if (limit == 0 || f->head.complete || clock_ms() - f->began_ms < limit)
        return 0;
    f->why = "no answer within the first byte timeout";
    return 1;
}

static long as_long(uint64_t n)
{
    return (long)(n < INT32_MAX ? n : INT32_MAX);
}

static bool apply(struct fetch *f, CURL *easy)
{
    const struct ccp_upstream_limits *limits = &f->call.request->limits;

    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, f);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, as_long(limits->total_ms));
    if (limits->idle_ms != 0) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, as_long((limits->idle_ms + 999) / 1000));
    }
    return call_apply(&f->call, easy) &&
           (f->call.unix_socket == NULL ||
            curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, f->call.unix_socket) == CURLE_OK);
}

/* curl has one code for every limit; before a connection was used it was the connect timeout. */
static const char *timeout_phrase(const struct fetch *f)
{
    return f->call.sends == 0 ? "no connection in time" : "the answer did not arrive in time";
}

static const char *perform(struct fetch *f)
{
    CURL *easy = easy_new();
    const char *why = NULL;

    if (easy == NULL)
        return "out of memory";
    f->began_ms = clock_ms();
    if (!apply(f, easy)) {
        why = "out of memory";
    } else {
        CURLcode code = curl_easy_perform(easy);
        if (f->why != NULL)
            why = f->why;
        else if (code == CURLE_OPERATION_TIMEDOUT)
            why = timeout_phrase(f);
        else if (code != CURLE_OK)
            why = failure_phrase(&f->call, easy, code, f->head.complete);
        else if (!f->head.complete)
            why = "no final answer";
    }
    curl_easy_cleanup(easy);
    return why;
}

/* The default store is loaded only when a certificate has to be checked. */
static const char *find_trust(struct fetch *f, struct trust **own)
{
    const char *why = NULL;

    *own = NULL;
    f->call.trust = (struct trust *)(uintptr_t)f->call.request->trust;
    if (f->call.trust == NULL && ccp_span_ieq(f->call.url.scheme, CCP_SPAN("https")))
        f->call.trust = *own = trust_load(NULL, &why);
    return why;
}

int upstream_fetch(const char *unix_socket, const struct ccp_upstream_request *request, struct ccp_buf *out,
                   const char **why)
{
    struct fetch f = {.call.unix_socket = unix_socket, .out = out};
    struct trust *own = NULL;

    head_init(&f.head);
    *why = call_init(&f.call, request);
    if (*why == NULL)
        *why = find_trust(&f, &own);
    if (*why == NULL)
        *why = perform(&f);
    trust_unref(own);
    call_release(&f.call);
    head_release(&f.head);
    return *why == NULL ? f.head.status : 0;
}
