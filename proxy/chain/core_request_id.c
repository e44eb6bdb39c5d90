/*
 * Core middleware, order 0: the request's id. The client's x-request-id if it is short and plain, else a
 * random one; it stands in every answer, error and log line.
 */
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>

#include <sys/random.h>

static bool plain(struct ccp_span id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return id.n != 0 && id.n <= 128;
}

/* Twelve bytes from a per-worker stock, so that most requests make no system call. */
static struct ccp_span fresh(struct exchange *x)
{
    struct chain_worker *w = x->w;
    static const char digits[] = "0123456789abcdef";
    char text[4 + 24] = "req_";
    if (w->random_left < 12) {
        if (CCP_FAULT("request_id.random") || getrandom(w->random, sizeof(w->random), 0) != sizeof(w->random))
            memcpy(w->random, &x->started_us, sizeof(x->started_us));
        w->random_left = sizeof(w->random);
    }
    w->random_left -= 12;
    for (size_t i = 0; i < 12; i++) {
        unsigned char byte = (unsigned char)w->random[w->random_left + i];
        text[4 + 2 * i] = digits[byte >> 4];
        text[5 + 2 * i] = digits[byte & 15];
    }
    return arena_dup(&x->arena, ccp_span_of(text, sizeof(text)));
}

static enum ccp_verdict on_request(void *self, struct ccp_exchange *pub)
{
    struct exchange *x = exchange_of(pub);
    if (x->request_id.n != 0)
        return CCP_NEXT;
    x->request_id = headers_get(x->headers, x->headers != NULL ? x->header_count : 0, CCP_SPAN("x-request-id"));
    if (!plain(x->request_id))
        x->request_id = CCP_FAULT("request_id.text") ? (struct ccp_span){NULL, 0} : fresh(x);
    if (x->request_id.p == NULL)
        x->request_id = CCP_SPAN("req_none");
    return CCP_NEXT;
}

const struct ccp_middleware core_request_id = {
    .name = "request_id", .layer = CCP_LAYER_CORE, .order = 0, .on_request = on_request};
