/*
 * What a Chat delta says, or a whole message, which has the same members (wire reference B.6).
 *
 * Upstreams differ most here: thinking under four names and sometimes under two at once, calls without index or with
 * repeated ids, arguments as objects. `<think>` inside content is content.
 */
#include <base/fault.h>
#include <format/chat.h>
#include <stdio.h>
#include <stdlib.h>

/* -- text, refusal, thinking: one part after the other -- */

void chat_close_plain(struct chat_reader *r, struct delta_stream *s)
{
    if (r->plain != 0)
        delta_close(s, r->plain);
    r->plain = 0;
}

static void open_plain(struct chat_reader *r, struct delta_stream *s, enum part_kind kind)
{
    if (r->plain != 0 && r->kind == kind)
        return;
    chat_close_plain(r, s);
    r->plain = ++r->serial;
    r->kind = kind;
    r->proven = false;
    delta_open(s, r->plain, kind, CCP_SPAN(""), CCP_SPAN(""));
}

static void say(struct chat_reader *r, struct delta_stream *s, enum part_kind kind, ctext text)
{
    if (text.n == 0)
        return;
    if (kind == PART_THINKING && r->proven) /* a proof ends its block */
        chat_close_plain(r, s);
    open_plain(r, s, kind);
    delta_text(s, r->plain, text);
}

static void prove(struct chat_reader *r, struct delta_stream *s, const struct chat_detail *d)
{
    if (d->payload.n == 0)
        return;
    ctext packed = chat_detail_pack(s->scratch, d);
    if (packed.p == NULL) {
        chat_no_memory(s);
        return;
    }
    if (r->proven)
        chat_close_plain(r, s);
    open_plain(r, s, PART_THINKING);
    delta_proof(s, r->plain, PROOF_DETAIL, packed);
    r->proven = true;
}

enum { FROM_DETAILS = 4 };

/* The same text may come under two names: whichever came first is the one that counts. */
static void read_thinking(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *delta)
{
    static const char *const names[] = {NULL, "reasoning_content", "reasoning", "reasoning_text"};
    for (uint8_t i = 1; i < FROM_DETAILS; i++) {
        ctext text = r->source == 0 || r->source == i ? ccp_json_inner(chat_get(delta, names[i])) : CCP_SPAN("");
        if (text.n == 0)
            continue;
        r->source = i;
        say(r, s, PART_THINKING, text);
        return;
    }
}

static void read_details(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *details)
{
    if (details == NULL || details->type != CCP_JSON_ARRAY)
        return;
    for (const struct ccp_json *item = details->child; item != NULL && !delta_over(s); item = item->next) {
        struct chat_detail d = chat_detail_of(item);
        ctext text = ccp_json_inner(chat_get(item, "text"));
        if (text.n == 0)
            text = ccp_json_inner(chat_get(item, "summary"));
        if (text.n != 0 && (r->source == 0 || r->source == FROM_DETAILS)) {
            r->source = FROM_DETAILS;
            say(r, s, PART_THINKING, text);
        }
        prove(r, s, &d);
    }
}

/* Mistral: content as parts, thinking among them. */
static void read_content_parts(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *parts)
{
    for (const struct ccp_json *part = parts->child; part != NULL; part = part->next) {
        const struct ccp_json *thinking = chat_get(part, "thinking");
        say(r, s, PART_TEXT, ccp_json_inner(chat_get(part, "text")));
        say(r, s, PART_REFUSAL, ccp_json_inner(chat_get(part, "refusal")));
        say(r, s, PART_THINKING, ccp_json_inner(thinking));
        if (thinking == NULL || thinking->type != CCP_JSON_ARRAY)
            continue;
        for (const struct ccp_json *t = thinking->child; t != NULL; t = t->next)
            say(r, s, PART_THINKING, ccp_json_inner(chat_get(t, "text")));
    }
}

void chat_read_plain(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *delta)
{
    const struct ccp_json *content = chat_get(delta, "content");
    struct chat_detail opaque = {'o', CCP_SPAN(""), CCP_SPAN(""), ccp_json_inner(chat_get(delta, "reasoning_opaque"))};
    read_thinking(r, s, delta);
    read_details(r, s, chat_get(delta, "reasoning_details"));
    prove(r, s, &opaque);
    if (content != NULL && content->type == CCP_JSON_ARRAY)
        read_content_parts(r, s, content);
    else
        say(r, s, PART_TEXT, ccp_json_inner(content));
    say(r, s, PART_REFUSAL, ccp_json_inner(chat_get(delta, "refusal")));
    ctext proof = ccp_json_inner(chat_get(chat_get(chat_get(delta, "extra_content"), "google"), "thought_signature"));
    if (proof.n != 0 && r->plain != 0)
        delta_proof(s, r->plain, PROOF_THOUGHT, proof);
}

/* -- calls -- */

#define CALLS_MAX 1024
#define LEGACY    UINT64_MAX /* index of the deprecated function_call */
#define NO_INDEX  (UINT64_MAX - 1)

static struct chat_call *add(struct chat_reader *r, struct delta_stream *s)
{
    if (r->n == CALLS_MAX) {
        delta_garbled(s, "the upstream's answer has more than 1024 tool calls");
        return NULL;
    }
    if (r->n == r->capacity) {
        size_t capacity = r->capacity != 0 ? r->capacity * 2 : 8;
        struct chat_call *calls = CCP_FAULT("chat.calls") ? NULL : realloc(r->calls, capacity * sizeof(*calls));
        if (calls == NULL) {
            chat_no_memory(s);
            return NULL;
        }
        r->calls = calls;
        r->capacity = capacity;
    }
    r->calls[r->n] = (struct chat_call){.index = NO_INDEX, .key = ++r->serial};
    return &r->calls[r->n++];
}

/* What a fragment says about whose it is. */
struct fragment {
    ctext id, name;
    const struct ccp_json *custom, *body;
    uint64_t index, hash;
    bool indexed;
};

static struct fragment fragment_of(const struct ccp_json *node)
{
    struct fragment f = {.id = ccp_json_inner(chat_get(node, "id")), .custom = chat_get(node, "custom")};
    int64_t index;
    f.body = f.custom != NULL ? f.custom : chat_get(node, "function");
    f.name = ccp_json_inner(chat_get(f.body, "name"));
    f.hash = f.id.n != 0 ? map_hash(0, f.id) | 1 : 0;
    f.indexed = prompt_int(chat_get(node, "index"), &index) && index >= 0;
    f.index = f.indexed ? (uint64_t)index : 0;
    return f;
}

static struct chat_call *latest(const struct chat_reader *r, const struct fragment *f, bool by_index)
{
    for (size_t i = r->n; i-- != 0;)
        if (by_index ? r->calls[i].index == f->index : r->calls[i].id == f->hash)
            return &r->calls[i];
    return NULL;
}

/* The call a fragment continues; NULL: it begins one. Some servers count every call 0: another id together with a name
 * is another call. Without index the id tells, and without both a name does. */
static struct chat_call *continued(const struct chat_reader *r, const struct fragment *f)
{
    if (f->indexed) {
        struct chat_call *c = r->last != NULL && r->last->index == f->index ? r->last : latest(r, f, true);
        bool other = c != NULL && c->id != 0 && f->hash != 0 && c->id != f->hash && f->name.n != 0;
        return other ? NULL : c;
    }
    if (f->hash != 0) {
        struct chat_call *c = latest(r, f, false);
        return c != NULL || f->name.n != 0 ? c : r->last;
    }
    return f->name.n != 0 ? NULL : r->last;
}

/* Unique over the conversation: made from the answer it came in. */
static ctext make_id(const struct chat_reader *r, const struct chat_call *c, char *out, size_t n)
{
    uint64_t hash = map_hash(r->seed, ccp_span_of((const char *)&c->key, sizeof(c->key)));
    int size = snprintf(out, n, "call_%016llx%08llx", (unsigned long long)hash,
                        (unsigned long long)((r->seed ^ c->key) & 0xffffffff));
    return ccp_span_of(out, (size_t)size);
}

/* The id may come before the name that opens the part. */
static void keep_id(struct chat_call *c, ctext id)
{
    if (c->named || id.n == 0 || id.n > sizeof(c->early))
        return;
    memcpy(c->early, id.p, id.n);
    c->early_n = (uint8_t)id.n;
}

static void open_call(struct chat_reader *r, struct delta_stream *s, struct chat_call *c, const struct fragment *f)
{
    char made[40];
    ctext id = f->id.n != 0 ? f->id : ccp_span_of(c->early, c->early_n);
    if (id.n == 0)
        id = make_id(r, c, made, sizeof(made));
    chat_close_plain(r, s);
    c->named = true;
    if (f->custom != NULL)
        delta_open_custom(s, c->key, id, f->name);
    else
        delta_open(s, c->key, PART_CALL, id, f->name);
}

static void read_arguments(struct delta_stream *s, const struct chat_call *c, const struct fragment *f)
{
    const struct ccp_json *text = chat_get(f->body, f->custom != NULL ? "input" : "arguments");
    if (text == NULL)
        return;
    if (text->type != CCP_JSON_STRING)
        delta_arguments(s, c->key, text->raw);
    else if (!c->named && text->raw.n > 2)
        delta_garbled(s, "the upstream's answer has a tool call without a name");
    else
        delta_text(s, c->key, ccp_json_inner(text));
}

static void read_fragment(struct chat_reader *r, struct delta_stream *s, const struct fragment *f,
                          const struct ccp_json *node, bool whole)
{
    struct chat_call *c = whole ? NULL : continued(r, f);
    if (c == NULL && (c = add(r, s)) == NULL)
        return;
    r->last = c;
    if (f->indexed)
        c->index = f->index;
    if (c->id == 0)
        c->id = f->hash;
    if (!c->named && f->name.n != 0)
        open_call(r, s, c, f);
    keep_id(c, f->id);
    read_arguments(s, c, f);
    ctext proof = ccp_json_inner(chat_get(chat_get(chat_get(node, "extra_content"), "google"), "thought_signature"));
    if (proof.n != 0)
        delta_proof(s, c->key, PROOF_THOUGHT, proof);
}

static void read_legacy(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *call, bool whole)
{
    if (call == NULL || call->type != CCP_JSON_OBJECT)
        return;
    struct fragment f = {.id = CCP_SPAN(""),
                         .name = ccp_json_inner(chat_get(call, "name")),
                         .body = call,
                         .index = LEGACY,
                         .indexed = true};
    read_fragment(r, s, &f, call, whole);
}

void chat_read_calls(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *delta, bool whole)
{
    const struct ccp_json *calls = chat_get(delta, "tool_calls");
    const struct ccp_json *node = calls != NULL && calls->type == CCP_JSON_ARRAY ? calls->child : NULL;
    for (; node != NULL && !delta_over(s); node = node->next) {
        struct fragment f = fragment_of(node);
        read_fragment(r, s, &f, node, whole);
    }
    read_legacy(r, s, chat_get(delta, "function_call"), whole);
}
