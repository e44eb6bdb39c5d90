/*
 * Reading system text, messages and their content blocks (wire reference A.4).
 *
 * A client of this format echoes everything the model said, also what only its own provider's servers can read: calls
 * of server tools and their results, compactions. Those are dropped by name. What a user said is carried or refused.
 */
#include <format/anthropic.h>
#include <format/proof.h>

bool anthropic_refuse(struct prompt *p, const struct block_place *at, const char *reason)
{
    struct part here = {.message = at->message, .index = at->index};
    return prompt_fail_at(p, &here, "%s", reason);
}

struct part *anthropic_part(struct prompt *p, const struct block_place *at, enum part_kind kind,
                            const struct ccp_json *block)
{
    struct part *part =
        at->result != NULL ? prompt_result_part(p, at->result, kind) : prompt_part(p, at->turn, kind, at->index);
    if (part == NULL)
        return NULL;
    const struct ccp_json *mark = ccp_json_get(block, "cache_control");
    part->node = block;
    part->cache = mark != NULL && mark->type == CCP_JSON_OBJECT;
    if (part->cache)
        fields_seen(p, PARAM_CACHE, "cache_control");
    return part;
}

/* Says once that members which mean something stay behind. */
static void drop_members(struct prompt *p, const struct ccp_json *block)
{
    static const char *const names[] = {"citations", "caller", "toolset_name", "transformations"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct ccp_json *m = ccp_json_get(block, names[i]);
        if (m != NULL && m->type >= CCP_JSON_ARRAY && m->count == 0)
            continue;
        if (m != NULL && m->type != CCP_JSON_NULL && !ccp_span_is(m->key, "caller"))
            prompt_drop(p, names[i]);
    }
}

static bool read_text(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    const struct ccp_json *text = ccp_json_get(block, "text");
    if (text == NULL || text->type != CCP_JSON_STRING)
        return anthropic_refuse(p, at, "text must be a string");
    struct part *part = anthropic_part(p, at, PART_TEXT, block);
    if (part != NULL)
        part->text = prompt_ctext(text);
    return part != NULL;
}

static bool read_thinking(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    if (at->turn->role != ROLE_ASSISTANT)
        return anthropic_refuse(p, at, "thinking belongs into a message of the assistant");
    struct part *part = anthropic_part(p, at, PART_THINKING, block);
    if (part == NULL)
        return false;
    part->text = prompt_ctext(ccp_json_get(block, "thinking"));
    return proof_read(p, &part->proof, PROOF_SIGNATURE, prompt_ctext(ccp_json_get(block, "signature")));
}

static bool read_redacted(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    if (at->turn->role != ROLE_ASSISTANT)
        return anthropic_refuse(p, at, "redacted_thinking belongs into a message of the assistant");
    struct part *part = anthropic_part(p, at, PART_THINKING, block);
    return part != NULL && proof_read(p, &part->proof, PROOF_REDACTED, prompt_ctext(ccp_json_get(block, "data")));
}

static bool read_call(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    ctext id = prompt_ctext(ccp_json_get(block, "id")), name = prompt_ctext(ccp_json_get(block, "name"));
    const struct ccp_json *input = ccp_json_get(block, "input");
    if (at->turn->role != ROLE_ASSISTANT)
        return anthropic_refuse(p, at, "tool_use belongs into a message of the assistant");
    if (id.n == 0 || name.n == 0)
        return anthropic_refuse(p, at, "tool_use needs an id and a name");
    if (input != NULL && input->type != CCP_JSON_OBJECT && input->type != CCP_JSON_NULL)
        return anthropic_refuse(p, at, "input must be an object");
    struct part *part = anthropic_part(p, at, PART_CALL, block);
    if (part == NULL)
        return false;
    part->id = id;
    part->name = name;
    part->args.raw = input != NULL && input->type == CCP_JSON_OBJECT ? input->raw : CCP_SPAN("{}");
    return true;
}

static bool read_result_content(struct prompt *p, struct block_place *at, const struct ccp_json *content)
{
    if (content == NULL || content->type == CCP_JSON_NULL)
        return true;
    if (content->type == CCP_JSON_STRING) {
        struct part *text = prompt_result_part(p, at->result, PART_TEXT);
        if (text != NULL)
            text->text = prompt_ctext(content);
        return text != NULL;
    }
    if (content->type != CCP_JSON_ARRAY)
        return anthropic_refuse(p, at, "content must be a string or an array");
    for (const struct ccp_json *block = content->child; block != NULL; block = block->next)
        if (!anthropic_block_read(p, at, block))
            return false;
    return true;
}

static bool read_result(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    ctext id = prompt_ctext(ccp_json_get(block, "tool_use_id"));
    if (at->turn->role == ROLE_ASSISTANT || at->result != NULL)
        return anthropic_refuse(p, at, "tool_result belongs into a message of the user");
    if (id.n == 0)
        return anthropic_refuse(p, at, "tool_result needs a tool_use_id");
    struct part *result = anthropic_part(p, at, PART_RESULT, block);
    if (result == NULL)
        return false;
    result->id = id;
    result->failed = prompt_true(ccp_json_get(block, "is_error"));
    struct block_place inside = *at;
    inside.result = result;
    return read_result_content(p, &inside, ccp_json_get(block, "content"));
}

/* The text of a compaction is what is left of the conversation before it. */
static bool read_compaction(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    const struct ccp_json *content = ccp_json_get(block, "content");
    prompt_drop(p, "compaction");
    if (content == NULL || content->type != CCP_JSON_STRING)
        return true;
    struct part *part = anthropic_part(p, at, PART_TEXT, block);
    if (part != NULL)
        part->text = prompt_ctext(content);
    return part != NULL;
}

/* What the provider's own servers made, and what only steers them. */
static bool is_provider_made(ctext type)
{
    static const char *const others[] = {"server_tool_use", "mcp_tool_use",  "mcp_tool_listing", "fallback",
                                         "tool_reference",  "tool_addition", "tool_removal"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (ccp_span_is(type, others[i]))
            return true;
    return type.n > 12 && ccp_span_ends(type, CCP_SPAN("_tool_result"));
}

static const struct {
    const char *type;
    bool (*read)(struct prompt *p, const struct block_place *at, const struct ccp_json *block);
} kinds[] = {
    {"text", read_text},
    {"tool_use", read_call},
    {"tool_result", read_result},
    {"thinking", read_thinking},
    {"redacted_thinking", read_redacted},
    {"image", anthropic_image_read},
    {"document", anthropic_document_read},
    {"search_result", anthropic_search_result_read},
    {"container_upload", anthropic_upload_read},
    {"compaction", read_compaction},
};

bool anthropic_block_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block)
{
    ctext type = prompt_ctext(ccp_json_get(block, "type"));
    if (block->type != CCP_JSON_OBJECT || type.n == 0)
        return anthropic_refuse(p, at, "must be an object with a type");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!ccp_span_is(type, kinds[i].type))
            continue;
        drop_members(p, block);
        return kinds[i].read(p, at, block);
    }
    if (!is_provider_made(type)) {
        struct part here = {.message = at->message, .index = at->index};
        return prompt_fail_at(p, &here, "content of type %.*s cannot be carried over", CCP_FMT(type));
    }
    prompt_drop_span(p, type);
    return p->status == CCP_OK;
}

static bool read_content(struct prompt *p, struct turn *turn, uint32_t message, const struct ccp_json *content)
{
    struct block_place at = {.turn = turn, .message = message};
    if (content != NULL && content->type == CCP_JSON_STRING) {
        struct part *part = prompt_part(p, turn, PART_TEXT, 0);
        if (part != NULL)
            part->text = prompt_ctext(content);
        return part != NULL;
    }
    if (content == NULL || content->type != CCP_JSON_ARRAY)
        return message == UINT32_MAX
                   ? prompt_fail(p, "system: must be a string or an array")
                   : prompt_fail(p, "messages[%u].content: must be a string or an array", (unsigned)message);
    for (const struct ccp_json *block = content->child; block != NULL; block = block->next, at.index++)
        if (!anthropic_block_read(p, &at, block))
            return false;
    return true;
}

bool anthropic_system_read(struct prompt *p, const struct ccp_json *node)
{
    if (node == NULL || node->type == CCP_JSON_NULL)
        return true;
    struct turn *turn = prompt_turn(p, ROLE_SYSTEM, UINT32_MAX);
    if (turn == NULL || !read_content(p, turn, UINT32_MAX, node))
        return false;
    for (const struct part *part = turn->parts; part != NULL; part = part->next)
        if (part->kind != PART_TEXT)
            return prompt_fail_at(p, part, "only text can stand in the system prompt");
    return true;
}

static bool read_role(struct prompt *p, const struct ccp_json *message, uint32_t index, enum role *role)
{
    const struct ccp_json *word = ccp_json_get(message, "role");
    if (prompt_is(word, "user"))
        *role = ROLE_USER;
    else if (prompt_is(word, "assistant"))
        *role = ROLE_ASSISTANT;
    else if (prompt_is(word, "system"))
        *role = ROLE_SYSTEM;
    else
        return prompt_fail(p, "messages[%u].role: must be user, assistant or system", (unsigned)index);
    return true;
}

bool anthropic_messages_read(struct prompt *p, const struct ccp_json *messages)
{
    if (messages == NULL || messages->type != CCP_JSON_ARRAY)
        return prompt_fail(p, "messages: must be an array");
    if (messages->child == NULL)
        return prompt_fail(p, "messages: at least one message is required");
    uint32_t index = 0;
    for (const struct ccp_json *m = messages->child; m != NULL; m = m->next, index++) {
        enum role role = ROLE_USER;
        if (m->type != CCP_JSON_OBJECT)
            return prompt_fail(p, "messages[%u]: must be an object", (unsigned)index);
        if (!read_role(p, m, index, &role))
            return false;
        struct turn *turn = prompt_turn(p, role, index);
        if (turn == NULL || !read_content(p, turn, index, ccp_json_get(m, "content")))
            return false;
    }
    return p->status == CCP_OK;
}
