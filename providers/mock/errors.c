/*
 * Error bodies, each in the shape and the words of its wire format.
 */
#include "mock.h"

#include <inttypes.h>

struct names {
    int status;
    const char *anthropic, *openai_type, *openai_code, *gemini;
};

static const struct names known[] = {
    {400, "invalid_request_error", "invalid_request_error", NULL, "INVALID_ARGUMENT"},
    {401, "authentication_error", "invalid_request_error", "invalid_api_key", "UNAUTHENTICATED"},
    {402, "billing_error", "insufficient_quota", "insufficient_quota", "FAILED_PRECONDITION"},
    {403, "permission_error", "permission_denied", NULL, "PERMISSION_DENIED"},
    {404, "not_found_error", "invalid_request_error", "model_not_found", "NOT_FOUND"},
    {408, "timeout_error", "timeout", NULL, "DEADLINE_EXCEEDED"},
    {409, "conflict_error", "conflict", NULL, "ABORTED"},
    {413, "request_too_large", "invalid_request_error", NULL, "INVALID_ARGUMENT"},
    {429, "rate_limit_error", "requests", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"},
    {501, "api_error", "server_error", NULL, "UNIMPLEMENTED"},
    {503, "overloaded_error", "server_error", "server_is_overloaded", "UNAVAILABLE"},
    {504, "timeout_error", "timeout", NULL, "DEADLINE_EXCEEDED"},
    {529, "overloaded_error", "server_error", "server_is_overloaded", "UNAVAILABLE"},
};

static const struct names *names_of(int status)
{
    static const struct names client = {400, "invalid_request_error", "invalid_request_error", NULL,
                                        "INVALID_ARGUMENT"};
    static const struct names server = {500, "api_error", "server_error", NULL, "INTERNAL"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].status == status)
            return &known[i];
    return status < 500 ? &client : &server;
}

static void put_anthropic(struct mock_out *out, const struct mock_ask *ask, const struct names *names,
                          struct ccp_span message)
{
    mock_putf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", names->anthropic);
    mock_quote(out, message);
    mock_putf(out, "},\"request_id\":\"req_%016" PRIx64 "\"}", ask->hash);
}

static void put_openai(struct mock_out *out, const struct names *names, struct ccp_span message)
{
    mock_putz(out, "{\"error\":{\"message\":");
    mock_quote(out, message);
    mock_putf(out, ",\"type\":\"%s\",\"param\":null,\"code\":", names->openai_type);
    if (names->openai_code != NULL)
        mock_putf(out, "\"%s\"}}", names->openai_code);
    else
        mock_putz(out, "null}}");
}

/* A stream that is not SSE is an array, also when it is an error. */
static void put_gemini(struct mock_out *out, const struct mock_ask *ask, int status, const struct names *names,
                       struct ccp_span message, uint64_t retry_after_s)
{
    bool array = ask->target.stream && !ask->target.sse;
    mock_putf(out, "%s{\"error\":{\"code\":%d,\"message\":", array ? "[" : "", status);
    mock_quote(out, message);
    mock_putf(out, ",\"status\":\"%s\"", names->gemini);
    if (retry_after_s != 0)
        mock_putf(out,
                  ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"%" PRIu64
                  "s\"}]",
                  retry_after_s);
    mock_putf(out, "}}%s", array ? "]" : "");
}

void mock_error_body(struct mock_out *out, const struct mock_ask *ask, int status, const char *message,
                     uint64_t retry_after_s)
{
    const struct names *names = names_of(status);
    if (ask->target.format == CCP_FORMAT_ANTHROPIC)
        put_anthropic(out, ask, names, ccp_span_z(message));
    else if (ask->target.format == CCP_FORMAT_GEMINI)
        put_gemini(out, ask, status, names, ccp_span_z(message), retry_after_s);
    else
        put_openai(out, names, ccp_span_z(message));
}
