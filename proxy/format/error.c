/*
 * Facts about the formats by table, and ccproxy's own errors in the client's shape: each becomes a failure and takes
 * its words from there (failure.h).
 */
#include <base/status.h>
#include <format/translate.h>
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

/* Words of ours that say more than the vendors' own for the same kind; empty where clients know the vendors'. */
static struct ccp_span own_code(enum ccp_status status)
{
    if (status == CCP_UNAUTHORIZED || status == CCP_OVERLOADED || status == CCP_SHUTTING_DOWN ||
        status == CCP_RATE_LIMITED)
        return CCP_SPAN("");
    return ccp_span_z(status_text(status));
}

/* The error as a failure; its message is `quoted`, which the caller releases. */
static bool as_failure(const struct format_error *e, struct failure *f, struct ccp_buf *quoted)
{
    buf_init(quoted, 64 * 1024);
    if (!json_quote_to(quoted, e->message))
        return false;
    *f = (struct failure){.kind = failure_kind_of(e->http, CCP_SPAN(""), CCP_SPAN(""), CCP_SPAN("")),
                          .http = e->http,
                          .message = {quoted->p + 1, quoted->n - 2},
                          .code = e->code.n != 0 ? e->code : own_code(e->status)};
    if (e->status == CCP_LOGIN_REQUIRED || e->status == CCP_CREDENTIAL_LATER) /* 503, but not for want of room */
        f->kind = FAILURE_UPSTREAM;
    return true;
}

bool format_error_body(enum ccp_format f, const struct format_error *e, struct ccp_buf *out)
{
    struct ccp_buf quoted;
    struct failure failure;
    bool ok = as_failure(e, &failure, &quoted) && failure_body(f, &failure, e->request_id, out);
    buf_release(&quoted);
    return ok;
}

/* Responses has a flat error event of its own. */
static bool write_responses_event(const struct format_error *e, struct ccp_buf *body)
{
    struct ccp_buf quoted;
    struct failure failure;
    bool ok = as_failure(e, &failure, &quoted);
    if (ok) {
        struct out o = out_of(body);
        out_object(&o, NULL);
        out_word(&o, "type", "error");
        out_text(&o, "code", failure_openai_code(&failure));
        failure_message(&o, "message", CCP_FORMAT_OPENAI_RESPONSES, &failure);
        out_null(&o, "param");
        out_end(&o, '}');
    }
    buf_release(&quoted);
    return ok && !body->failed;
}

bool format_error_event(enum ccp_format f, const struct format_error *e, struct ccp_buf *out)
{
    struct ccp_buf body;
    buf_init(&body, 64 * 1024);
    bool responses = f == CCP_FORMAT_OPENAI_RESPONSES;
    struct ccp_span name = responses || f == CCP_FORMAT_ANTHROPIC ? CCP_SPAN("error") : CCP_SPAN("");
    bool ok = responses ? write_responses_event(e, &body) : format_error_body(f, e, &body);
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
