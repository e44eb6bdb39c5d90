/*
 * From a request to the reply that will be given: the order in which a call is refused, fails by configuration,
 * or is answered.
 */
#include "play.h"

static void refuse(struct mock_reply *reply, int status, const char *message)
{
    reply->kind = MOCK_REPLY_ERROR;
    reply->status = status;
    reply->message = message;
    if (reply->retry_after_s == 0 && (status == 429 || status == 503 || status == 529))
        reply->retry_after_s = 1;
}

static uint64_t fnv(uint64_t h, struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return h;
}

/* The body in one piece; p = NULL when memory was refused. */
static struct ccp_span join(struct ccp_exchange *x, const struct ccp_upstream_request *request)
{
    size_t n = 0, at = 0;
    char *p;
    if (request->body_pieces == 1)
        return request->body[0].p != NULL ? request->body[0] : CCP_SPAN("");
    for (size_t i = 0; i < request->body_pieces; i++)
        n += request->body[i].n;
    if ((p = x->api->alloc(x, n + 1)) == NULL)
        return ccp_span_of(NULL, 0);
    for (size_t i = 0; i < request->body_pieces; at += request->body[i++].n)
        if (request->body[i].n != 0)
            memcpy(p + at, request->body[i].p, request->body[i].n);
    return ccp_span_of(p, n);
}

/* The failures that [plugins.mock] asks for, spread evenly over the calls: the same on every run. */
static bool fails_by_config(struct mock_reply *reply, uint64_t call)
{
    const struct mock_config *c = reply->config;
    uint64_t rate = (uint64_t)c->error_rate;
    if (c->rate_limit_every > 0 && call % (uint64_t)c->rate_limit_every == 0) {
        reply->retry_after_s = (c->rate_limit_retry_after + 999) / 1000;
        refuse(reply, 429, "mock: rate limit reached (rate_limit_every)");
        return true;
    }
    if (call * rate / 100 != (call - 1) * rate / 100) {
        refuse(reply, 500, "mock: this call fails (error_rate)");
        return true;
    }
    return false;
}

static const struct mock_writer *writer_of(enum ccp_format format)
{
    switch (format) {
    case CCP_FORMAT_ANTHROPIC:
        return &mock_write_anthropic;
    case CCP_FORMAT_GEMINI:
        return &mock_write_gemini;
    case CCP_FORMAT_OPENAI_RESPONSES:
        return &mock_write_responses;
    default:
        return &mock_write_chat;
    }
}

/* False when memory was refused. */
static bool prepare_embed(struct mock_reply *reply)
{
    const char *why = mock_embed_check(&reply->play.ask, &reply->items);
    if (why != NULL)
        refuse(reply, 400, why);
    else
        reply->kind = MOCK_REPLY_EMBED;
    return true;
}

static bool prepare_text(struct mock_reply *reply)
{
    struct mock_ask *ask = &reply->play.ask;
    const char *why = mock_prompt_read(ask);
    if (why != NULL) {
        refuse(reply, 400, why);
        return true;
    }
    reply->kind = ask->target.call == MOCK_COUNT ? MOCK_REPLY_COUNT
                  : ask->stream                  ? MOCK_REPLY_STREAM
                                                 : MOCK_REPLY_WHOLE;
    reply->cut = ccp_span_is(ask->model, "mock-cut");
    return mock_answer_make(&reply->play);
}

/* Reads model and body. False when memory was refused; a bad request has set an error. */
static bool read_body(struct mock_reply *reply, struct ccp_span body)
{
    struct mock_ask *ask = &reply->play.ask;
    struct ccp_exchange *x = ask->x;
    struct ccp_json *root = NULL;
    struct ccp_json_error error;
    enum ccp_status status = x->api->json_parse(x, body, &root, &error);
    if (status != CCP_OK && status != CCP_BAD_JSON)
        return false;
    ask->hash = fnv(fnv(0xcbf29ce484222325u, body), ask->target.model);
    ask->model = ask->target.model;
    ask->root = root;
    if (status != CCP_OK || root->type != CCP_JSON_OBJECT) {
        refuse(reply, 400, "the request body is not a JSON object");
    } else if (ask->model.n == 0) {
        const struct ccp_json *model = ccp_json_get(root, "model");
        if (ccp_json_inner(model).n == 0)
            refuse(reply, 400, "model: a name is required");
        else
            ask->model = x->api->json_text(x, model);
    }
    return ask->model.p != NULL || reply->kind == MOCK_REPLY_ERROR;
}

static bool answer(struct mock_reply *reply, struct ccp_span body)
{
    struct mock_ask *ask = &reply->play.ask;
    int status;
    if (!read_body(reply, body))
        return false;
    if (reply->status != 200)
        return true;
    if ((status = mock_answer_error(ask->model)) != 0) {
        refuse(reply, status, "mock: the model's name asks for this error");
        return true;
    }
    if (ask->target.call == MOCK_EMBED || ask->target.call == MOCK_EMBED_BATCH)
        return prepare_embed(reply);
    return prepare_text(reply);
}

bool mock_reply_make(struct mock_reply *reply, struct mock *mock, struct ccp_exchange *x,
                     const struct ccp_upstream_request *request)
{
    struct mock_ask *ask = &reply->play.ask;
    struct ccp_span body = join(x, request);
    *reply = (struct mock_reply){.kind = MOCK_REPLY_WHOLE, .status = 200, .config = mock->config};
    mock_out_init(&reply->play.out, x);
    ask->x = x;
    ask->target.format = x->api->client_format(x);
    if (body.p == NULL)
        return false;
    if (!mock_target_read(request->url, &ask->target)) {
        refuse(reply, 404, "the mock does not answer this path");
        return true;
    }
    reply->writer = writer_of(ask->target.format);
    if (!ccp_span_is(request->method, "POST")) {
        refuse(reply, 405, "this path takes POST only");
        return true;
    }
    if (fails_by_config(reply, __atomic_add_fetch(&mock->calls, 1, __ATOMIC_RELAXED)))
        return true;
    return answer(reply, body);
}
