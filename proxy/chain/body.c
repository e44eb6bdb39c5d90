/*
 * Reading the request body: one validating scan that finds the model and the stream flag, nothing else.
 *
 * A coded body is decoded only when something must be read from it; otherwise it goes upstream as it came.
 */
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>
#include <wire/json.h>

static void free_buffer(void *arg)
{
    buf_release(arg);
}

static bool decode(struct exchange *x, enum coding coding)
{
    struct ccp_buf *out = CCP_FAULT("body.buffer") ? NULL : arena_alloc(&x->arena, sizeof(*out));
    if (out == NULL || CCP_FAULT("body.defer") || !arena_defer(&x->arena, free_buffer, out)) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return false;
    }
    buf_init(out, x->rt->settings.server.max_body_bytes);
    enum ccp_status status = coding_decode(coding, x->req.body, 100, out);
    if (status != CCP_OK) {
        exchange_fail(x, status,
                      status == CCP_TOO_LARGE ? "the decoded request body is too large"
                                              : "the request body does not match its content-encoding");
        return false;
    }
    x->body = buf_span(out);
    x->body_decoded = true;
    return true;
}

/* Two calls of the families name a model too; the rest name none, or hold several. */
static bool has_model(const struct exchange *x)
{
    if (ccp_span_is(x->route.rest, "/v1/completions") || ccp_span_is(x->route.rest, "/v1/responses/compact"))
        return ccp_span_is(x->req.method, "POST");
    return x->route.op == CCP_OP_GENERATE || x->route.op == CCP_OP_COUNT || x->route.op == CCP_OP_EMBED;
}

static bool take_model(struct exchange *x, struct ccp_span raw)
{
    if (raw.p == NULL)
        return true;
    if (raw.n < 2 || raw.p[0] != '"') {
        exchange_fail(x, CCP_BAD_REQUEST, "model is not a string");
        return false;
    }
    x->model_raw = raw;
    /* A copy: the model is still named in the last event, when the body may be gone. */
    struct ccp_span text = CCP_FAULT("body.model") ? (struct ccp_span){NULL, 0} : json_text(&x->arena, raw);
    x->client_model = text.p != NULL ? arena_dup(&x->arena, text) : text;
    if (x->client_model.p == NULL)
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
    return x->client_model.p != NULL;
}

enum { MODEL, STREAM, INPUT, MESSAGES, KEYS };

static const struct ccp_span keys[KEYS] = {CCP_LIT("model"), CCP_LIT("stream"), CCP_LIT("input"), CCP_LIT("messages")};

/* Same texts accepted, same members found; the tree is made only where it will be read. */
static enum ccp_status look_through(struct exchange *x, struct ccp_span values[KEYS], struct ccp_json_error *error)
{
    if (!x->crosses)
        return json_scan(x->body, keys, values, x->route.format == CCP_FORMAT_OPENAI_CHAT ? KEYS : STREAM + 1, error);
    enum ccp_status status = json_parse(&x->work, x->body, &x->tree, error);
    for (int i = 0; status == CCP_OK && i < KEYS; i++) {
        const struct ccp_json *m = ccp_json_get(x->tree, keys[i].p);
        values[i] = m != NULL ? m->raw : (struct ccp_span){NULL, 0};
    }
    return status;
}

/* Some editors send a Responses request to the Chat route. */
static bool responses_on_chat(const struct exchange *x, const struct ccp_span values[KEYS])
{
    return x->route.format == CCP_FORMAT_OPENAI_CHAT && x->route.op == CCP_OP_GENERATE && values[INPUT].p != NULL &&
           values[MESSAGES].p == NULL;
}

static bool scan(struct exchange *x)
{
    struct ccp_span values[KEYS] = {{NULL, 0}};
    struct ccp_json_error error;
    enum ccp_status status = look_through(x, values, &error);
    if (status == CCP_OVERLOADED) {
        exchange_fail(x, status, "out of memory");
        return false;
    }
    if (status != CCP_OK) {
        exchange_fail(x, CCP_BAD_JSON, "the request body is not valid JSON: %s at line %zu, column %zu (byte %zu)",
                      error.what, error.line, error.column, error.offset);
        return false;
    }
    size_t first = 0;
    while (first < x->body.n && memchr(" \t\r\n", x->body.p[first], 4) != NULL)
        first++;
    if (x->body.p[first] != '{') {
        exchange_fail(x, CCP_BAD_JSON, "the request body is JSON, but not an object (byte %zu)", first);
        return false;
    }
    if (x->route.format == CCP_FORMAT_GEMINI)
        return true;
    if (responses_on_chat(x, values))
        x->body_format = CCP_FORMAT_OPENAI_RESPONSES;
    x->wants_stream = values[STREAM].p != NULL && ccp_span_is(values[STREAM], "true");
    return take_model(x, values[MODEL]);
}

bool body_read(struct exchange *x, bool needed)
{
    if (x->route.format == CCP_FORMAT_GEMINI && x->route.path_model.n != 0) {
        x->client_model =
            CCP_FAULT("body.path_model") ? (struct ccp_span){NULL, 0} : url_decode(&x->arena, x->route.path_model);
        x->wants_stream = x->route.stream_path;
        if (x->client_model.p == NULL) {
            exchange_fail(x, CCP_OVERLOADED, "out of memory");
            return false;
        }
    }
    enum coding coding = coding_of(headers_get(x->headers, x->header_count, CCP_SPAN("content-encoding")));
    if (coding == CODING_UNKNOWN) {
        exchange_fail(x, CCP_BAD_ENCODING, "this content-encoding is not supported; use gzip, zstd or none");
        return false;
    }
    if (!has_model(x))
        return true;
    if (coding != CODING_IDENTITY && !needed)
        return true;
    if (coding != CODING_IDENTITY && !decode(x, coding))
        return false;
    return scan(x);
}

bool body_decode(struct exchange *x)
{
    enum coding coding = coding_of(headers_get(x->headers, x->header_count, CCP_SPAN("content-encoding")));
    if (coding == CODING_UNKNOWN) {
        exchange_fail(x, CCP_BAD_ENCODING, "this content-encoding is not supported; use gzip, zstd or none");
        return false;
    }
    return coding == CODING_IDENTITY || x->body_decoded || decode(x, coding);
}

bool body_parse(struct exchange *x)
{
    enum coding coding = coding_of(headers_get(x->headers, x->header_count, CCP_SPAN("content-encoding")));
    x->crosses = true;
    if (coding != CODING_IDENTITY && !x->body_decoded && !decode(x, coding))
        return false;
    return x->tree != NULL || scan(x);
}
