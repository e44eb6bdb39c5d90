/*
 * Making a conversation canonical, whatever format it came from: see prompt_settle in prompt.h.
 *
 * Nearly every result stands where it belongs already and only learns its call's name. For the rest calls are found by
 * id through a map, so it stays linear in the number of parts. Ids may repeat in a long history (some servers
 * count from zero in every turn); a result belongs to the latest call of its id that has none yet. In the end no two
 * calls have one id: Anthropic refuses a conversation where they do.
 */
#include <base/fault.h>
#include <format/proof.h>
#include <format/tools.h>

/* -- empty parts and turns -- */

static bool empty(const struct part *part)
{
    if (part->kind == PART_TEXT || part->kind == PART_REFUSAL || part->kind == PART_THINKING)
        return part->text.n == 0 && part->proof.kind == PROOF_NONE;
    return false;
}

/* Returns the last part that is left. */
static struct part *prune_parts(struct part **link)
{
    struct part *last = NULL;
    while (*link != NULL) {
        if (empty(*link)) {
            *link = (*link)->next;
            continue;
        }
        last = *link;
        if (last->kind == PART_RESULT)
            last->last_inner = prune_parts(&last->parts);
        link = &last->next;
    }
    return last;
}

static void prune(struct prompt *p)
{
    p->last_turn = NULL;
    for (struct turn **link = &p->turns; *link != NULL;) {
        struct turn *t = *link;
        t->last = prune_parts(&t->parts);
        if (t->parts == NULL) {
            *link = t->next;
            continue;
        }
        p->last_turn = t;
        link = &t->next;
    }
}

/* -- neighbours -- */

static bool joins(const struct turn *t, bool alternate)
{
    return t->next != NULL && t->next->role == t->role &&
           (t->role == ROLE_ASSISTANT || (alternate && t->role == ROLE_USER));
}

static void merge(struct prompt *p, bool alternate)
{
    for (struct turn *t = p->turns; t != NULL; t = t->next) {
        while (joins(t, alternate)) {
            t->last->next = t->next->parts;
            t->last = t->next->last;
            t->next = t->next->next;
        }
        p->last_turn = t;
    }
}

/* -- calls and results -- */

/* A call that waits for its result. */
struct waiting {
    struct part *call, *result;
};

static void learn(struct part *result, const struct part *call)
{
    result->name = call->name;
    result->space = call->space;
    result->custom = call->custom;
}

static struct part *next_call(struct part *part)
{
    while (part != NULL && part->kind != PART_CALL)
        part = part->next;
    return part;
}

/* Do the calls of this turn have their results first in the next one, in order? Then they are placed. */
static void place_adjacent(struct turn *t)
{
    struct part *first = t->next != NULL && t->next->role == ROLE_USER ? t->next->parts : NULL, *result = first;
    struct part *call = next_call(t->parts);
    for (; call != NULL; call = next_call(call->next), result = result->next)
        if (result == NULL || result->kind != PART_RESULT || !ccp_span_eq(result->id, call->id))
            return;
    call = next_call(t->parts);
    for (result = first; call != NULL && result != NULL; call = next_call(call->next), result = result->next) {
        call->placed = result->placed = true;
        learn(result, call);
    }
}

static bool note_call(struct prompt *p, struct map *calls, struct part *call)
{
    struct waiting *w = CCP_FAULT("settle.call") ? NULL : arena_alloc(p->a, sizeof(*w));
    if (w == NULL)
        return prompt_no_memory(p);
    *w = (struct waiting){call, NULL};
    call->answer = w;
    return map_put(calls, call->id, w) || prompt_no_memory(p);
}

static void answer_call(struct waiting *w, struct part *result)
{
    w->result = result;
    learn(result, w->call);
    result->next = NULL;
}

/* A result that answers no call is kept as text: nothing the client said is lost. */
static bool result_to_text(struct prompt *p, struct part *result)
{
    ctext text = prompt_result_text(p, result, true);
    struct ccp_span pieces[] = {CCP_SPAN("[result of tool call "), result->id, CCP_SPAN("] "), text};
    prompt_drop(p, "tool_result");
    result->text = text.p == NULL || CCP_FAULT("settle.orphan") ? (ctext){NULL, 0} : arena_cat(p->a, pieces, 4);
    if (result->text.p == NULL)
        return prompt_no_memory(p);
    struct part *after = result->next, *last = result;
    result->kind = PART_TEXT;
    for (struct part *inner = result->parts; inner != NULL;) {
        struct part *next = inner->next;
        if (inner->kind != PART_TEXT)
            last = last->next = inner;
        inner = next;
    }
    last->next = after;
    result->parts = NULL;
    return true;
}

/* Takes the results out of a turn and gives them to their calls. */
static bool take_results(struct prompt *p, struct map *calls, struct turn *t)
{
    for (struct part **link = &t->parts; *link != NULL;) {
        struct part *part = *link;
        if (part->placed) {
            link = &part->next;
            continue;
        }
        struct waiting *w = part->kind == PART_RESULT ? map_get(calls, part->id) : NULL;
        if (part->kind == PART_RESULT && w != NULL && w->result == NULL) {
            *link = part->next;
            answer_call(w, part);
            continue;
        }
        if (part->kind == PART_RESULT && !result_to_text(p, part))
            return false;
        link = &part->next;
    }
    return true;
}

/* What one turn has that does not stand where it should. */
static bool sort_out(struct prompt *p, struct map *calls, struct turn *t)
{
    if (t->role == ROLE_ASSISTANT)
        place_adjacent(t);
    for (struct part *part = t->parts; part != NULL; part = part->next) {
        if (part->kind != PART_RESULT || part->placed)
            continue;
        if (!take_results(p, calls, t))
            return false;
        break;
    }
    for (struct part *part = t->parts; part != NULL; part = part->next)
        if (part->kind == PART_CALL && !part->placed && !note_call(p, calls, part))
            return false;
    return true;
}

/* *moved: there were calls and results that are not placed yet. */
static bool pair(struct prompt *p, bool *moved)
{
    struct map calls;
    map_init(&calls, p->a);
    for (struct turn *t = p->turns; t != NULL; t = t->next)
        if (!sort_out(p, &calls, t))
            return false;
    *moved = calls.n != 0;
    return true;
}

static struct part *missing_result(struct prompt *p, struct waiting *w)
{
    struct turn nowhere = {.message = w->call->message};
    struct part *result = prompt_part(p, &nowhere, PART_RESULT, w->call->index);
    struct part *text = prompt_result_part(p, result, PART_TEXT);
    if (text == NULL)
        return NULL;
    text->text = CCP_SPAN("(no result)");
    result->id = w->call->id;
    answer_call(w, result);
    prompt_drop(p, "tool_result");
    return result;
}

/* The results of a turn's calls, in the calls' order; NULL with *ok: it has no calls. */
static struct part *results_of(struct prompt *p, const struct turn *t, struct part **last, bool *ok)
{
    struct part *first = NULL;
    *ok = true;
    *last = NULL;
    for (struct part *part = t->parts; part != NULL; part = part->next) {
        struct waiting *w = part->kind == PART_CALL ? part->answer : NULL;
        if (w == NULL)
            continue;
        struct part *result = w->result != NULL ? w->result : missing_result(p, w);
        if (result == NULL) {
            *ok = false;
            return NULL;
        }
        if (*last != NULL)
            (*last)->next = result;
        else
            first = result;
        *last = result;
    }
    return first;
}

static struct turn *user_turn_after(struct prompt *p, struct turn *t)
{
    if (t->next != NULL && t->next->role == ROLE_USER)
        return t->next;
    struct turn *made = CCP_FAULT("settle.turn") ? NULL : arena_zalloc(p->a, sizeof(*made));
    if (made == NULL) {
        prompt_no_memory(p);
        return NULL;
    }
    made->role = ROLE_USER;
    made->message = UINT32_MAX;
    made->next = t->next;
    return t->next = made;
}

static bool place_results(struct prompt *p)
{
    for (struct turn *t = p->turns; t != NULL; t = t->next) {
        struct part *last;
        bool ok;
        struct part *first = results_of(p, t, &last, &ok);
        struct turn *user = first != NULL ? user_turn_after(p, t) : NULL;
        if (!ok || (first != NULL && user == NULL))
            return false;
        if (first == NULL)
            continue;
        last->next = user->parts;
        user->parts = first;
    }
    return true;
}

/* -- repeated ids -- */

/* How often an id was seen. */
struct seen {
    uint32_t times;
};

static bool see(struct prompt *p, struct map *ids, ctext id)
{
    struct seen *s = CCP_FAULT("settle.id") ? NULL : arena_zalloc(p->a, sizeof(*s));
    return (s != NULL && map_put(ids, id, s)) || prompt_no_memory(p);
}

/* "call_0" -> "call_0_2": what came before decides alone, so that it stays when the conversation grows. */
static bool rename_call(struct prompt *p, struct map *ids, struct seen *s, struct part *call, struct part *result)
{
    ctext id;
    do {
        id = CCP_FAULT("settle.rename") ? (ctext){NULL, 0}
                                        : arena_printf(p->a, "%.*s_%u", CCP_FMT(call->id), (unsigned)++s->times + 1);
        if (id.p == NULL)
            return prompt_no_memory(p);
    } while (map_get(ids, id) != NULL);
    if (result != NULL && result->kind == PART_RESULT && ccp_span_eq(result->id, call->id))
        result->id = id;
    call->id = id;
    return see(p, ids, id);
}

/* Results stand in the order of their calls by now. */
static bool tell_apart(struct prompt *p)
{
    struct map ids;
    map_init(&ids, p->a);
    for (struct turn *t = p->turns; t != NULL; t = t->next) {
        struct part *result = t->next != NULL ? t->next->parts : NULL;
        for (struct part *part = t->role == ROLE_ASSISTANT ? t->parts : NULL; part != NULL; part = part->next) {
            if (part->kind != PART_CALL)
                continue;
            struct seen *s = map_get(&ids, part->id);
            if (!(s == NULL ? see(p, &ids, part->id) : rename_call(p, &ids, s, part, result)))
                return false;
            result = result != NULL ? result->next : NULL;
        }
    }
    return true;
}

bool prompt_settle(struct prompt *p, bool alternate)
{
    bool moved;
    for (struct turn *t = p->turns; t != NULL; t = t->next)
        if (t->role == ROLE_ASSISTANT)
            proof_attach(t);
    prune(p);
    merge(p, alternate);
    if (!tools_settle(p) || !pair(p, &moved))
        return false;
    if (moved) {
        if (!place_results(p))
            return false;
        prune(p);
        merge(p, alternate);
    }
    return tell_apart(p) && p->status == CCP_OK;
}
