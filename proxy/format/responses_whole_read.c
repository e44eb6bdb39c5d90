/*
 * Reading a response object: the end of a stream, or the whole answer (wire reference C.4, F.6, F.7).
 */
#include <format/responses.h>

static uint64_t tokens(const struct ccp_json *object, const char *key)
{
    int64_t n;
    return prompt_int(ccp_json_get(object, key), &n) && n > 0 ? (uint64_t)n : 0;
}

static uint64_t at_most(uint64_t n, uint64_t max)
{
    return n < max ? n : max;
}

/* The upstream counts what came from the cache into its input; servers exist whose numbers do not add up. */
void responses_read_usage(struct usage *u, uint64_t *seen, const struct ccp_json *usage)
{
    if (usage == NULL || usage->type != CCP_JSON_OBJECT)
        return;
    const struct ccp_json *in = ccp_json_get(usage, "input_tokens_details");
    uint64_t input = tokens(usage, "input_tokens");
    u->cache_read = tokens(in, "cached_tokens");
    u->cache_write = tokens(in, "cache_write_tokens");
    u->input = input - at_most(u->cache_read + u->cache_write, input);
    u->output = tokens(usage, "output_tokens");
    u->reasoning = at_most(tokens(ccp_json_get(usage, "output_tokens_details"), "reasoning_tokens"), u->output);
    u->known = true;
}

/* What the stream has not told: items it never showed, and items it left open. */
static void read_output(struct responses_reader *r, struct delta_stream *s, const struct ccp_json *output)
{
    uint64_t index = 0;
    if (output == NULL || output->type != CCP_JSON_ARRAY)
        return;
    for (const struct ccp_json *m = output->child; m != NULL && !delta_over(s); m = m->next, index++) {
        const struct responses_slot *slot = responses_slot(r, index);
        if (slot != NULL ? slot->item == responses_item_of(m) : index >= r->seen)
            responses_item_done(r, s, index, m);
    }
}

static enum stop stop_of(const struct responses_reader *r, const struct ccp_json *response, const struct ccp_json *type)
{
    const struct ccp_json *reason = ccp_json_get(ccp_json_get(response, "incomplete_details"), "reason");
    if (prompt_is(reason, "content_filter"))
        return STOP_REFUSAL;
    if (prompt_is(ccp_json_get(response, "status"), "incomplete") || prompt_is(type, "response.incomplete"))
        return STOP_LENGTH;
    return r->refused ? STOP_REFUSAL : STOP_END;
}

static bool failed(const struct ccp_json *response, const struct ccp_json *type)
{
    const struct ccp_json *status = ccp_json_get(response, "status"), *error = ccp_json_get(response, "error");
    return prompt_is(type, "response.failed") || prompt_is(type, "response.cancelled") || prompt_is(status, "failed") ||
           prompt_is(status, "cancelled") || (error != NULL && error->type != CCP_JSON_NULL);
}

void responses_final(struct responses_reader *r, struct delta_stream *s, const struct ccp_json *response,
                     const struct ccp_json *event)
{
    const struct ccp_json *type = ccp_json_get(event, "type");
    if (failed(response, type)) {
        responses_fail(s, event != NULL ? event : response);
        return;
    }
    delta_start(s, prompt_ctext(ccp_json_get(response, "id")), prompt_ctext(ccp_json_get(response, "model")));
    responses_read_usage(delta_usage(s), NULL, ccp_json_get(response, "usage"));
    read_output(r, s, ccp_json_get(response, "output"));
    delta_stop(s, stop_of(r, response, type), CCP_SPAN(""));
    delta_finish(s);
}

void responses_read_whole(void *self, struct delta_stream *s, const struct ccp_json *root)
{
    const struct ccp_json *output = ccp_json_get(root, "output");
    if (!failed(root, NULL) && (output == NULL || output->type != CCP_JSON_ARRAY))
        delta_garbled(s, "the provider's answer has no output");
    else
        responses_final(self, s, root, NULL);
}
