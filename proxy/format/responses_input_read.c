/*
 * Reading the input of a Responses request: items back to turns (wire reference C.2, F.11, F.12).
 *
 * Neighbouring assistant items are one turn, and so are neighbouring results. Items that only tell what a provider did
 * on its own are dropped by name; items that only the provider that made them can read are refused when the
 * conversation would not be the same without them.
 */
#include <base/fault.h>
#include <format/responses.h>

static const struct responses_builtin builtins[] = {
    {"local_shell_call", "local_shell", "action"},    {"shell_call", "shell", "action"},
    {"apply_patch_call", "apply_patch", "operation"}, {"computer_call", "computer", "action"},
    {"tool_search_call", "tool_search", "arguments"},
};

const struct responses_builtin *responses_builtin_call(const struct ccp_json *item)
{
    const struct ccp_json *type = ccp_json_get(item, "type");
    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
        if (prompt_is(type, builtins[i].type)) /* a search that the provider runs has no id to answer */
            return prompt_is(ccp_json_get(item, "execution"), "server") ? NULL : &builtins[i];
    return NULL;
}

bool responses_builtin_output(const struct ccp_json *type)
{
    static const char *const outputs[] = {"local_shell_call_output", "shell_call_output", "apply_patch_call_output",
                                          "computer_call_output", "tool_search_output"};
    for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
        if (prompt_is(type, outputs[i]))
            return true;
    return false;
}

/* The turn that an item of the assistant, or a result, belongs to. */
static struct turn *assistant(struct prompt *p, uint32_t at)
{
    struct turn *last = p->last_turn;
    return last != NULL && last->role == ROLE_ASSISTANT ? last : prompt_turn(p, ROLE_ASSISTANT, at);
}

static struct turn *results(struct prompt *p, uint32_t at)
{
    struct turn *last = p->last_turn;
    bool joins = last != NULL && last->role == ROLE_USER && last->last != NULL && last->last->kind == PART_RESULT;
    return joins ? last : prompt_turn(p, ROLE_USER, at);
}

static struct part *item_part(struct prompt *p, struct turn *turn, enum part_kind kind, uint32_t at,
                              const struct ccp_json *item)
{
    struct part *part = prompt_part(p, turn, kind, RESPONSES_ITEM);
    if (part == NULL)
        return NULL;
    part->message = at;
    part->node = item;
    return part;
}

static const struct ccp_json *text_of(const struct ccp_json *item, const char *key)
{
    const struct ccp_json *node = ccp_json_get(item, key);
    return node != NULL && node->type == CCP_JSON_STRING && ccp_json_inner(node).n != 0 ? node : NULL;
}

/* -- messages -- */

static bool role_of(const struct ccp_json *node, enum role *role)
{
    static const char *const words[] = {"system", "developer", "user", "assistant"};
    for (int i = 0; i < 4; i++)
        if (prompt_is(node, words[i])) {
            *role = (enum role)i;
            return true;
        }
    return false;
}

/* System text is all that other formats know: a picture next to it is a user's. */
static bool split_media(struct prompt *p, struct turn *turn)
{
    struct turn *media = NULL;
    if (turn->role > ROLE_DEVELOPER || prompt_only_text(turn->parts))
        return true;
    media = prompt_turn(p, ROLE_USER, turn->message);
    if (media == NULL)
        return false;
    struct part *part = turn->parts;
    turn->parts = turn->last = NULL;
    while (part != NULL) {
        struct part *next = part->next;
        struct turn *home = part->kind == PART_TEXT || part->kind == PART_REFUSAL ? turn : media;
        struct part **link = home->last != NULL ? &home->last->next : &home->parts;
        *link = home->last = part;
        part->next = NULL;
        part = next;
    }
    return true;
}

static bool read_message(struct prompt *p, const struct ccp_json *item, uint32_t at)
{
    enum role role;
    if (!role_of(ccp_json_get(item, "role"), &role))
        return prompt_fail(p, "input[%u].role: must be user, assistant, system or developer", at);
    responses_drop_member(p, item, "phase", "phase");
    struct turn *turn = role == ROLE_ASSISTANT ? assistant(p, at) : prompt_turn(p, role, at);
    if (turn == NULL)
        return false;
    uint32_t first = turn->message;
    turn->message = at;
    bool ok = responses_content_read(p, turn, ccp_json_get(item, "content"));
    turn->message = first;
    return ok && split_media(p, turn);
}

/* -- reasoning -- */

static bool join_texts(struct prompt *p, const struct ccp_json *list, ctext *out)
{
    size_t n = 0, max = list != NULL && list->type == CCP_JSON_ARRAY ? list->count : 0;
    struct ccp_span *pieces = CCP_FAULT("responses.join") ? NULL : arena_alloc(p->a, (max * 2 + 1) * sizeof(*pieces));
    if (pieces == NULL)
        return prompt_no_memory(p);
    for (const struct ccp_json *m = max != 0 ? list->child : NULL; m != NULL; m = m->next) {
        const struct ccp_json *text = text_of(m, "text");
        if (text == NULL)
            continue;
        if (n != 0)
            pieces[n++] = CCP_SPAN("\\n\\n");
        pieces[n++] = prompt_ctext(text);
    }
    *out = n == 0 ? CCP_SPAN("") : n == 1 ? pieces[0] : arena_cat(p->a, pieces, n);
    return out->p != NULL || prompt_no_memory(p);
}

static bool read_reasoning(struct prompt *p, const struct ccp_json *item, uint32_t at)
{
    ctext text;
    if (!join_texts(p, ccp_json_get(item, "summary"), &text))
        return false;
    if (text.n == 0 && !join_texts(p, ccp_json_get(item, "content"), &text))
        return false;
    struct part *part = item_part(p, assistant(p, at), PART_THINKING, at, item);
    if (part == NULL)
        return false;
    part->text = text;
    return proof_read(p, &part->proof, PROOF_ENCRYPTED, prompt_ctext(ccp_json_get(item, "encrypted_content")));
}

/* -- calls and results -- */

static struct part *read_call_head(struct prompt *p, const struct ccp_json *item, uint32_t at, ctext name)
{
    const struct ccp_json *id = text_of(item, "call_id");
    if (id == NULL)
        id = text_of(item, "id");
    if (id == NULL || name.n == 0) {
        prompt_fail(p, "input[%u]: a call needs %s, a string", at, id == NULL ? "call_id" : "name");
        return NULL;
    }
    struct part *part = item_part(p, assistant(p, at), PART_CALL, at, item);
    if (part == NULL)
        return NULL;
    part->id = prompt_ctext(id);
    part->name = name;
    part->space = prompt_ctext(ccp_json_get(item, "namespace"));
    responses_drop_member(p, item, "caller", "caller");
    return part;
}

static bool read_call(struct prompt *p, const struct ccp_json *item, uint32_t at, const char *member, bool custom)
{
    const struct ccp_json *text = ccp_json_get(item, member);
    if (text == NULL || text->type != CCP_JSON_STRING)
        return prompt_fail(p, "input[%u].%s: must be a string", at, member);
    struct part *part = read_call_head(p, item, at, prompt_ctext(ccp_json_get(item, "name")));
    if (part == NULL)
        return false;
    part->args = (struct arguments){prompt_ctext(text), true};
    part->custom = custom;
    return true;
}

static bool read_builtin(struct prompt *p, const struct ccp_json *item, uint32_t at,
                         const struct responses_builtin *builtin)
{
    const struct ccp_json *value = ccp_json_get(item, builtin->member);
    struct part *part = read_call_head(p, item, at, ccp_span_z(builtin->name));
    if (part == NULL)
        return false;
    part->args = (struct arguments){value != NULL ? value->raw : CCP_SPAN("{}"), false};
    return true;
}

static bool add_result(struct prompt *p, const struct ccp_json *item, uint32_t at, bool custom, bool loose)
{
    const struct ccp_json *id = text_of(item, "call_id");
    if (id == NULL)
        id = text_of(item, "id");
    if (id == NULL)
        return prompt_fail(p, "input[%u].call_id: must be a string", at);
    struct part *part = item_part(p, results(p, at), PART_RESULT, at, item);
    if (part == NULL)
        return false;
    part->id = prompt_ctext(id);
    part->custom = custom;
    responses_drop_member(p, item, "caller", "caller");
    return responses_output_read(p, part, ccp_json_get(item, "output"), loose);
}

static bool read_result(struct prompt *p, const struct ccp_json *item, uint32_t at, bool custom)
{
    const struct ccp_json *output = ccp_json_get(item, "output");
    if (output == NULL || (output->type != CCP_JSON_STRING && output->type != CCP_JSON_ARRAY))
        return prompt_fail(p, "input[%u].output: must be a string or an array", at);
    return add_result(p, item, at, custom, false);
}

/* These say what they found in many shapes; what is no text is kept as JSON. */
static bool read_builtin_output(struct prompt *p, const struct ccp_json *item, uint32_t at)
{
    const struct ccp_json *tools = ccp_json_get(item, "tools");
    if (tools != NULL && !responses_tools_read(p, tools, "input tools"))
        return false;
    if (!add_result(p, item, at, false, true))
        return false;
    struct part *result = p->last_turn->last;
    result->failed = prompt_is(ccp_json_get(item, "status"), "failed");
    if (result->parts == NULL && tools != NULL) {
        struct part *text = prompt_result_part(p, result, PART_TEXT);
        if (text == NULL)
            return false;
        text->text = prompt_escape(p, tools->raw);
        return text->text.p != NULL;
    }
    return true;
}

/* -- items -- */

/* What a provider did by itself; its text stays as the assistant's. */
static bool read_echo(struct prompt *p, const struct ccp_json *item, uint32_t at, struct ccp_span type)
{
    const struct ccp_json *output = prompt_is(ccp_json_get(item, "type"), "mcp_call") ? text_of(item, "output") : NULL;
    prompt_drop_span(p, type);
    if (output == NULL)
        return p->status == CCP_OK;
    struct part *part = item_part(p, assistant(p, at), PART_TEXT, at, item);
    if (part == NULL)
        return false;
    part->text = prompt_ctext(output);
    return p->status == CCP_OK;
}

static bool is_echo(const struct ccp_json *type)
{
    static const char *const echoes[] = {
        "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call",
        "mcp_list_tools",  "mcp_call",         "mcp_approval_request",  "mcp_approval_response",
        "program",         "program_output",   "tool_search_call",
    };
    for (size_t i = 0; i < sizeof(echoes) / sizeof(echoes[0]); i++)
        if (prompt_is(type, echoes[i]))
            return true;
    return false;
}

static bool read_other(struct prompt *p, const struct ccp_json *item, uint32_t at)
{
    const struct ccp_json *type = ccp_json_get(item, "type");
    const struct responses_builtin *builtin = responses_builtin_call(item);
    struct ccp_span word = prompt_ctext(type);
    if (builtin != NULL)
        return read_builtin(p, item, at, builtin);
    if (responses_builtin_output(type))
        return read_builtin_output(p, item, at);
    if (prompt_is(type, "additional_tools"))
        return responses_tools_read(p, ccp_json_get(item, "tools"), "input tools");
    if (is_echo(type))
        return read_echo(p, item, at, word);
    return prompt_fail(p, "input[%u]: an item of type %.*s cannot be carried over to another provider", at,
                       word.n > 64 ? 64 : (int)word.n, word.p);
}

static bool read_item(struct prompt *p, const struct ccp_json *item, uint32_t at)
{
    const struct ccp_json *type = ccp_json_get(item, "type");
    if (item->type != CCP_JSON_OBJECT)
        return prompt_fail(p, "input[%u]: must be an object", at);
    if (type != NULL && type->type != CCP_JSON_STRING && type->type != CCP_JSON_NULL)
        return prompt_fail(p, "input[%u].type: must be a string", at);
    if (prompt_is(type, "message"))
        return read_message(p, item, at);
    if (prompt_is(type, "function_call"))
        return read_call(p, item, at, "arguments", false);
    if (prompt_is(type, "function_call_output"))
        return read_result(p, item, at, false);
    if (prompt_is(type, "reasoning"))
        return read_reasoning(p, item, at);
    if (prompt_is(type, "custom_tool_call"))
        return read_call(p, item, at, "input", true);
    if (prompt_is(type, "custom_tool_call_output"))
        return read_result(p, item, at, true);
    if (type == NULL || type->type == CCP_JSON_NULL) {
        if (ccp_json_get(item, "role") == NULL && text_of(item, "id") != NULL)
            return prompt_fail(p, "input[%u]: an item_reference needs a stored conversation; send the item", at);
        return read_message(p, item, at);
    }
    if (prompt_is(type, "item_reference"))
        return prompt_fail(p, "input[%u]: an item_reference needs a stored conversation; send the item", at);
    return read_other(p, item, at);
}

static bool read_string(struct prompt *p, const struct ccp_json *input)
{
    struct part *part = prompt_part(p, prompt_turn(p, ROLE_USER, UINT32_MAX), PART_TEXT, 0);
    if (part == NULL)
        return false;
    part->text = prompt_ctext(input);
    part->node = input;
    return true;
}

bool responses_input_read(struct prompt *p, const struct ccp_json *input)
{
    if (input != NULL && input->type == CCP_JSON_STRING)
        return read_string(p, input);
    if (input == NULL || input->type != CCP_JSON_ARRAY)
        return prompt_fail(p, "input: must be a string or an array");
    uint32_t at = 0;
    for (const struct ccp_json *item = input->child; item != NULL; item = item->next, at++)
        if (!read_item(p, item, at))
            return false;
    if (p->turns == NULL)
        return prompt_fail(p, "input: must not be empty");
    return true;
}
