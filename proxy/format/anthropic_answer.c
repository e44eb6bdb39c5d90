/*
 * What streamed and whole answers to an Anthropic client have in common (wire reference A.5, F.6, F.7).
 */
#include <format/anthropic.h>

static bool plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool is_plain(ctext id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!plain(id.p[i]))
            return false;
    return id.n != 0;
}

/* Upstream's id when it looks like one of ours, else the request's. */
static void write_message_id(struct out *o, const struct answer_to *to, ctext id)
{
    if (ccp_span_starts(id, CCP_SPAN("msg_"))) {
        out_text(o, "id", id);
        return;
    }
    out_text_open(o, "id");
    out_text_add(o, CCP_SPAN("msg_"));
    for (size_t i = 0; i < to->request_id.n; i++)
        out_text_add(o, plain(to->request_id.p[i]) ? ccp_span_of(to->request_id.p + i, 1) : CCP_SPAN("_"));
    out_text_close(o);
}

void anthropic_message_write(struct out *o, const struct answer_to *to, ctext id)
{
    write_message_id(o, to, id);
    out_word(o, "type", "message");
    out_word(o, "role", "assistant");
    out_plain(o, "model", to->model);
}

/* The API's ids have no other letters than these; SDKs and servers check. */
void anthropic_call_id_write(struct out *o, const struct answer_to *to, ctext id, uint64_t index)
{
    if (is_plain(id)) {
        out_text(o, "id", id);
        return;
    }
    char text[5 + 24] = "call_";
    ctext seed = id.n != 0 ? id : to->request_id;
    uint64_t salt = id.n != 0 ? 0 : (index + 1) << 8, one = map_hash(1 + salt, seed), two = map_hash(2 + salt, seed);
    for (int i = 0; i < 16; i++)
        text[5 + i] = "0123456789abcdef"[one >> (60 - 4 * i) & 15];
    for (int i = 0; i < 8; i++)
        text[21 + i] = "0123456789abcdef"[two >> (28 - 4 * i) & 15];
    out_text(o, "id", ccp_span_of(text, sizeof(text)));
}

void anthropic_usage_write(struct out *o, const struct usage *u)
{
    static const struct usage none;
    if (u == NULL)
        u = &none;
    uint64_t hour = u->cache_write_1h < u->cache_write ? u->cache_write_1h : u->cache_write;
    out_object(o, "usage");
    out_int(o, "input_tokens", (int64_t)u->input);
    out_int(o, "cache_creation_input_tokens", (int64_t)u->cache_write);
    out_int(o, "cache_read_input_tokens", (int64_t)u->cache_read);
    out_object(o, "cache_creation");
    out_int(o, "ephemeral_5m_input_tokens", (int64_t)(u->cache_write - hour));
    out_int(o, "ephemeral_1h_input_tokens", (int64_t)hour);
    out_end(o, '}');
    out_int(o, "output_tokens", (int64_t)u->output);
    if (u->reasoning != 0) {
        out_object(o, "output_tokens_details");
        out_int(o, "thinking_tokens", (int64_t)u->reasoning);
        out_end(o, '}');
    }
    out_end(o, '}');
}

static const char *stop_word(enum stop stop)
{
    switch (stop) {
    case STOP_SEQUENCE:
        return "stop_sequence";
    case STOP_LENGTH:
        return "max_tokens";
    case STOP_CONTEXT:
        return "model_context_window_exceeded";
    case STOP_TOOL:
        return "tool_use";
    case STOP_REFUSAL:
        return "refusal";
    case STOP_PAUSE:
        return "pause_turn";
    case STOP_COMPACTION:
        return "compaction";
    default:
        return "end_turn";
    }
}

void anthropic_stop_write(struct out *o, enum stop stop, ctext sequence)
{
    out_word(o, "stop_reason", stop_word(stop));
    if (stop == STOP_SEQUENCE && sequence.n != 0)
        out_text(o, "stop_sequence", sequence);
    else
        out_null(o, "stop_sequence");
    if (stop == STOP_REFUSAL)
        out_raw(o, "stop_details", CCP_SPAN("{\"type\":\"refusal\",\"category\":null,\"explanation\":null}"));
}
