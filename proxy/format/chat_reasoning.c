/*
 * Thinking in Chat requests: its depth, which every vendor spells in its own way, and the thinking that clients echo in
 * assistant messages (wire reference B.2, B.6, F.5).
 */
#include <base/fault.h>
#include <format/chat.h>

/* -- depth -- */

static bool wrong(struct prompt *p, const char *name, const char *wanted)
{
    return prompt_fail(p, "%s must be %s", name, wanted);
}

static bool read_effort(struct prompt *p, const char *name, const struct ccp_json *word)
{
    if (word == NULL)
        return true;
    p->reasoning.effort = effort_of(prompt_ctext(word));
    return p->reasoning.effort != EFFORT_UNSET || wrong(p, name, "none, minimal, low, medium, high, xhigh or max");
}

static bool read_budget(struct prompt *p, const char *name, const struct ccp_json *tokens)
{
    if (tokens == NULL)
        return true;
    if (!prompt_int(tokens, &p->reasoning.budget) || p->reasoning.budget < -1)
        return wrong(p, name, "an integer");
    if (p->reasoning.budget == 0)
        p->reasoning.effort = EFFORT_NONE;
    return true;
}

/* On or off, without a word about how deep. */
static void set_switch(struct prompt *p, bool on)
{
    if (!on)
        p->reasoning.effort = EFFORT_NONE;
    else if (p->reasoning.effort == EFFORT_UNSET && p->reasoning.budget == 0)
        p->reasoning.adaptive = true;
}

/* OpenRouter: reasoning{effort,max_tokens,exclude,enabled}. */
static bool read_object(struct prompt *p, const struct ccp_json *r)
{
    if (r == NULL)
        return true;
    if (r->type != CCP_JSON_OBJECT)
        return wrong(p, "reasoning", "an object");
    if (!read_effort(p, "reasoning.effort", chat_get(r, "effort")) ||
        !read_budget(p, "reasoning.max_tokens", chat_get(r, "max_tokens")))
        return false;
    if (chat_get(r, "enabled") != NULL)
        set_switch(p, prompt_true(chat_get(r, "enabled")));
    if (prompt_true(chat_get(r, "exclude")))
        p->reasoning.show = NO;
    return true;
}

/* DeepSeek, GLM, Kimi: thinking{type,budget_tokens}. */
static bool read_thinking(struct prompt *p, const struct ccp_json *t)
{
    if (t == NULL)
        return true;
    if (t->type != CCP_JSON_OBJECT)
        return wrong(p, "thinking", "an object");
    if (!read_budget(p, "thinking.budget_tokens", chat_get(t, "budget_tokens")))
        return false;
    set_switch(p, !prompt_is(chat_get(t, "type"), "disabled"));
    return true;
}

/* Gemini's Chat endpoint: google.thinking_config{thinking_budget,thinking_level,include_thoughts}. */
static bool read_google(struct prompt *p, const struct ccp_json *google)
{
    const struct ccp_json *c = chat_get(google, "thinking_config");
    if (!read_budget(p, "thinking_config.thinking_budget", chat_get(c, "thinking_budget")) ||
        !read_effort(p, "thinking_config.thinking_level", chat_get(c, "thinking_level")))
        return false;
    if (chat_get(c, "include_thoughts") != NULL)
        p->reasoning.show = prompt_true(chat_get(c, "include_thoughts")) ? YES : NO;
    return true;
}

bool chat_read_reasoning(struct prompt *p, const struct ccp_json *root)
{
    const struct ccp_json *extra = chat_get(root, "extra_body"), *on = chat_get(root, "enable_thinking"),
                          *include = chat_get(root, "include_reasoning");
    if (!read_effort(p, "reasoning_effort", chat_get(root, "reasoning_effort")) ||
        !read_object(p, chat_get(root, "reasoning")) || !read_thinking(p, chat_get(root, "thinking")) ||
        !read_google(p, chat_get(root, "google")) || !read_google(p, chat_get(extra, "google")))
        return false;
    if (on != NULL)
        set_switch(p, prompt_true(on));
    if (include != NULL)
        p->reasoning.show = prompt_true(include) ? YES : NO;
    if (extra != NULL && (extra->count != 1 || chat_get(extra, "google") == NULL))
        prompt_drop(p, "extra_body");
    return true;
}

/* -- thinking that comes back -- */

bool chat_read_extra(struct prompt *p, struct proof *proof, const struct ccp_json *node)
{
    const struct ccp_json *google = chat_get(chat_get(node, "extra_content"), "google");
    ctext text = prompt_ctext(chat_get(google, "thought_signature"));
    return text.n == 0 || proof_read(p, proof, PROOF_THOUGHT, text);
}

/* The payload is ours, wrapped; else the item is its vendor's. */
static bool read_proof(struct prompt *p, struct proof *proof, const struct chat_detail *d)
{
    *proof = (struct proof){PROOF_NONE, CCP_SPAN(""), CCP_SPAN("")};
    if (d->payload.n == 0)
        return true;
    if (ccp_span_starts(d->payload, CCP_SPAN("ccp1.")))
        return proof_read(p, proof, PROOF_DETAIL, d->payload);
    ctext packed = chat_detail_pack(p->a, d);
    if (packed.p == NULL)
        return prompt_no_memory(p);
    *proof = (struct proof){PROOF_DETAIL, CCP_SPAN(""), packed};
    return true;
}

static struct part *add(struct prompt *p, struct turn *turn, ctext text, const struct ccp_json *node)
{
    struct part *part = prompt_part(p, turn, PART_THINKING, UINT32_MAX);
    if (part == NULL)
        return NULL;
    part->text = text;
    part->node = node;
    return part;
}

/* Anthropic's own, or given out by a server in front of it. */
static bool is_signed(const struct part *part)
{
    return part->proof.kind == PROOF_SIGNATURE ||
           (part->proof.kind == PROOF_DETAIL && part->proof.text.n != 0 && part->proof.text.p[0] == 's');
}

/* An Anthropic signature vouches for the exact text of its block. A Chat message has one text for all blocks: with more
 * than one signature nobody can tell which is whose, and a signature on the wrong text is refused. The text may be the
 * wrong one, too: accumulators that do not know the member keep the last fragment of a stream. */
static bool text_fits(const struct turn *turn, ctext text)
{
    size_t n = 0;
    for (const struct part *part = turn->parts; part != NULL; part = part->next)
        if (is_signed(part) && (++n > 1 || !chat_same_units(part->node, text)))
            return false;
    return true;
}

static void drop_signatures(struct turn *turn)
{
    for (struct part *part = turn->parts; part != NULL; part = part->next)
        if (is_signed(part))
            part->proof = (struct proof){PROOF_NONE, CCP_SPAN(""), CCP_SPAN("")};
}

/* The message's one text goes to the part whose signature is about it, else to the first that can have one. */
static bool place_text(struct prompt *p, struct turn *turn, ctext text, const struct ccp_json *node)
{
    struct part *home = NULL;
    for (struct part *part = turn->parts; part != NULL; part = part->next)
        if (is_signed(part) || (home == NULL && part->proof.kind != PROOF_REDACTED))
            home = part;
    if (home == NULL)
        home = add(p, turn, CCP_SPAN(""), node);
    if (home != NULL)
        home->text = text;
    return home != NULL;
}

/* Items of reasoning_details in their order. True in *texts: they carry the text, too. */
static bool read_details(struct prompt *p, struct turn *turn, const struct ccp_json *details, struct proof *late,
                         bool *texts)
{
    if (details->type != CCP_JSON_ARRAY)
        return prompt_fail(p, "messages[%u].reasoning_details must be an array", turn->message);
    for (const struct ccp_json *item = details->child; item != NULL; item = item->next) {
        struct chat_detail d = chat_detail_of(item);
        struct proof proof;
        ctext text = prompt_ctext(chat_get(item, "text"));
        if (text.n == 0)
            text = prompt_ctext(chat_get(item, "summary"));
        if (!read_proof(p, &proof, &d))
            return false;
        *texts = *texts || text.n != 0;
        if (text.n == 0 && proof.kind == PROOF_THOUGHT) {
            *late = proof;
            continue;
        }
        if (text.n == 0 && proof.kind == PROOF_NONE)
            continue;
        struct part *part = add(p, turn, text, item);
        if (part == NULL)
            return false;
        part->proof = proof;
    }
    return true;
}

bool chat_read_thinking(struct prompt *p, struct turn *turn, const struct ccp_json *message, struct proof *late)
{
    static const char *const names[] = {"reasoning_content", "reasoning", "reasoning_text"};
    const struct ccp_json *node = NULL, *details = chat_get(message, "reasoning_details");
    bool texts = false;
    for (size_t i = 0; i < 3 && (node == NULL || node->type != CCP_JSON_STRING); i++)
        node = chat_get(message, names[i]);
    ctext text = prompt_ctext(node);
    if (details != NULL && !read_details(p, turn, details, late, &texts))
        return false;
    struct chat_detail opaque = {'o', CCP_SPAN(""), CCP_SPAN(""), prompt_ctext(chat_get(message, "reasoning_opaque"))};
    if (opaque.payload.n != 0) {
        struct part *part = add(p, turn, CCP_SPAN(""), message);
        if (part == NULL || !read_proof(p, &part->proof, &opaque))
            return false;
    }
    if (texts)
        return true;
    if (!text_fits(turn, text))
        drop_signatures(turn);
    return text.n == 0 || place_text(p, turn, text, node);
}
