/*
 * Errors inside a Responses stream, both ways (wire reference C.5, F.8). What they mean is failure.h's business; here
 * is where they stand, and the one thing that only this format's clients need: the time to wait, in the message.
 */
#include <format/failure.h>
#include <format/responses.h>

void responses_fail(struct delta_stream *s, const struct ccp_json *root)
{
    static const struct failure silent = {.kind = FAILURE_UPSTREAM,
                                          .message = CCP_LIT("the provider gave up on this answer without a reason")};
    const struct ccp_json *response = ccp_json_get(root, "response"), *error = ccp_json_get(root, "error");
    struct failure f;
    if (error == NULL || error->type == CCP_JSON_NULL)
        error = ccp_json_get(response, "error");
    bool flat = error == NULL && prompt_is(ccp_json_get(root, "type"), "error");
    if (!flat && (error == NULL || error->type == CCP_JSON_NULL)) {
        delta_fail(s, &silent);
        return;
    }
    failure_of_json(&f, s->scratch, 0, root);
    delta_fail(s, &f);
}

static bool names_time(ctext message)
{
    return message.n != 0 && memmem(message.p, message.n, "try again in", 12) != NULL;
}

static void write_time(struct out *o, uint64_t ms)
{
    char digits[48];
    size_t n = ccp_digits(digits, ms / 1000, 1);
    digits[n++] = '.';
    n += ccp_digits(digits + n, ms % 1000, 3);
    out_text_add(o, CCP_SPAN(" Please try again in "));
    out_text_add(o, ccp_span_of(digits, n));
    out_text_add(o, CCP_SPAN("s."));
}

void responses_error_write(struct out *o, const struct failure *f)
{
    out_text(o, "code", failure_openai_code(f));
    if (f->retry_after_ms == 0 || f->message.n == 0 || names_time(f->message)) {
        failure_message(o, "message", CCP_FORMAT_OPENAI_RESPONSES, f);
        return;
    }
    out_text_open(o, "message");
    out_text_add(o, f->message);
    write_time(o, f->retry_after_ms);
    out_text_close(o);
}
