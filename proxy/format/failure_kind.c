/*
 * What kind of failure it is: by the vendor's own word where that is specific, else by the HTTP status.
 *
 * Words that a vendor uses for everything ("invalid_request_error" with 401, "server_error") only speak when there is
 * no status. The wording of a message decides one thing alone: that the prompt is too long, which some vendors tell in
 * no other way, and which clients act on.
 */
#include <format/failure_impl.h>

static const struct {
    const char *word;
    enum failure_kind kind;
    bool weak; /* the status knows better */
} words[] = {
    {"context_length_exceeded", FAILURE_CONTEXT, false},
    {"model_context_window_exceeded", FAILURE_CONTEXT, false},
    {"model_max_prompt_tokens_exceeded", FAILURE_CONTEXT, false},
    {"exceed_context_size_error", FAILURE_CONTEXT, false},
    {"content_filter", FAILURE_FILTER, false},
    {"content_policy_violation", FAILURE_FILTER, false},
    {"image_content_policy_violation", FAILURE_FILTER, false},
    {"ResponsibleAIPolicyViolation", FAILURE_FILTER, false},
    {"bio_policy", FAILURE_FILTER, false},
    {"cyber_policy", FAILURE_FILTER, false},
    {"insufficient_quota", FAILURE_QUOTA, false},
    {"usage_not_included", FAILURE_QUOTA, false},
    {"billing_hard_limit_reached", FAILURE_QUOTA, false},
    {"billing_error", FAILURE_BILLING, false},
    {"billing_not_active", FAILURE_BILLING, false},
    {"enforced_spend_limit_reached", FAILURE_BILLING, false},
    {"contract_spend_limit_reached", FAILURE_BILLING, false},
    {"rate_limit_error", FAILURE_RATE, false},
    {"rate_limit_exceeded", FAILURE_RATE, false},
    {"usage_limit_reached", FAILURE_RATE, false},
    {"requests", FAILURE_RATE, true},
    {"tokens", FAILURE_RATE, true},
    {"RESOURCE_EXHAUSTED", FAILURE_RATE, false},
    {"ThrottlingException", FAILURE_RATE, false},
    {"TooManyRequestsException", FAILURE_RATE, false},
    {"ServiceQuotaExceededException", FAILURE_QUOTA, false},
    {"authentication_error", FAILURE_AUTH, false},
    {"invalid_api_key", FAILURE_AUTH, false},
    {"API_KEY_INVALID", FAILURE_AUTH, false},
    {"UNAUTHENTICATED", FAILURE_AUTH, false},
    {"InvalidSignatureException", FAILURE_AUTH, false},
    {"IncompleteSignatureException", FAILURE_AUTH, false},
    {"SignatureDoesNotMatch", FAILURE_AUTH, false},
    {"MissingAuthenticationTokenException", FAILURE_AUTH, false},
    {"UnrecognizedClientException", FAILURE_AUTH, false},
    {"InvalidClientTokenId", FAILURE_AUTH, false},
    {"ExpiredTokenException", FAILURE_AUTH, false},
    {"permission_error", FAILURE_PERMISSION, false},
    {"permission_denied", FAILURE_PERMISSION, false},
    {"PERMISSION_DENIED", FAILURE_PERMISSION, false},
    {"AccessDeniedException", FAILURE_PERMISSION, false},
    {"unsupported_country_region_territory", FAILURE_PERMISSION, false},
    {"not_found_error", FAILURE_NOT_FOUND, false},
    {"model_not_found", FAILURE_NOT_FOUND, false},
    {"DeploymentNotFound", FAILURE_NOT_FOUND, false},
    {"ResourceNotFoundException", FAILURE_NOT_FOUND, false},
    {"NOT_FOUND", FAILURE_NOT_FOUND, false},
    {"request_too_large", FAILURE_TOO_LARGE, false},
    {"timeout_error", FAILURE_TIMEOUT, false},
    {"timeout", FAILURE_TIMEOUT, true},
    {"DEADLINE_EXCEEDED", FAILURE_TIMEOUT, false},
    {"ModelTimeoutException", FAILURE_TIMEOUT, false},
    {"overloaded_error", FAILURE_OVERLOADED, false},
    {"server_is_overloaded", FAILURE_OVERLOADED, false},
    {"slow_down", FAILURE_OVERLOADED, false},
    {"UNAVAILABLE", FAILURE_OVERLOADED, false},
    {"service_unavailable_error", FAILURE_OVERLOADED, false},
    {"ServiceUnavailableException", FAILURE_OVERLOADED, false},
    {"ModelNotReadyException", FAILURE_OVERLOADED, false},
    {"api_error", FAILURE_UPSTREAM, true},
    {"server_error", FAILURE_UPSTREAM, true},
    {"INTERNAL", FAILURE_UPSTREAM, true},
    {"UNKNOWN", FAILURE_UPSTREAM, true},
    {"DATA_LOSS", FAILURE_UPSTREAM, true},
    {"invalid_request_error", FAILURE_INVALID, true},
    {"invalid_prompt", FAILURE_INVALID, true},
    {"conflict_error", FAILURE_INVALID, true},
    {"INVALID_ARGUMENT", FAILURE_INVALID, true},
    {"FAILED_PRECONDITION", FAILURE_INVALID, true},
    {"OUT_OF_RANGE", FAILURE_INVALID, true},
    {"ValidationException", FAILURE_INVALID, true},
    {"BadRequestError", FAILURE_INVALID, true},
};

/* How vendors say that the prompt does not fit (Anthropic, OpenAI and its imitators, Gemini, Codex, Copilot, llama.cpp,
 * Bedrock). */
static const char *const too_long[] = {
    "prompt is too long",
    "maximum context length",
    "input token count",
    "exceeds the context window",
    "exceed context limit",
    "prompt token count of",
    "exceeds the available context",
    "input is too long for requested",
    "context length is only",
};

static bool find(ctext word, bool weak, enum failure_kind *kind)
{
    if (word.n == 0)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].weak == weak && ccp_span_is(word, words[i].word)) {
            *kind = words[i].kind;
            return true;
        }
    return false;
}

static enum failure_kind by_status(int http)
{
    switch (http) {
    case 401:
        return FAILURE_AUTH;
    case 402:
        return FAILURE_BILLING;
    case 403:
        return FAILURE_PERMISSION;
    case 404:
        return FAILURE_NOT_FOUND;
    case 408:
    case 504:
    case 524: /* a gateway's own */
        return FAILURE_TIMEOUT;
    case 413:
        return FAILURE_TOO_LARGE;
    case 429:
        return FAILURE_RATE;
    case 503:
    case 529:
        return FAILURE_OVERLOADED;
    default:
        return http >= 400 && http < 500 ? FAILURE_INVALID : FAILURE_UPSTREAM;
    }
}

/* Statuses that a prompt which is too long comes with. */
static bool may_be_context(enum failure_kind kind)
{
    return kind == FAILURE_INVALID || kind == FAILURE_TOO_LARGE || kind == FAILURE_UPSTREAM;
}

enum failure_kind failure_kind_of(int http, ctext type, ctext code, ctext message)
{
    enum failure_kind kind;
    bool status = http >= 400 && http < 600;
    if (find(code, false, &kind) || find(type, false, &kind))
        return kind == FAILURE_TOO_LARGE && failure_says(message, too_long[0]) ? FAILURE_CONTEXT : kind;
    if (status || !(find(code, true, &kind) || find(type, true, &kind)))
        kind = by_status(status ? http : 0);
    for (size_t i = 0; may_be_context(kind) && i < sizeof(too_long) / sizeof(too_long[0]); i++)
        if (failure_says(message, too_long[i]))
            return FAILURE_CONTEXT;
    return kind;
}
