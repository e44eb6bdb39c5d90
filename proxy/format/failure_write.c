/*
 * Failures in the words of the four vendors: one table for upstreams' errors and ccproxy's own, in bodies and in
 * streams (wire reference A.10, B.7, D.6, F.8).
 */
#include <base/assert.h>
#include <format/failure_impl.h>
#include <format/translate.h>

struct words {
    enum failure_kind kind;
    int only; /* this row is for one status, 0 = for all */
    int http; /* when upstream's own does not fit */
    const char *anthropic, *type, *code, *gemini;
    const char *says; /* when nobody else says anything */
};

/* The rows of one status stand before the one for all. */
static const struct words table[] = {
    {FAILURE_INVALID, 409, 409, "conflict_error", "conflict", "conflict", "ABORTED", "conflict with another request"},
    {FAILURE_INVALID, 499, 499, "invalid_request_error", "invalid_request_error", "invalid_request_error", "CANCELLED",
     "the request was cancelled"},
    {FAILURE_INVALID, 0, 400, "invalid_request_error", "invalid_request_error", "invalid_request_error",
     "INVALID_ARGUMENT", "the provider refused the request"},
    {FAILURE_AUTH, 0, 401, "authentication_error", "invalid_request_error", "invalid_api_key", "UNAUTHENTICATED",
     "the credential was refused"},
    {FAILURE_BILLING, 0, 402, "billing_error", "insufficient_quota", "insufficient_quota", "FAILED_PRECONDITION",
     "the provider's account has a billing problem"},
    {FAILURE_PERMISSION, 0, 403, "permission_error", "permission_denied", "permission_denied", "PERMISSION_DENIED",
     "not allowed by the provider"},
    {FAILURE_NOT_FOUND, 0, 404, "not_found_error", "invalid_request_error", "model_not_found", "NOT_FOUND",
     "the provider has no such model or resource"},
    {FAILURE_TOO_LARGE, 0, 413, "request_too_large", "invalid_request_error", "request_too_large", "INVALID_ARGUMENT",
     "the request is too large for the provider"},
    {FAILURE_CONTEXT, 0, 400, "invalid_request_error", "invalid_request_error", "context_length_exceeded",
     "INVALID_ARGUMENT", "the prompt does not fit the model's context window"},
    {FAILURE_FILTER, 0, 400, "invalid_request_error", "invalid_request_error", "content_filter", "INVALID_ARGUMENT",
     "refused by the provider's content filter"},
    {FAILURE_RATE, 0, 429, "rate_limit_error", "requests", "rate_limit_exceeded", "RESOURCE_EXHAUSTED",
     "the provider's rate limit is reached"},
    {FAILURE_QUOTA, 0, 429, "rate_limit_error", "insufficient_quota", "insufficient_quota", "RESOURCE_EXHAUSTED",
     "the provider's quota is used up"},
    {FAILURE_TIMEOUT, 0, 504, "timeout_error", "timeout", "timeout", "DEADLINE_EXCEEDED",
     "the provider did not answer in time"},
    {FAILURE_OVERLOADED, 0, 503, "overloaded_error", "server_error", "server_is_overloaded", "UNAVAILABLE",
     "the provider is overloaded"},
    {FAILURE_UPSTREAM, 501, 501, "api_error", "server_error", "server_error", "UNIMPLEMENTED",
     "the provider does not offer this"},
    {FAILURE_UPSTREAM, 503, 503, "api_error", "server_error", "server_error", "UNAVAILABLE",
     "the provider is not available"},
    {FAILURE_UPSTREAM, 0, 500, "api_error", "server_error", "server_error", "INTERNAL", "the provider failed"},
    {FAILURE_CUT, 0, 502, "api_error", "server_error", "server_error", "INTERNAL",
     "the provider's answer ended before it was complete"},
    {FAILURE_GARBLED, 0, 502, "api_error", "server_error", "server_error", "INTERNAL",
     "the provider's answer is not what its format says"},
};

static const struct words *words_of(const struct failure *f)
{
    const size_t last = sizeof(table) / sizeof(table[0]) - 1;
    size_t i = 0;
    while (i < last && (table[i].kind != f->kind || (table[i].only != 0 && table[i].only != f->http)))
        i++;
    CCP_ASSERT(table[i].kind == f->kind);
    return &table[i];
}

const char *failure_anthropic_type(const struct failure *f)
{
    return words_of(f)->anthropic;
}

const char *failure_openai_type(const struct failure *f)
{
    return words_of(f)->type;
}

const char *failure_gemini_status(const struct failure *f)
{
    return words_of(f)->gemini;
}

/* Clients of OpenAI act on these words; for the others upstream's may say more. */
static bool code_is_fixed(enum failure_kind kind)
{
    return kind == FAILURE_AUTH || kind == FAILURE_CONTEXT || kind == FAILURE_RATE || kind == FAILURE_QUOTA ||
           kind == FAILURE_OVERLOADED || kind == FAILURE_BILLING;
}

static bool in_openai_style(ctext code)
{
    for (size_t i = 0; i < code.n; i++)
        if (code.p[i] != '_' && (code.p[i] < 'a' || code.p[i] > 'z') && (code.p[i] < '0' || code.p[i] > '9'))
            return false;
    return code.n != 0;
}

ctext failure_openai_code(const struct failure *f)
{
    if (!code_is_fixed(f->kind) && in_openai_style(f->code))
        return f->code;
    return ccp_span_z(words_of(f)->code);
}

int failure_http(enum ccp_format to, const struct failure *f)
{
    int http = words_of(f)->http;
    bool keep = (f->kind == FAILURE_INVALID && f->http >= 400 && f->http < 500) ||
                (f->kind == FAILURE_UPSTREAM && f->http >= 500 && f->http < 600 && f->http != 529) ||
                (f->kind == FAILURE_TIMEOUT && f->http == 408);
    if (f->kind == FAILURE_OVERLOADED && to == CCP_FORMAT_ANTHROPIC)
        return 529;
    return keep ? f->http : http;
}

/* -- the message -- */

static bool digit(ctext s, size_t at)
{
    return at < s.n && s.p[at] >= '0' && s.p[at] <= '9';
}

/* Takes a number off the front, thousands separated or not; beyond what a count of tokens can be it stays as it is. */
static uint64_t take_number(ctext *s)
{
    uint64_t value = 0;
    while (digit(*s, 0) || (s->n != 0 && s->p[0] == ',' && digit(*s, 1))) {
        if (s->p[0] != ',' && value <= UINT32_MAX)
            value = value * 10 + (uint64_t)(s->p[0] - '0');
        *s = ccp_span_skip(*s, 1);
    }
    return value;
}

/* The next number that stands on its own, not in a word or a fraction. False: there is none. */
static bool next_number(ctext *s, uint64_t *value)
{
    char before = ' ';
    while (s->n != 0) {
        if (digit(*s, 0) && memchr(" (:=>", before, 5) != NULL) {
            *value = take_number(s);
            if (s->n == 0 || (memchr(" ).,;>\\", s->p[0], 7) != NULL && !digit(*s, 1)))
                return true;
        }
        if (s->n == 0)
            return false;
        before = s->p[0];
        *s = ccp_span_skip(*s, 1);
    }
    return false;
}

/* The tokens there are and the tokens there may be: the first two counts in upstream's words, whichever way round. */
static bool counts(ctext message, uint64_t *tokens, uint64_t *maximum)
{
    uint64_t found[2], n;
    size_t have = 0;
    while (have < 2 && next_number(&message, &n))
        if (n >= 100) /* not a status or "1 image" */
            found[have++] = n;
    if (have < 2 || found[0] == found[1])
        return false;
    *tokens = found[0] > found[1] ? found[0] : found[1];
    *maximum = found[0] > found[1] ? found[1] : found[0];
    return true;
}

static void digits(struct out *o, uint64_t value)
{
    char text[24];
    out_text_add(o, ccp_span_of(text, ccp_digits(text, value, 1)));
}

/* before N between M after */
static void counted(struct out *o, const char *before, uint64_t n, const char *between, uint64_t m, const char *after)
{
    out_text_add(o, ccp_span_z(before));
    digits(o, n);
    out_text_add(o, ccp_span_z(between));
    digits(o, m);
    out_text_add(o, ccp_span_z(after));
}

/* Clients of Anthropic and Gemini know this error by its wording alone. */
static void context_message(struct out *o, enum ccp_format to, ctext message)
{
    uint64_t n, m;
    bool anthropic = to == CCP_FORMAT_ANTHROPIC;
    bool known = anthropic ? ccp_span_starts(message, CCP_SPAN("prompt is too long"))
                           : failure_says(message, "input token count");
    if (!known && counts(message, &n, &m)) {
        if (anthropic)
            counted(o, "prompt is too long: ", n, " tokens > ", m, " maximum");
        else
            counted(o, "The input token count (", n, ") exceeds the maximum number of tokens allowed (", m, ").");
        return;
    }
    if (!known && anthropic)
        out_text_add(o, CCP_SPAN("prompt is too long: "));
    out_text_add(o, message);
}

void failure_message(struct out *o, const char *key, enum ccp_format to, const struct failure *f)
{
    ctext message = f->message.n != 0 ? f->message : ccp_span_z(words_of(f)->says);
    out_text_open(o, key);
    if (f->kind == FAILURE_CONTEXT && (to == CCP_FORMAT_ANTHROPIC || to == CCP_FORMAT_GEMINI))
        context_message(o, to, message);
    else
        out_text_add(o, message);
    out_text_close(o);
}

/* -- the object -- */

static void write_anthropic(struct out *o, const struct failure *f)
{
    out_word(o, "type", failure_anthropic_type(f));
    failure_message(o, "message", CCP_FORMAT_ANTHROPIC, f);
    /* The vendor's tool runners try a thread first and go on without one when they find this word. */
    if (ccp_span_is(f->code, "thread_unsupported_request")) {
        out_object(o, "details");
        out_text(o, "error_code", f->code);
        out_raw(o, "unsupported", CCP_SPAN("[\"provider\"]"));
        out_end(o, '}');
    }
}

static void write_openai(struct out *o, enum ccp_format to, const struct failure *f)
{
    failure_message(o, "message", to, f);
    out_word(o, "type", failure_openai_type(f));
    out_null(o, "param");
    out_text(o, "code", failure_openai_code(f));
}

/* Where Google's own clients look for the time to wait. */
static void write_retry_info(struct out *o, uint64_t ms)
{
    char text[32];
    size_t n = ccp_digits(text, ms / 1000, 1);
    text[n++] = '.';
    n += ccp_digits(text + n, ms % 1000, 3);
    text[n++] = 's';
    out_array(o, "details");
    out_object(o, NULL);
    out_word(o, "@type", "type.googleapis.com/google.rpc.RetryInfo");
    out_text(o, "retryDelay", ccp_span_of(text, n));
    out_end(o, '}');
    out_end(o, ']');
}

static void write_gemini(struct out *o, const struct failure *f)
{
    out_int(o, "code", failure_http(CCP_FORMAT_GEMINI, f));
    failure_message(o, "message", CCP_FORMAT_GEMINI, f);
    out_word(o, "status", failure_gemini_status(f));
    if (f->retry_after_ms != 0)
        write_retry_info(o, f->retry_after_ms);
}

void failure_object(struct out *o, const char *key, enum ccp_format to, const struct failure *f)
{
    out_object(o, key);
    if (to == CCP_FORMAT_ANTHROPIC)
        write_anthropic(o, f);
    else if (to == CCP_FORMAT_GEMINI)
        write_gemini(o, f);
    else
        write_openai(o, to, f);
    out_end(o, '}');
}

bool failure_body(enum ccp_format to, const struct failure *f, struct ccp_span request_id, struct ccp_buf *out)
{
    struct out o = out_of(out);
    out_object(&o, NULL);
    if (to == CCP_FORMAT_ANTHROPIC)
        out_word(&o, "type", "error");
    failure_object(&o, "error", to, f);
    if (to == CCP_FORMAT_ANTHROPIC)
        out_plain(&o, "request_id", request_id);
    out_end(&o, '}');
    return !out->failed;
}
