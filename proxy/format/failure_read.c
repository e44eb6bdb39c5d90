/*
 * Upstreams' errors, whatever shape they come in (wire reference B.7, C.6, D.6, F.8).
 *
 * An error object may be the body, stand under "error", in an array or in an event; its text may be "message", "detail"
 * or the error itself; what is no JSON is text, unless it is a page. What is unknown is shown as it is rather than
 * lost.
 */
#include <format/failure_impl.h>
#include <format/translate.h>
#include <wire/json.h>

/* An error object, taken apart. */
struct facts {
    int http;
    struct ccp_span type, code;
    ctext message;
    uint64_t retry_ms;
};

static bool object(const struct ccp_json *v)
{
    return v != NULL && v->type == CCP_JSON_OBJECT;
}

static bool text(const struct ccp_json *v)
{
    return v != NULL && v->type == CCP_JSON_STRING && v->raw.n > 2;
}

static int status_number(const struct ccp_json *v)
{
    int64_t n;
    return v != NULL && v->type == CCP_JSON_NUMBER && prompt_int(v, &n) && n >= 400 && n < 600 ? (int)n : 0;
}

static const struct ccp_json *first_text(const struct ccp_json *v, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        if (text(ccp_json_get(v, *keys)))
            return ccp_json_get(v, *keys);
    return NULL;
}

/* The text in an object, or in the first object of a list in it (FastAPI's "detail", GitHub's "errors"). */
static const struct ccp_json *text_in(const struct ccp_json *v)
{
    static const char *const keys[] = {"message",           "detail", "Message", "errorMessage",
                                       "error_description", "msg",    NULL};
    static const char *const lists[] = {"detail", "errors", NULL};
    const struct ccp_json *found = first_text(v, keys);
    for (size_t i = 0; found == NULL && lists[i] != NULL; i++) {
        const struct ccp_json *inner = ccp_json_get(v, lists[i]);
        if (inner != NULL && inner->type == CCP_JSON_ARRAY)
            inner = inner->child;
        found = first_text(inner, keys);
    }
    return found;
}

/* The object that describes the error: below "error" or "detail", below "response" (response.failed), or the root
 * itself. */
static const struct ccp_json *error_in(const struct ccp_json *root)
{
    const struct ccp_json *e = ccp_json_get(root, "error");
    if (!object(e))
        e = ccp_json_get(root, "detail");
    if (object(e))
        return e;
    e = ccp_json_get(ccp_json_get(root, "response"), "error");
    return object(e) ? e : root;
}

static const struct ccp_json *unwrap(const struct ccp_json *root)
{
    return root != NULL && root->type == CCP_JSON_ARRAY && object(root->child) ? root->child : root;
}

/* Google's ErrorInfo and Anthropic's details say more than status and type. */
static struct ccp_span detailed_code(const struct ccp_json *e)
{
    const struct ccp_json *details = ccp_json_get(e, "details");
    if (object(details))
        return ccp_json_inner(ccp_json_get(details, "error_code"));
    if (details != NULL && details->type == CCP_JSON_ARRAY)
        for (const struct ccp_json *d = details->child; d != NULL; d = d->next)
            if (text(ccp_json_get(d, "reason")))
                return ccp_json_inner(ccp_json_get(d, "reason"));
    return CCP_SPAN("");
}

static void words_of(struct facts *facts, const struct ccp_json *e)
{
    facts->code = ccp_json_inner(ccp_json_get(e, "code"));
    if (facts->code.n == 0)
        facts->code = detailed_code(e);
    if (facts->code.n == 0)
        facts->code = ccp_json_inner(ccp_json_get(ccp_json_get(e, "innererror"), "code"));
    facts->type = ccp_json_inner(ccp_json_get(e, "type"));
    if (text(ccp_json_get(e, "status"))) /* Google */
        facts->type = ccp_json_inner(ccp_json_get(e, "status"));
    if (facts->type.n == 0) { /* AWS: "com.amazon.coral.service#UnrecognizedClientException" */
        struct ccp_span type = ccp_json_inner(ccp_json_get(e, "__type"));
        size_t hash = ccp_span_find(type, '#');
        facts->type = hash == type.n ? type : ccp_span_skip(type, hash + 1);
    }
}

static ctext message_of(struct arena *a, const struct ccp_json *root, const struct ccp_json *e)
{
    const struct ccp_json *found = text_in(e);
    if (found == NULL)
        found = text_in(root);
    if (found == NULL && text(ccp_json_get(root, "error"))) /* {"error":"model 'x' not found"} */
        found = ccp_json_get(root, "error");
    if (found == NULL && text(root))
        found = root;
    return found != NULL ? failure_text_of_json(a, ccp_json_inner(found)) : failure_text(a, e->raw);
}

static void read_json(struct facts *facts, struct arena *a, const struct ccp_json *root)
{
    root = unwrap(root);
    const struct ccp_json *e = error_in(root);
    words_of(facts, e);
    if (facts->code.n == 0) /* {"error":"invalid_grant","error_description":"..."} */
        facts->code = ccp_json_inner(ccp_json_get(root, "error"));
    if (facts->http == 0)
        facts->http = status_number(ccp_json_get(e, "code"));
    if (facts->http == 0)
        facts->http = status_number(ccp_json_get(e, "status"));
    facts->message = message_of(a, root, e);
    facts->retry_ms = failure_retry_of_json(e);
}

static void conclude(struct failure *f, struct arena *a, const struct facts *facts)
{
    *f = (struct failure){.http = facts->http,
                          .message = facts->message,
                          .code = arena_dup(a, failure_word(facts->code)),
                          .retry_after_ms = facts->retry_ms};
    if (f->code.p == NULL)
        f->code = CCP_SPAN("");
    f->kind = failure_kind_of(f->http, facts->type, facts->code, f->message);
    if (f->message.n == 0 && f->http != 0)
        f->message = arena_printf(a, "the provider answered with status %d and no reason", f->http);
    if (f->message.n == 0)
        f->message = CCP_SPAN("the provider reported an error without a reason");
}

void failure_of_json(struct failure *f, struct arena *a, int http, const struct ccp_json *root)
{
    struct facts facts = {.http = http >= 400 ? http : 0, .message = CCP_SPAN("")};
    if (root != NULL)
        read_json(&facts, a, root);
    conclude(f, a, &facts);
}

/* The JSON in a body: as it is, behind a byte order mark, or the data of an error that came as an event. */
static struct ccp_span json_in(struct ccp_span body)
{
    if (ccp_span_starts(body, CCP_SPAN("\xef\xbb\xbf")))
        body = ccp_span_skip(body, 3);
    if (!ccp_span_starts(body, CCP_SPAN("data:")) && !ccp_span_starts(body, CCP_SPAN("event:")))
        return body;
    while (body.n != 0 && !ccp_span_starts(body, CCP_SPAN("data:"))) {
        size_t line = ccp_span_find(body, '\n');
        body = ccp_span_skip(body, line + 1);
    }
    body = ccp_span_skip(body, 5);
    return ccp_span_of(body.p, ccp_span_find(body, '\n'));
}

/* Bedrock: "ValidationException:http://internal.amazon.com/". */
static struct ccp_span type_in_headers(const struct ccp_header *headers, size_t n)
{
    const struct ccp_header *h = failure_header(headers, n, "x-amzn-errortype");
    return h != NULL ? ccp_span_of(h->value.p, ccp_span_find(h->value, ':')) : CCP_SPAN("");
}

void failure_read(struct failure *f, struct arena *a, int http, const struct ccp_header *headers, size_t n,
                  struct ccp_span body)
{
    struct facts facts = {.http = http >= 400 ? http : 0, .message = CCP_SPAN("")};
    struct ccp_json *root = NULL;
    if (json_parse(a, json_in(body), &root, NULL) == CCP_OK)
        read_json(&facts, a, root);
    else
        facts.message = failure_text(a, body);
    struct ccp_span type = type_in_headers(headers, n);
    if (type.n != 0)
        facts.type = type;
    conclude(f, a, &facts);
    uint64_t told = failure_retry_of_headers(headers, n, f->kind == FAILURE_RATE);
    if (told != 0)
        f->retry_after_ms = told;
}

bool failure_in_body(const struct ccp_json *root)
{
    static const char *const answers[] = {"choices",     "content", "output",       "candidates",
                                          "totalTokens", "data",    "input_tokens", "response"};
    root = unwrap(root);
    if (!object(root))
        return false;
    const struct ccp_json *e = ccp_json_get(root, "error");
    if (object(e) || text(e) || prompt_is(ccp_json_get(root, "type"), "error") ||
        prompt_is(ccp_json_get(root, "object"), "error"))
        return true;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (ccp_json_get(root, answers[i]) != NULL)
            return false;
    return text_in(root) != NULL;
}
