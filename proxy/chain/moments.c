/*
 * The moments of an exchange that hooks hear of: what each brings, and how often it comes.
 *
 * http.request comes right behind request.started. Of every attempt: provider.request.sent, then what its answer brings
 * (provider.response.received, provider.stream.start, pieces), at most one provider.error, and, if the stream began,
 * exactly one provider.stream.end, however the attempt ended. A failure is told once, before the client's bytes of it.
 * Of routes for administrators nobody hears a body, nor the answer's headers (struct route, `untold`).
 *
 * Callers need not ask whether anybody hears: nothing is filled in before that is known.
 */
#include <base/clock.h>
#include <chain/exchange_impl.h>

#define MOMENT(...) (&(struct ccp_moment){.size = sizeof(struct ccp_moment), __VA_ARGS__})

uint64_t moment_now(const struct exchange *x)
{
    uint64_t us = clock_us() - x->started_us;
    return us != 0 ? us : 1; /* 0 stands for "did not happen" */
}

void moment_http_request(struct exchange *x)
{
    if (hooks_heard(x, CCP_EVENT_HTTP_REQUEST))
        hooks_say(x, CCP_EVENT_HTTP_REQUEST,
                  MOMENT(.headers = x->headers, .header_count = x->header_count,
                         .bytes = x->route.untold ? CCP_SPAN("") : x->body));
}

void moment_http_response(struct exchange *x)
{
    if (hooks_heard(x, CCP_EVENT_HTTP_RESPONSE))
        hooks_say(x, CCP_EVENT_HTTP_RESPONSE,
                  MOMENT(.status = x->head.status, .headers = x->head.headers,
                         .header_count = x->route.untold ? 0 : x->head.count));
}

void moment_http_error(struct exchange *x, int status)
{
    if (x->error_told)
        return;
    x->error_told = true;
    if (hooks_heard(x, CCP_EVENT_HTTP_ERROR))
        hooks_say(x, CCP_EVENT_HTTP_ERROR, MOMENT(.status = status, .text = x->error));
}

void moment_sent(struct exchange *x)
{
    if (x->upstream_sent_us == 0)
        x->upstream_sent_us = moment_now(x);
    x->up_stream = x->up_error_told = false;
    if (hooks_heard(x, CCP_EVENT_PROVIDER_REQUEST_SENT))
        hooks_say(x, CCP_EVENT_PROVIDER_REQUEST_SENT, MOMENT(.request = &x->up));
}

void moment_provider_error(struct exchange *x, int status, struct ccp_span text)
{
    if (x->up_error_told)
        return;
    x->up_error_told = true;
    if (hooks_heard(x, CCP_EVENT_PROVIDER_ERROR))
        hooks_say(x, CCP_EVENT_PROVIDER_ERROR, MOMENT(.status = status, .text = text));
}

void moment_head(struct exchange *x, int status, const struct ccp_header *h, size_t n, bool stream)
{
    if (hooks_heard(x, CCP_EVENT_PROVIDER_RESPONSE_RECEIVED))
        hooks_say(x, CCP_EVENT_PROVIDER_RESPONSE_RECEIVED, MOMENT(.status = status, .headers = h, .header_count = n));
    if (status >= 400)
        moment_provider_error(x, status, CCP_SPAN("it answered with an error status"));
    x->up_stream = stream;
    if (stream && hooks_heard(x, CCP_EVENT_PROVIDER_STREAM_START))
        hooks_say(x, CCP_EVENT_PROVIDER_STREAM_START, MOMENT(.status = status));
}

void moment_upstream_bytes(struct exchange *x, struct ccp_span bytes)
{
    const struct ccp_moment *m = MOMENT(.status = x->upstream_status, .bytes = bytes);
    hooks_emit(x, CCP_EVENT_PROVIDER_RESPONSE_BODY, m);
    if (x->up_stream)
        hooks_emit(x, CCP_EVENT_PROVIDER_STREAM_CHUNK, m);
}

void moment_upstream_end(struct exchange *x, struct ccp_span why)
{
    if (!x->up_stream)
        return;
    x->up_stream = false;
    if (hooks_heard(x, CCP_EVENT_PROVIDER_STREAM_END))
        hooks_say(x, CCP_EVENT_PROVIDER_STREAM_END, MOMENT(.status = x->upstream_status, .text = why));
}
