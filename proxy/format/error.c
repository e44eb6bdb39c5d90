/*
 * Errors in the client's own shape: one neutral error, four grammars (wire reference A.10, B.7, D.6, F.8).
 */
#include <base/status.h>
#include <format/format.h>
#include <wire/json.h>
#include <wire/sse.h>

static const struct {
    const char *id;
    bool versioned;
} facts[] = {
#define X(name, id, versioned) {id, versioned},
#include <ccproxy/format.def>
#undef X
    {"none", false},
};

const char *format_id(enum ccp_format f)
{
    return facts[f].id;
}

bool format_versioned(enum ccp_format f)
{
    return facts[f].versioned;
}

int format_http_status(enum ccp_format f, enum ccp_status status)
{
    if (f == CCP_FORMAT_ANTHROPIC && (status == CCP_OVERLOADED || status == CCP_SHUTTING_DOWN))
        return 529;
    return status_http(status);
}

static const char *anthropic_type(const struct format_error *e)
{
    switch (e->http) {
    case 400:
    case 405:
    case 415:
    case 421:
    case 426:
        return "invalid_request_error";
    case 401:
        return "authentication_error";
    case 402:
        return "billing_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 409:
        return "conflict_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 504:
        return "timeout_error";
    case 529:
        return "overloaded_error";
    default:
        return e->http < 500 ? "invalid_request_error" : "api_error";
    }
}

static const char *openai_type(const struct format_error *e)
{
    if (e->http == 403)
        return "permission_denied";
    if (e->http == 429)
        return "requests";
    return e->http < 500 ? "invalid_request_error" : "server_error";
}

static const char *openai_code(const struct format_error *e)
{
    switch (e->status) {
    case CCP_UNAUTHORIZED:
        return "invalid_api_key";
    case CCP_LOGIN_REQUIRED:
        return "login_required";
    case CCP_OVERLOADED:
    case CCP_SHUTTING_DOWN:
        return "server_is_overloaded";
    case CCP_RATE_LIMITED:
        return "rate_limit_exceeded";
    default:
        return status_text(e->status);
    }
}

static const char *gemini_status(const struct format_error *e)
{
    if (e->status == CCP_LOGIN_REQUIRED)
        return "UNAVAILABLE";
    switch (e->http) {
    case 401:
        return "UNAUTHENTICATED";
    case 403:
        return "PERMISSION_DENIED";
    case 404:
        return "NOT_FOUND";
    case 429:
        return "RESOURCE_EXHAUSTED";
    case 503:
        return "UNAVAILABLE";
    case 504:
        return "DEADLINE_EXCEEDED";
    default:
        return e->http < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
    }
}

static bool write_anthropic(const struct format_error *e, struct ccp_buf *out)
{
    buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", anthropic_type(e));
    json_quote_to(out, e->message);
    buf_addz(out, "},\"request_id\":");
    json_quote_to(out, e->request_id);
    return buf_addz(out, "}");
}

static bool write_openai(const struct format_error *e, struct ccp_buf *out)
{
    buf_addz(out, "{\"error\":{\"message\":");
    json_quote_to(out, e->message);
    return buf_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}", openai_type(e), openai_code(e));
}

static bool write_gemini(const struct format_error *e, struct ccp_buf *out)
{
    buf_printf(out, "{\"error\":{\"code\":%d,\"message\":", e->http);
    json_quote_to(out, e->message);
    return buf_printf(out, ",\"status\":\"%s\"}}", gemini_status(e));
}

bool format_error_body(enum ccp_format f, const struct format_error *e, struct ccp_buf *out)
{
    switch (f) {
    case CCP_FORMAT_ANTHROPIC:
        return write_anthropic(e, out);
    case CCP_FORMAT_GEMINI:
        return write_gemini(e, out);
    default:
        return write_openai(e, out);
    }
}

/* Responses has a flat error event of its own. */
static bool write_responses_event(const struct format_error *e, struct ccp_buf *out)
{
    buf_printf(out, "{\"type\":\"error\",\"code\":\"%s\",\"message\":", openai_code(e));
    json_quote_to(out, e->message);
    return buf_addz(out, ",\"param\":null}");
}

bool format_error_event(enum ccp_format f, const struct format_error *e, struct ccp_buf *out)
{
    struct ccp_buf body;
    buf_init(&body, 64 * 1024);
    struct ccp_span name = CCP_SPAN("");
    bool ok;
    if (f == CCP_FORMAT_OPENAI_RESPONSES) {
        name = CCP_SPAN("error");
        ok = write_responses_event(e, &body);
    } else {
        if (f == CCP_FORMAT_ANTHROPIC)
            name = CCP_SPAN("error");
        ok = format_error_body(f, e, &body);
    }
    ok = ok && sse_write(out, name, buf_span(&body));
    buf_release(&body);
    return ok;
}

struct ccp_span format_keepalive(enum ccp_format f)
{
    if (f == CCP_FORMAT_ANTHROPIC)
        return CCP_SPAN("event: ping\ndata: {\"type\": \"ping\"}\n\n");
    return f == CCP_FORMAT_NONE ? CCP_SPAN("") : CCP_SPAN(": keep-alive\n\n");
}
