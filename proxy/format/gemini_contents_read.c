/*
 * Gemini's systemInstruction and contents to turns and parts (wire reference D.4, F.2, F.4).
 *
 * Two things need memory across parts. Calls may have no id: one is made from the call's place, name and arguments, so
 * that the same history always gives the same ids, and responses find their call by id, else by name and order within
 * the step. And clients hand back a streamed answer as they got it, in fragments, often one content each: fragments of
 * one thought, and of one text across contents, are joined again. Linear: nothing is looked for in a list.
 */
#include <base/fault.h>
#include <format/gemini.h>

struct pending {
    struct pending *next; /* of the same name */
    struct part *call;
    uint32_t step;
    bool answered, own_id;
};

struct queue {
    struct pending *first, *last;
};

struct reading {
    struct prompt *p;
    struct turn *turn;
    struct map by_id, by_name; /* struct pending, struct queue */
    uint32_t step;             /* counts runs of model contents */
    bool model;                /* the content before was the model's */
    bool fresh;                /* no part of this content was read yet */
    struct part *live;         /* the latest part of this run of model contents */
    struct part *joined;       /* gets the pieces */
    ctext *pieces;
    size_t piece_count, piece_room;
};

/* -- joining -- */

static bool join_end(struct reading *r)
{
    if (r->joined != NULL && r->piece_count > 1) {
        r->joined->text = CCP_FAULT("gemini.join") ? (ctext){NULL, 0} : arena_cat(r->p->a, r->pieces, r->piece_count);
        if (r->joined->text.p == NULL)
            return prompt_no_memory(r->p);
    }
    r->joined = NULL;
    r->piece_count = 0;
    return true;
}

static bool add_piece(struct reading *r, ctext text)
{
    if (r->piece_count == r->piece_room) {
        size_t room = r->piece_room != 0 ? r->piece_room * 2 : 16;
        ctext *more = CCP_FAULT("gemini.pieces") ? NULL : arena_alloc(r->p->a, room * sizeof(*more));
        if (more == NULL)
            return prompt_no_memory(r->p);
        if (r->piece_count != 0)
            memcpy(more, r->pieces, r->piece_count * sizeof(*more));
        r->pieces = more;
        r->piece_room = room;
    }
    r->pieces[r->piece_count++] = text;
    return true;
}

static bool join(struct reading *r, struct part *part, ctext text)
{
    if (r->joined != part) {
        if (!join_end(r) || !add_piece(r, part->text))
            return false;
        r->joined = part;
    }
    return add_piece(r, text);
}

/* -- text and thoughts -- */

static struct part *add_part(struct reading *r, enum part_kind kind, uint32_t index)
{
    struct part *part = prompt_part(r->p, r->turn, kind, index);
    r->live = part;
    r->fresh = false;
    return part;
}

static bool joins(const struct reading *r, enum part_kind kind)
{
    const struct part *live = r->live;
    if (live == NULL || live->kind != kind || live->proof.kind != PROOF_NONE)
        return false;
    return kind == PART_THINKING || (r->fresh && r->model);
}

/* A signature on a text that is empty came late: it belongs to what stands before it. */
static bool late_proof(struct reading *r, uint32_t index, ctext signature)
{
    struct part *home = r->live;
    if (home == NULL || home->proof.kind != PROOF_NONE || (home->kind != PART_TEXT && home->kind != PART_CALL))
        home = add_part(r, PART_THINKING, index);
    return home != NULL && proof_read(r->p, &home->proof, PROOF_THOUGHT, signature);
}

static bool read_text(struct reading *r, const struct ccp_json *node, uint32_t index)
{
    const struct ccp_json *text = gemini_get(node, "text");
    ctext signature = prompt_ctext(gemini_get(node, "thoughtSignature")), value = prompt_ctext(text);
    bool thought = r->turn->role == ROLE_ASSISTANT && prompt_true(gemini_get(node, "thought"));
    enum part_kind kind = thought ? PART_THINKING : PART_TEXT;
    if (text != NULL && text->type != CCP_JSON_STRING)
        return prompt_fail(r->p, "contents[%u].parts[%u].text: a string is expected", r->turn->message, index);
    if (value.n == 0 && !thought)
        return signature.n == 0 || r->turn->role != ROLE_ASSISTANT || late_proof(r, index, signature);
    struct part *part = r->live;
    if (joins(r, kind)) {
        if (!join(r, part, value))
            return false;
        r->fresh = false;
    } else {
        part = add_part(r, kind, index);
        if (part == NULL)
            return false;
        part->text = value;
        part->node = node;
    }
    return signature.n == 0 || proof_read(r->p, &part->proof, PROOF_THOUGHT, signature);
}

/* What ran at the provider is told as text. */
static bool read_code(struct reading *r, uint32_t index, const char *before, const struct ccp_json *text,
                      const char *name)
{
    struct ccp_span pieces[] = {ccp_span_z(before), prompt_ctext(text), CCP_SPAN("\\n```")};
    struct part *part = add_part(r, PART_TEXT, index);
    if (part == NULL)
        return false;
    prompt_drop(r->p, name);
    part->text = CCP_FAULT("gemini.code") ? (ctext){NULL, 0} : arena_cat(r->p->a, pieces, 3);
    return part->text.p != NULL || prompt_no_memory(r->p);
}

/* -- calls -- */

static ctext made_id(struct prompt *p, const struct part *part, struct ccp_span more)
{
    const uint32_t place[] = {part->message, part->index};
    const struct ccp_span bytes = ccp_span_of((const char *)place, sizeof(place));
    /* Each piece into a hash that is mixed already: a seed next to a letter could cancel it. */
    uint64_t a = map_hash(map_hash(map_hash(0, bytes), part->name), more);
    uint64_t b = map_hash(map_hash(map_hash(~(uint64_t)0, bytes), part->name), more);
    ctext id = CCP_FAULT("gemini.id") ? (ctext){NULL, 0}
                                      : arena_printf(p->a, "call_%016llx%08llx", (unsigned long long)a,
                                                     (unsigned long long)(b & 0xffffffff));
    if (id.p == NULL)
        prompt_no_memory(p);
    return id;
}

static bool note_call(struct reading *r, struct part *call, bool own_id)
{
    struct queue *q = map_get(&r->by_name, call->name);
    struct pending *c = CCP_FAULT("gemini.call") ? NULL : arena_alloc(r->p->a, sizeof(*c));
    if (c != NULL && q == NULL) {
        q = CCP_FAULT("gemini.queue") ? NULL : arena_zalloc(r->p->a, sizeof(*q));
        if (q != NULL && !map_put(&r->by_name, call->name, q))
            q = NULL;
    }
    if (c == NULL || q == NULL || !map_put(&r->by_id, call->id, c))
        return prompt_no_memory(r->p);
    *c = (struct pending){NULL, call, r->step, false, own_id};
    if (q->first == NULL)
        q->first = c;
    else
        q->last->next = c;
    q->last = c;
    return true;
}

static bool read_call(struct reading *r, const struct ccp_json *part_node, const struct ccp_json *node, uint32_t index)
{
    const struct ccp_json *args = gemini_get(node, "args");
    struct part *part = add_part(r, PART_CALL, index);
    if (part == NULL)
        return false;
    if (r->turn->role != ROLE_ASSISTANT)
        return prompt_fail_at(r->p, part, "functionCall: only the role model calls functions");
    part->name = prompt_ctext(gemini_get(node, "name"));
    part->id = prompt_ctext(gemini_get(node, "id"));
    part->node = node;
    if (part->name.n == 0)
        return prompt_fail_at(r->p, part, "functionCall without a name");
    if (gemini_get(node, "partialArgs") != NULL || (args != NULL && args->type != CCP_JSON_OBJECT))
        return prompt_fail_at(r->p, part, "functionCall.args: a whole object is expected");
    part->args.raw = args != NULL ? args->raw : CCP_SPAN("{}");
    bool own_id = part->id.n != 0;
    if (!own_id)
        part->id = made_id(r->p, part, part->args.raw);
    return part->id.p != NULL && note_call(r, part, own_id) &&
           proof_read(r->p, &part->proof, PROOF_THOUGHT, prompt_ctext(gemini_get(part_node, "thoughtSignature")));
}

/* -- responses -- */

/* The first call of this name in the latest step that has no answer yet. */
static struct pending *next_of_name(struct reading *r, ctext name, bool unnamed_only)
{
    struct queue *q = map_get(&r->by_name, name);
    if (q == NULL)
        return NULL;
    while (q->first != NULL && (q->first->answered || q->first->step != r->step))
        q->first = q->first->next;
    return q->first != NULL && (!unnamed_only || !q->first->own_id) ? q->first : NULL;
}

/* Gives the result the id of the call it answers. */
static bool find_call(struct reading *r, struct part *result)
{
    struct pending *c = result->id.n != 0 ? map_get(&r->by_id, result->id) : NULL;
    if (c == NULL)
        c = next_of_name(r, result->name, result->id.n != 0);
    if (c != NULL) {
        c->answered = true;
        result->id = c->call->id;
    } else if (result->id.n == 0) {
        result->id = made_id(r->p, result, CCP_SPAN("response"));
    }
    return result->id.p != NULL;
}

static bool is_key(const struct ccp_json *response, const char *name)
{
    return response->count == 1 && ccp_span_is(response->child->key, name);
}

/* {"output":x}, {"result":x} and {"error":x} are read as x; another object is its own JSON text. */
static bool read_response(struct reading *r, struct part *result, const struct ccp_json *response)
{
    if (response == NULL || response->count == 0)
        return true;
    struct part *text = prompt_result_part(r->p, result, PART_TEXT);
    if (text == NULL)
        return false;
    result->failed = is_key(response, "error");
    if (result->failed || is_key(response, "output") || is_key(response, "result"))
        response = response->child;
    text->text = response->type == CCP_JSON_STRING ? ccp_json_inner(response) : prompt_escape(r->p, response->raw);
    return text->text.p != NULL;
}

static bool read_response_parts(struct reading *r, struct part *result, const struct ccp_json *parts)
{
    struct gemini_place place = {r->turn, result, result->index};
    if (parts != NULL && parts->type != CCP_JSON_ARRAY)
        return prompt_fail_at(r->p, result, "functionResponse.parts: a list is expected");
    for (const struct ccp_json *part = parts != NULL ? parts->child : NULL; part != NULL; part = part->next) {
        const struct ccp_json *inlined = gemini_get(part, "inlineData"), *file = gemini_get(part, "fileData");
        if (inlined == NULL && file == NULL)
            return prompt_fail_at(r->p, result, "functionResponse.parts: inlineData or fileData is expected");
        if (gemini_read_media(r->p, &place, inlined != NULL ? inlined : file, inlined != NULL) == NULL)
            return false;
    }
    return true;
}

static bool read_result(struct reading *r, const struct ccp_json *node, uint32_t index)
{
    const struct ccp_json *response = gemini_get(node, "response");
    struct part *part = add_part(r, PART_RESULT, index);
    if (part == NULL)
        return false;
    if (r->turn->role == ROLE_ASSISTANT)
        return prompt_fail_at(r->p, part, "functionResponse: not in a turn of the role model");
    part->name = prompt_ctext(gemini_get(node, "name"));
    part->id = prompt_ctext(gemini_get(node, "id"));
    part->node = node;
    if (part->name.n == 0 && part->id.n == 0)
        return prompt_fail_at(r->p, part, "functionResponse without a name");
    if (response != NULL && response->type != CCP_JSON_OBJECT)
        return prompt_fail_at(r->p, part, "functionResponse.response: an object is expected");
    return find_call(r, part) && read_response(r, part, response) &&
           read_response_parts(r, part, gemini_get(node, "parts"));
}

/* -- parts and contents -- */

static bool read_medium(struct reading *r, const struct ccp_json *node, uint32_t index, bool inlined)
{
    struct gemini_place place = {r->turn, NULL, index};
    r->fresh = false;
    r->live = gemini_read_media(r->p, &place, node, inlined);
    return r->live != NULL;
}

/* Members beside the one that holds the data. */
static void side_members(struct prompt *p, const struct ccp_json *node)
{
    static const char *const names[] = {"videoMetadata", "mediaResolution", "partMetadata", "mediaProcessing",
                                        "speechMetadata"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (gemini_get(node, names[i]) != NULL)
            prompt_drop(p, names[i]);
}

static bool read_part(struct reading *r, const struct ccp_json *node, uint32_t index)
{
    const struct ccp_json *data;
    if (node->type != CCP_JSON_OBJECT)
        return prompt_fail(r->p, "contents[%u].parts[%u]: an object is expected", r->turn->message, index);
    side_members(r->p, node);
    if ((data = gemini_get(node, "functionCall")) != NULL)
        return read_call(r, node, data, index);
    if ((data = gemini_get(node, "functionResponse")) != NULL)
        return read_result(r, data, index);
    if ((data = gemini_get(node, "inlineData")) != NULL)
        return read_medium(r, data, index, true);
    if ((data = gemini_get(node, "fileData")) != NULL)
        return read_medium(r, data, index, false);
    if ((data = gemini_get(node, "executableCode")) != NULL)
        return read_code(r, index, "```python\\n", gemini_get(data, "code"), "executableCode");
    if ((data = gemini_get(node, "codeExecutionResult")) != NULL)
        return read_code(r, index, "```\\n", gemini_get(data, "output"), "codeExecutionResult");
    static const char *const echoes[] = {"toolCall", "toolResponse"};
    for (size_t i = 0; i < sizeof(echoes) / sizeof(echoes[0]); i++)
        if (gemini_get(node, echoes[i]) != NULL) {
            prompt_drop(r->p, echoes[i]);
            return true;
        }
    if (gemini_get(node, "text") == NULL && gemini_get(node, "thoughtSignature") == NULL && node->count != 0)
        return prompt_fail(r->p, "contents[%u].parts[%u]: this kind of part cannot be carried over", r->turn->message,
                           index);
    return read_text(r, node, index);
}

/* Responses come as "user", in older clients as "function", and from Google's own examples as "tool". */
static bool read_role(struct reading *r, const struct ccp_json *content, uint32_t at, enum role *role)
{
    static const char *const users[] = {"", "user", "function", "tool"};
    struct ccp_span word = ccp_json_inner(gemini_get(content, "role"));
    *role = ccp_span_is(word, "model") ? ROLE_ASSISTANT : ROLE_USER;
    bool known = *role == ROLE_ASSISTANT;
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
        known = known || ccp_span_is(word, users[i]);
    return known || prompt_fail(r->p, "contents[%u].role: user or model is expected", at);
}

static bool read_content(struct reading *r, const struct ccp_json *content, uint32_t at)
{
    const struct ccp_json *parts = gemini_get(content, "parts");
    enum role role;
    uint32_t index = 0;
    if (content->type != CCP_JSON_OBJECT || !read_role(r, content, at, &role))
        return prompt_fail(r->p, "contents[%u]: an object is expected", at);
    if (!gemini_is_list(parts))
        return prompt_fail(r->p, "contents[%u].parts: a list is expected", at);
    if (role == ROLE_ASSISTANT && !r->model)
        r->step++;
    if (role != ROLE_ASSISTANT || !r->model)
        r->live = NULL;
    r->fresh = true;
    r->turn = prompt_turn(r->p, role, at);
    if (r->turn == NULL)
        return false;
    for (const struct ccp_json *part = gemini_first(parts); part != NULL; part = gemini_next(parts, part))
        if (!read_part(r, part, index++))
            return false;
    r->model = role == ROLE_ASSISTANT;
    return true;
}

bool gemini_read_contents(struct prompt *p, const struct ccp_json *contents)
{
    struct reading r = {.p = p};
    uint32_t at = 0;
    if (contents == NULL || !gemini_is_list(contents))
        return prompt_fail(p, contents == NULL ? "contents is missing" : "contents: a list is expected");
    if (contents->count == 0)
        return prompt_fail(p, "contents is empty");
    map_init(&r.by_id, p->a);
    map_init(&r.by_name, p->a);
    for (const struct ccp_json *c = gemini_first(contents); c != NULL; c = gemini_next(contents, c))
        if (!read_content(&r, c, at++))
            return false;
    return join_end(&r);
}

static bool system_part(struct prompt *p, struct turn *turn, ctext text, uint32_t index)
{
    struct part *part = prompt_part(p, turn, PART_TEXT, index);
    if (part != NULL)
        part->text = text;
    return part != NULL;
}

bool gemini_read_system(struct prompt *p, const struct ccp_json *node)
{
    const struct ccp_json *parts = gemini_get(node, "parts");
    uint32_t index = 0;
    if (node == NULL)
        return true;
    struct turn *turn = prompt_turn(p, ROLE_SYSTEM, UINT32_MAX);
    if (turn == NULL)
        return false;
    if (node->type == CCP_JSON_STRING)
        return system_part(p, turn, ccp_json_inner(node), 0);
    if (node->type != CCP_JSON_OBJECT || !gemini_is_list(parts))
        return prompt_fail(p, "systemInstruction: an object with parts is expected");
    for (const struct ccp_json *part = gemini_first(parts); part != NULL; part = gemini_next(parts, part), index++) {
        const struct ccp_json *text = gemini_get(part, "text");
        if (text == NULL || text->type != CCP_JSON_STRING)
            return prompt_fail(p, "systemInstruction.parts[%u]: only text can be carried over", index);
        if (!system_part(p, turn, ccp_json_inner(text), index))
            return false;
    }
    return true;
}
