/*
 * A Chat request's messages into turns (wire reference B.3).
 *
 * One turn per message, except that tool messages in a row share a user turn. A message's part order is thinking, text,
 * calls: the format knows no other. Some clients put Anthropic's blocks into Chat's messages when the model is called
 * claude (calls and results among the content's parts), or Mistral's thinking: these are read for what they mean.
 */
#include <base/fault.h>
#include <format/chat.h>

struct reading {
    struct prompt *p;
    struct turn *results; /* the turn of the tool messages right before, or NULL */
    ctext function_id;    /* of the last deprecated function_call that waits for its answer */
    uint32_t index;
};

static bool wrong(struct reading *r, const char *member, const char *wanted)
{
    return prompt_fail(r->p, "messages[%u].%s must be %s", r->index, member, wanted);
}

static bool marked(const struct ccp_json *node)
{
    return chat_get(node, "prompt_cache_breakpoint") != NULL || chat_get(node, "cache_control") != NULL ||
           chat_get(node, "copilot_cache_control") != NULL;
}

/* -- content -- */

/* Where new parts go: a turn, or a result. */
struct target {
    struct turn *turn;
    struct part *result;
};

static struct part *add(struct reading *r, const struct target *to, enum part_kind kind, uint32_t index,
                        const struct ccp_json *node)
{
    struct part *part =
        to->result != NULL ? prompt_result_part(r->p, to->result, kind) : prompt_part(r->p, to->turn, kind, index);
    if (part == NULL)
        return NULL;
    part->index = index;
    part->node = node;
    part->cache = marked(node);
    return part;
}

static bool read_text(struct reading *r, const struct target *to, const struct ccp_json *node, uint32_t i,
                      const char *member, enum part_kind kind)
{
    const struct ccp_json *text = chat_get(node, member);
    struct part *part = add(r, to, kind, i, node);
    if (part == NULL)
        return false;
    if (text == NULL || text->type != CCP_JSON_STRING)
        return prompt_fail_at(r->p, part, "%s must be a string", member);
    if (chat_get(node, "annotations") != NULL)
        prompt_drop(r->p, "annotations");
    part->text = prompt_ctext(text);
    return true;
}

static bool read_image(struct reading *r, const struct target *to, const struct ccp_json *node, uint32_t i)
{
    const struct ccp_json *image = chat_get(node, "image_url"), *url = image;
    if (image != NULL && image->type == CCP_JSON_OBJECT)
        url = chat_get(image, "url");
    struct part *part = add(r, to, PART_IMAGE, i, node);
    if (part == NULL)
        return false;
    if (url == NULL || url->type != CCP_JSON_STRING || url->raw.n == 2)
        return prompt_fail_at(r->p, part, "image_url.url must be a URL");
    part->detail = prompt_ctext(chat_get(image, "detail"));
    return prompt_data_url(r->p, part, prompt_ctext(url));
}

static bool read_audio(struct reading *r, const struct target *to, const struct ccp_json *node, uint32_t i)
{
    const struct ccp_json *audio = chat_get(node, "input_audio"), *data = chat_get(audio, "data"),
                          *format = chat_get(audio, "format");
    struct part *part = add(r, to, PART_AUDIO, i, node);
    if (part == NULL)
        return false;
    if (data == NULL || data->type != CCP_JSON_STRING || data->raw.n == 2)
        return prompt_fail_at(r->p, part, "input_audio.data must be base64 text");
    if (!prompt_is(format, "wav") && !prompt_is(format, "mp3"))
        return prompt_fail_at(r->p, part, "input_audio.format must be wav or mp3");
    part->source = MEDIA_BASE64;
    part->mime = prompt_is(format, "wav") ? CCP_SPAN("audio/wav") : CCP_SPAN("audio/mp3");
    part->data = prompt_ctext(data);
    return true;
}

static bool read_file(struct reading *r, const struct target *to, const struct ccp_json *node, uint32_t i)
{
    const struct ccp_json *file = chat_get(node, "file");
    ctext data = prompt_ctext(chat_get(file, "file_data")), id = prompt_ctext(chat_get(file, "file_id"));
    struct part *part = add(r, to, PART_DOCUMENT, i, node);
    if (part == NULL)
        return false;
    part->title = prompt_ctext(chat_get(file, "filename"));
    if (data.n != 0)
        return prompt_file_data(r->p, part, data);
    if (id.n == 0)
        return prompt_fail_at(r->p, part, "file must have file_data or file_id");
    part->source = MEDIA_FILE_ID;
    part->data = id;
    return true;
}

/* -- blocks of other formats -- */

static bool misplaced(struct reading *r, uint32_t i, const char *why)
{
    return prompt_fail(r->p, "messages[%u].content[%u]: %s", r->index, i, why);
}

static bool read_tool_use(struct reading *r, const struct target *to, const struct ccp_json *node, uint32_t i)
{
    const struct ccp_json *input = chat_get(node, "input");
    struct part *call = add(r, to, PART_CALL, i, node);
    if (call == NULL)
        return false;
    if (to->result != NULL || to->turn->role != ROLE_ASSISTANT)
        return misplaced(r, i, "tool_use belongs into a message of the assistant");
    call->id = prompt_ctext(chat_get(node, "id"));
    call->name = prompt_ctext(chat_get(node, "name"));
    call->args.raw = input != NULL ? input->raw : CCP_SPAN("{}");
    return (call->id.n != 0 && call->name.n != 0) || misplaced(r, i, "tool_use needs an id and a name");
}

static bool read_content(struct reading *r, const struct target *to, const struct ccp_json *message, bool required);

static bool read_tool_result(struct reading *r, const struct target *to, const struct ccp_json *node, uint32_t i)
{
    struct part *result = add(r, to, PART_RESULT, i, node);
    if (result == NULL)
        return false;
    if (to->result != NULL || to->turn->role != ROLE_USER)
        return misplaced(r, i, "tool_result belongs into a message of the user");
    result->id = prompt_ctext(chat_get(node, "tool_use_id"));
    result->failed = prompt_true(chat_get(node, "is_error"));
    if (result->id.n == 0)
        return misplaced(r, i, "tool_result needs a tool_use_id");
    return read_content(r, &(struct target){.result = result}, node, false);
}

/* Mistral: thinking is a list of texts; Anthropic: one text. Without a proof that anybody could check. */
static bool read_thinking(struct reading *r, const struct target *to, const struct ccp_json *node, uint32_t i)
{
    const struct ccp_json *thinking = chat_get(node, "thinking");
    bool list = thinking != NULL && thinking->type == CCP_JSON_ARRAY;
    if (to->result != NULL || to->turn->role != ROLE_ASSISTANT)
        return misplaced(r, i, "thinking belongs into a message of the assistant");
    for (const struct ccp_json *t = list ? thinking->child : thinking; t != NULL; t = list ? t->next : NULL) {
        struct part *part = add(r, to, PART_THINKING, i, node);
        if (part == NULL)
            return false;
        part->text = prompt_ctext(list ? chat_get(t, "text") : t);
    }
    return true;
}

static bool read_part(struct reading *r, const struct target *to, const struct ccp_json *node, uint32_t i)
{
    const struct ccp_json *type = chat_get(node, "type");
    if (prompt_is(type, "text") || (type == NULL && chat_get(node, "text") != NULL))
        return read_text(r, to, node, i, "text", PART_TEXT);
    if (prompt_is(type, "image_url"))
        return read_image(r, to, node, i);
    if (prompt_is(type, "input_audio"))
        return read_audio(r, to, node, i);
    if (prompt_is(type, "file"))
        return read_file(r, to, node, i);
    if (prompt_is(type, "refusal"))
        return read_text(r, to, node, i, "refusal", PART_REFUSAL);
    if (prompt_is(type, "tool_use"))
        return read_tool_use(r, to, node, i);
    if (prompt_is(type, "tool_result"))
        return read_tool_result(r, to, node, i);
    if (prompt_is(type, "thinking"))
        return read_thinking(r, to, node, i);
    if (type == NULL || type->type != CCP_JSON_STRING)
        return prompt_fail(r->p, "messages[%u].content[%u].type must be a string", r->index, i);
    ctext word = prompt_ctext(type);
    return prompt_fail(r->p, "messages[%u].content[%u]: parts of type %.*s cannot be carried over", r->index, i,
                       (int)(word.n < 64 ? word.n : 64), word.p);
}

static bool read_content(struct reading *r, const struct target *to, const struct ccp_json *message, bool required)
{
    const struct ccp_json *content = chat_get(message, "content");
    uint32_t i = 0;
    if (content == NULL)
        return !required || wrong(r, "content", "a string or an array of parts");
    if (content->type == CCP_JSON_STRING) {
        struct part *part = add(r, to, PART_TEXT, 0, message);
        if (part == NULL)
            return false;
        part->text = prompt_ctext(content);
        return true;
    }
    if (content->type != CCP_JSON_ARRAY)
        return wrong(r, "content", "a string or an array of parts");
    for (const struct ccp_json *node = content->child; node != NULL; node = node->next)
        if (!read_part(r, to, node, i++))
            return false;
    return true;
}

/* System text is text alone; so is what an assistant said before. */
static bool only_text(struct reading *r, const struct turn *turn)
{
    for (const struct part *part = turn->parts; part != NULL; part = part->next)
        if (part->kind >= PART_IMAGE && part->kind <= PART_VIDEO)
            return prompt_fail_at(r->p, part, "a message of this role can only have text");
    return true;
}

/* -- tool calls of an assistant -- */

static bool read_arguments(struct reading *r, struct part *call, const struct ccp_json *arguments)
{
    call->args = (struct arguments){CCP_SPAN("{}"), false};
    if (arguments == NULL)
        return true;
    if (arguments->type == CCP_JSON_STRING)
        call->args = (struct arguments){prompt_ctext(arguments), true};
    else if (arguments->type == CCP_JSON_OBJECT)
        call->args.raw = arguments->raw;
    else
        return prompt_fail_at(r->p, call, "the arguments must be a string");
    return true;
}

static bool read_call(struct reading *r, struct turn *turn, const struct ccp_json *node, uint32_t i)
{
    const struct ccp_json *custom = prompt_is(chat_get(node, "type"), "custom") ? chat_get(node, "custom") : NULL;
    const struct ccp_json *body = custom != NULL ? custom : chat_get(node, "function");
    struct part *call = prompt_part(r->p, turn, PART_CALL, i);
    if (call == NULL)
        return false;
    call->node = node;
    call->id = prompt_ctext(chat_get(node, "id"));
    call->name = prompt_ctext(chat_get(body, "name"));
    call->custom = custom != NULL;
    if (call->id.n == 0)
        return prompt_fail_at(r->p, call, "id must be a string that is not empty");
    if (call->name.n == 0)
        return prompt_fail_at(r->p, call, "the function's name must be a string that is not empty");
    if (!chat_read_extra(r->p, &call->proof, node))
        return false;
    if (custom == NULL)
        return read_arguments(r, call, chat_get(body, "arguments"));
    call->args = (struct arguments){prompt_ctext(chat_get(custom, "input")), true};
    return true;
}

static bool read_calls(struct reading *r, struct turn *turn, const struct ccp_json *calls)
{
    uint32_t i = 0;
    if (calls == NULL)
        return true;
    if (calls->type != CCP_JSON_ARRAY)
        return wrong(r, "tool_calls", "an array");
    for (const struct ccp_json *node = calls->child; node != NULL; node = node->next)
        if (!read_call(r, turn, node, i++))
            return false;
    return true;
}

/* The deprecated form has no id: one is made from where the call stands, the same on every turn. */
static bool read_function_call(struct reading *r, struct turn *turn, const struct ccp_json *node)
{
    if (node == NULL)
        return true;
    struct part *call = prompt_part(r->p, turn, PART_CALL, 0);
    if (call == NULL)
        return false;
    call->node = node;
    call->name = prompt_ctext(chat_get(node, "name"));
    if (call->name.n == 0)
        return wrong(r, "function_call.name", "a string that is not empty");
    call->id = CCP_FAULT("chat.function_id") ? (ctext){NULL, 0}
                                             : arena_printf(r->p->a, "call_%08x%016llx", r->index,
                                                            (unsigned long long)map_hash(r->index, call->name));
    r->function_id = call->id;
    if (call->id.p == NULL)
        return prompt_no_memory(r->p);
    return read_arguments(r, call, chat_get(node, "arguments"));
}

static bool read_refusal(struct reading *r, struct turn *turn, const struct ccp_json *refusal)
{
    if (refusal == NULL)
        return true;
    struct part *part = prompt_part(r->p, turn, PART_REFUSAL, UINT32_MAX);
    if (part == NULL)
        return false;
    part->text = prompt_ctext(refusal);
    return refusal->type == CCP_JSON_STRING || wrong(r, "refusal", "a string");
}

/* -- messages by role -- */

static struct part *last_text(struct turn *turn)
{
    struct part *last = NULL;
    for (struct part *part = turn->parts; part != NULL; part = part->next)
        if (part->kind == PART_TEXT)
            last = part;
    return last;
}

/* A proof of the text itself; without text it stands alone in front of the calls. */
static bool place_late(struct reading *r, struct turn *turn, const struct proof *late)
{
    if (late->kind == PROOF_NONE)
        return true;
    struct part *home = last_text(turn);
    if (home == NULL)
        home = prompt_part(r->p, turn, PART_THINKING, UINT32_MAX);
    if (home != NULL)
        home->proof = *late;
    return home != NULL;
}

static bool read_assistant(struct reading *r, const struct ccp_json *message)
{
    struct turn *turn = prompt_turn(r->p, ROLE_ASSISTANT, r->index);
    struct proof late = {PROOF_NONE, CCP_SPAN(""), CCP_SPAN("")};
    if (turn == NULL)
        return false;
    if (chat_get(message, "audio") != NULL)
        return prompt_fail(r->p, "messages[%u].audio: a spoken answer cannot be carried over", r->index);
    if (chat_get(message, "annotations") != NULL)
        prompt_drop(r->p, "annotations");
    static const char *const prefills[] = {"prefix", "partial"}; /* of DeepSeek and Mistral, of Kimi */
    for (size_t i = 0; i < sizeof(prefills) / sizeof(prefills[0]); i++)
        if (prompt_true(chat_get(message, prefills[i])))
            prompt_drop(r->p, prefills[i]);
    if (!chat_read_thinking(r->p, turn, message, &late) || !chat_read_extra(r->p, &late, message))
        return false;
    struct target to = {.turn = turn};
    if (!read_content(r, &to, message, false) || !only_text(r, turn))
        return false;
    return read_refusal(r, turn, chat_get(message, "refusal")) && place_late(r, turn, &late) &&
           read_calls(r, turn, chat_get(message, "tool_calls")) &&
           read_function_call(r, turn, chat_get(message, "function_call"));
}

static bool read_plain(struct reading *r, const struct ccp_json *message, enum role role)
{
    struct target to = {.turn = prompt_turn(r->p, role, r->index)};
    if (to.turn == NULL || !read_content(r, &to, message, true))
        return false;
    if (role != ROLE_USER && !only_text(r, to.turn))
        return false;
    if (marked(message) && to.turn->last != NULL)
        to.turn->last->cache = true;
    return true;
}

static bool read_result(struct reading *r, const struct ccp_json *message, ctext id)
{
    if (r->results == NULL)
        r->results = prompt_turn(r->p, ROLE_USER, r->index);
    struct part *result = prompt_part(r->p, r->results, PART_RESULT, UINT32_MAX);
    if (result == NULL)
        return false;
    result->message = r->index;
    result->node = message;
    result->id = id;
    result->cache = marked(message);
    return read_content(r, &(struct target){.result = result}, message, false);
}

static bool read_tool(struct reading *r, const struct ccp_json *message)
{
    ctext id = prompt_ctext(chat_get(message, "tool_call_id"));
    if (id.n == 0)
        return wrong(r, "tool_call_id", "a string that is not empty");
    return read_result(r, message, id);
}

/* The deprecated answer belongs to the function_call before it; without one it is an orphan, under its own name. */
static bool read_function(struct reading *r, const struct ccp_json *message)
{
    ctext name = prompt_ctext(chat_get(message, "name")), id = r->function_id;
    if (name.n == 0)
        return wrong(r, "name", "a string that is not empty");
    r->function_id = CCP_SPAN("");
    return read_result(r, message, id.n != 0 ? id : name);
}

static bool read_message(struct reading *r, const struct ccp_json *message)
{
    const struct ccp_json *role = chat_get(message, "role");
    if (message->type != CCP_JSON_OBJECT)
        return prompt_fail(r->p, "messages[%u] must be an object", r->index);
    if (prompt_is(role, "tool"))
        return read_tool(r, message);
    if (prompt_is(role, "function"))
        return read_function(r, message);
    r->results = NULL;
    if (chat_get(message, "name") != NULL)
        prompt_drop(r->p, "name");
    if (prompt_is(role, "user"))
        return read_plain(r, message, ROLE_USER);
    if (prompt_is(role, "assistant"))
        return read_assistant(r, message);
    if (prompt_is(role, "system"))
        return read_plain(r, message, ROLE_SYSTEM);
    if (prompt_is(role, "developer"))
        return read_plain(r, message, ROLE_DEVELOPER);
    return wrong(r, "role", "system, developer, user, assistant, tool or function");
}

bool chat_read_messages(struct prompt *p, const struct ccp_json *messages)
{
    struct reading r = {.p = p, .function_id = CCP_SPAN("")};
    for (const struct ccp_json *m = messages->child; m != NULL; m = m->next, r.index++)
        if (!read_message(&r, m))
            return false;
    return true;
}
