/*
 * Reading the output items of a Responses answer (wire reference C.5, F.10). Items are known by output_index alone:
 * their ids change under way on some servers. Whatever the deltas left out is taken from the .done events, from
 * output_item.done, and in the end from the final response. Events that are not known are passed over.
 */
#include <format/responses.h>

uint64_t responses_key(uint64_t index, uint64_t part)
{
    return index << 20 | (part & 0xfffff);
}

/* -- slots -- */

struct responses_slot *responses_slot(struct responses_reader *r, uint64_t index)
{
    for (size_t i = 0; i < RESPONSES_SLOTS; i++)
        if (r->slots[i].used && r->slots[i].index == index)
            return &r->slots[i];
    return NULL;
}

/* The oldest gives way when there are too many; its parts end with the answer. */
static struct responses_slot *new_slot(struct responses_reader *r, uint64_t index, enum responses_item item)
{
    struct responses_slot *slot = &r->slots[0];
    for (size_t i = 0; i < RESPONSES_SLOTS && slot->used; i++)
        if (!r->slots[i].used || r->slots[i].index < slot->index)
            slot = &r->slots[i];
    *slot = (struct responses_slot){.used = true, .item = item, .index = index};
    if (index >= r->seen)
        r->seen = index + 1;
    return slot;
}

struct responses_slot *responses_slot_for(struct responses_reader *r, uint64_t index, enum responses_item item)
{
    struct responses_slot *slot = responses_slot(r, index);
    if (slot == NULL && index >= r->seen)
        slot = new_slot(r, index, item);
    return slot != NULL && slot->item == item ? slot : NULL;
}

/* -- fragments -- */

void responses_message_text(struct delta_stream *s, struct responses_slot *slot, uint64_t part, enum part_kind kind,
                            ctext text)
{
    uint64_t key = responses_key(slot->index, part);
    if (part < slot->part || text.n == 0)
        return;
    if (part >= slot->count)
        slot->count = part + 1;
    delta_open(s, key, kind, CCP_SPAN(""), CCP_SPAN(""));
    delta_text(s, key, text);
}

void responses_thinking(struct delta_stream *s, struct responses_slot *slot, uint64_t part, bool summary, ctext text)
{
    uint64_t key = responses_key(slot->index, 0);
    if (text.n == 0 || (slot->said && slot->summary != summary)) /* summary and content tell the same twice */
        return;
    delta_open(s, key, PART_THINKING, CCP_SPAN(""), CCP_SPAN(""));
    if (slot->said && slot->part != part)
        delta_text(s, key, CCP_SPAN("\\n\\n"));
    slot->said = true;
    slot->summary = summary;
    slot->part = part;
    delta_text(s, key, text);
}

/* -- items -- */

static const struct {
    const char *type;
    enum responses_item item;
} items[] = {
    {"message", ITEM_MESSAGE},
    {"function_call", ITEM_CALL},
    {"reasoning", ITEM_REASONING},
    {"custom_tool_call", ITEM_CUSTOM},
};

enum responses_item responses_item_of(const struct ccp_json *item)
{
    const struct ccp_json *type = ccp_json_get(item, "type");
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
        if (prompt_is(type, items[i].type))
            return items[i].item;
    return responses_builtin_call(item) != NULL ? ITEM_BUILTIN : ITEM_OTHER;
}

/* Opens the call when it can be named already. */
static bool open_call(struct delta_stream *s, struct responses_slot *slot, const struct ccp_json *item)
{
    ctext id = prompt_ctext(ccp_json_get(item, "call_id")), name = prompt_ctext(ccp_json_get(item, "name"));
    uint64_t key = responses_key(slot->index, 0);
    if (id.n == 0)
        id = prompt_ctext(ccp_json_get(item, "id"));
    if (name.n == 0 || slot->opened)
        return slot->opened;
    slot->opened = true;
    if (slot->item == ITEM_CUSTOM)
        delta_open_custom(s, key, id, name);
    else
        delta_open(s, key, PART_CALL, id, name);
    return true;
}

void responses_item_added(struct responses_reader *r, struct delta_stream *s, uint64_t index,
                          const struct ccp_json *item)
{
    if (responses_slot(r, index) != NULL || index < r->seen)
        return;
    struct responses_slot *slot = new_slot(r, index, responses_item_of(item));
    if (slot->item == ITEM_CALL || slot->item == ITEM_CUSTOM)
        open_call(s, slot, item);
}

static void message_done(struct responses_reader *r, struct delta_stream *s, struct responses_slot *slot,
                         const struct ccp_json *item)
{
    const struct ccp_json *content = ccp_json_get(item, "content");
    uint64_t part = 0;
    for (const struct ccp_json *m = content != NULL ? content->child : NULL; m != NULL; m = m->next, part++) {
        bool refusal = prompt_is(ccp_json_get(m, "type"), "refusal");
        uint64_t key = responses_key(slot->index, part);
        r->refused = r->refused || refusal;
        if (!delta_has_text(s, key))
            responses_message_text(s, slot, part, refusal ? PART_REFUSAL : PART_TEXT,
                                   prompt_ctext(ccp_json_get(m, refusal ? "refusal" : "text")));
        delta_close(s, key);
    }
    for (; part < slot->count; part++)
        delta_close(s, responses_key(slot->index, part));
}

static void texts_done(struct delta_stream *s, struct responses_slot *slot, const struct ccp_json *list, bool summary)
{
    uint64_t part = 0;
    if (list == NULL || list->type != CCP_JSON_ARRAY)
        return;
    for (const struct ccp_json *m = list->child; m != NULL; m = m->next, part++)
        responses_thinking(s, slot, part, summary, prompt_ctext(ccp_json_get(m, "text")));
}

static void reasoning_done(struct delta_stream *s, struct responses_slot *slot, const struct ccp_json *item)
{
    uint64_t key = responses_key(slot->index, 0);
    ctext proof = prompt_ctext(ccp_json_get(item, "encrypted_content"));
    if (!slot->said)
        texts_done(s, slot, ccp_json_get(item, "summary"), true);
    if (!slot->said)
        texts_done(s, slot, ccp_json_get(item, "content"), false);
    if (proof.n != 0) {
        delta_open(s, key, PART_THINKING, CCP_SPAN(""), CCP_SPAN(""));
        delta_proof(s, key, PROOF_ENCRYPTED, proof);
    }
    delta_close(s, key);
}

void responses_call_text(struct delta_stream *s, uint64_t key, const struct ccp_json *text)
{
    if (text == NULL || delta_has_text(s, key))
        return;
    if (text->type == CCP_JSON_STRING)
        delta_text(s, key, prompt_ctext(text));
    else if (text->type == CCP_JSON_OBJECT)
        delta_arguments(s, key, text->raw);
}

static void call_done(struct delta_stream *s, struct responses_slot *slot, const struct ccp_json *item)
{
    uint64_t key = responses_key(slot->index, 0);
    if (!open_call(s, slot, item)) {
        delta_garbled(s, "the provider's answer has a tool call without a name");
        return;
    }
    responses_call_text(s, key, ccp_json_get(item, slot->item == ITEM_CUSTOM ? "input" : "arguments"));
    delta_close(s, key);
}

static void builtin_done(struct delta_stream *s, struct responses_slot *slot, const struct ccp_json *item)
{
    const struct responses_builtin *builtin = responses_builtin_call(item);
    uint64_t key = responses_key(slot->index, 0);
    if (builtin == NULL)
        return;
    delta_open(s, key, PART_CALL, prompt_ctext(ccp_json_get(item, "call_id")), ccp_span_z(builtin->name));
    responses_call_text(s, key, ccp_json_get(item, builtin->member));
    delta_close(s, key);
}

void responses_item_done(struct responses_reader *r, struct delta_stream *s, uint64_t index,
                         const struct ccp_json *item)
{
    struct responses_slot *slot = responses_slot(r, index);
    if (slot == NULL && index < r->seen)
        return; /* done before */
    if (slot == NULL)
        slot = new_slot(r, index, responses_item_of(item));
    switch (slot->item) {
    case ITEM_MESSAGE:
        message_done(r, s, slot, item);
        break;
    case ITEM_REASONING:
        reasoning_done(s, slot, item);
        break;
    case ITEM_CALL:
    case ITEM_CUSTOM:
        call_done(s, slot, item);
        break;
    case ITEM_BUILTIN:
        builtin_done(s, slot, item);
        break;
    case ITEM_OTHER:
        break;
    }
    slot->used = false;
}
