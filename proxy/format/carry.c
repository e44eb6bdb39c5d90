/*
 * What writers carry over from a prompt: arguments, ids, texts of results, system text, depth of thinking.
 */
#include <base/fault.h>
#include <format/fields.h>
#include <format/proof.h>
#include <wire/json.h>

/* -- arguments -- */

static bool is_object(struct ccp_span json)
{
    size_t i = 0;
    while (i < json.n && memchr(" \t\r\n", json.p[i], 4) != NULL)
        i++;
    return i < json.n && json.p[i] == '{';
}

static struct ccp_span cat3(struct prompt *p, const char *before, struct ccp_span middle, const char *after)
{
    struct ccp_span pieces[] = {ccp_span_z(before), middle, ccp_span_z(after)};
    struct ccp_span all =
        middle.p == NULL || CCP_FAULT("carry.cat") ? (struct ccp_span){NULL, 0} : arena_cat(p->a, pieces, 3);
    if (all.p == NULL)
        prompt_no_memory(p);
    return all;
}

static bool blank(struct ccp_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (memchr(" \t\r\n", text.p[i], 4) == NULL)
            return false;
    return true;
}

struct ccp_span prompt_arguments(struct prompt *p, const struct part *call)
{
    struct ccp_span json = call->args.raw;
    if (call->custom)
        return cat3(p, "{\"input\":\"", json, "\"}");
    if (call->args.quoted) {
        json = prompt_plain(p, json);
        if (blank(json))
            return CCP_SPAN("{}");
        if (json_scan(json, NULL, NULL, 0, NULL) != CCP_OK) {
            prompt_drop(p, "arguments");
            return cat3(p, "{\"_raw\":\"", call->args.raw, "\"}");
        }
    }
    if (json.n == 0)
        return CCP_SPAN("{}");
    return is_object(json) ? json : cat3(p, "{\"value\":", json, "}");
}

void arguments_write(struct prompt *p, struct out *o, const char *key, const struct part *call)
{
    if (!call->args.quoted || call->custom)
        out_plain(o, key, prompt_arguments(p, call));
    else
        out_text(o, key, blank(call->args.raw) ? CCP_SPAN("{}") : call->args.raw);
}

/* -- proofs and ids -- */

ctext prompt_proof(const struct prompt *p, const struct proof *proof, enum proof_kind native)
{
    bool bare = proof->origin.n == 0 && p->from == p->to.format;
    if (proof->kind != native || (!bare && !ccp_span_eq(proof->origin, p->to.provider)))
        return CCP_SPAN("");
    return proof->text;
}

static bool plain_id(ctext id, size_t max)
{
    bool ok = id.n != 0 && id.n <= max;
    for (size_t i = 0; ok && i < id.n; i++) {
        char c = id.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    }
    return ok;
}

ctext call_id_from(struct arena *a, ctext id, size_t max)
{
    if (plain_id(id, max))
        return id;
    struct ccp_span text = CCP_FAULT("carry.id")
                               ? (struct ccp_span){NULL, 0}
                               : arena_printf(a, "call_%016llx%08llx", (unsigned long long)map_hash(1, id),
                                              (unsigned long long)(map_hash(2, id) & 0xffffffff));
    return text;
}

ctext prompt_call_id(struct prompt *p, ctext id, size_t max)
{
    ctext out = call_id_from(p->a, id, max);
    if (out.p == NULL)
        prompt_no_memory(p);
    return out;
}

/* -- texts -- */

bool prompt_only_text(const struct part *first)
{
    for (; first != NULL; first = first->next)
        if (first->kind != PART_TEXT && first->kind != PART_REFUSAL)
            return false;
    return true;
}

/* Joins the texts that `next` gives one after the other. */
struct joint {
    struct ccp_span *pieces;
    size_t n;
};

static bool joint_init(struct prompt *p, struct joint *j, size_t texts)
{
    j->n = 0;
    j->pieces = CCP_FAULT("carry.joint") ? NULL : arena_alloc(p->a, (texts * 2 + 1) * sizeof(*j->pieces));
    return j->pieces != NULL || prompt_no_memory(p);
}

static void joint_add(struct joint *j, struct ccp_span between, ctext text)
{
    if (j->n != 0)
        j->pieces[j->n++] = between;
    j->pieces[j->n++] = text;
}

static ctext joint_text(struct prompt *p, const struct joint *j)
{
    if (j->n <= 1)
        return j->n == 1 ? j->pieces[0] : CCP_SPAN("");
    ctext text = CCP_FAULT("carry.join") ? (struct ccp_span){NULL, 0} : arena_cat(p->a, j->pieces, j->n);
    if (text.p == NULL)
        prompt_no_memory(p);
    return text;
}

ctext prompt_result_text(struct prompt *p, const struct part *result, bool flag)
{
    struct joint j;
    size_t texts = 0;
    for (const struct part *part = result->parts; part != NULL; part = part->next)
        texts += part->kind == PART_TEXT;
    if (!joint_init(p, &j, texts))
        return (ctext){NULL, 0};
    for (const struct part *part = result->parts; part != NULL; part = part->next)
        if (part->kind == PART_TEXT)
            joint_add(&j, CCP_SPAN("\\n"), part->text);
    ctext text = joint_text(p, &j);
    if (!flag || !result->failed || text.p == NULL || ccp_span_starts(text, CCP_SPAN("Error")))
        return text;
    return cat3(p, "Error: ", text, "");
}

bool prompt_attribution(ctext text)
{
    return ccp_span_starts(text, CCP_SPAN("x-anthropic-billing-header:"));
}

static bool in_system_text(const struct turn *t, const struct part *part)
{
    return t->role <= ROLE_DEVELOPER && part->kind == PART_TEXT && !prompt_attribution(part->text);
}

ctext prompt_system_text(struct prompt *p)
{
    struct joint j;
    size_t texts = 0;
    for (const struct turn *t = p->turns; t != NULL && t->role <= ROLE_DEVELOPER; t = t->next)
        for (const struct part *part = t->parts; part != NULL; part = part->next)
            texts += in_system_text(t, part);
    if (texts == 0 || !joint_init(p, &j, texts))
        return (ctext){NULL, 0};
    for (const struct turn *t = p->turns; t != NULL && t->role <= ROLE_DEVELOPER; t = t->next)
        for (const struct part *part = t->parts; part != NULL; part = part->next)
            if (in_system_text(t, part))
                joint_add(&j, CCP_SPAN("\\n\\n"), part->text);
    return joint_text(p, &j);
}

/* -- user id -- */

ctext prompt_user(struct prompt *p, size_t max)
{
    ctext user = prompt_ctext(p->params[PARAM_USER]);
    struct ccp_span plain = prompt_plain(p, user);
    if (plain.n <= max)
        return plain.p != NULL ? user : plain;
    ctext hash = CCP_FAULT("carry.user")
                     ? (ctext){NULL, 0}
                     : arena_printf(p->a, "user_%016llx%016llx", (unsigned long long)map_hash(1, plain),
                                    (unsigned long long)map_hash(2, plain));
    if (hash.p == NULL)
        prompt_no_memory(p);
    prompt_drop(p, p->param_names[PARAM_USER] != NULL ? p->param_names[PARAM_USER] : "user");
    return hash;
}

/* -- depth of thinking -- */

static const struct {
    const char *word;
    int64_t budget;
} efforts[] = {
    [EFFORT_UNSET] = {"", 0},          [EFFORT_NONE] = {"none", 0},        [EFFORT_MINIMAL] = {"minimal", 512},
    [EFFORT_LOW] = {"low", 1536},      [EFFORT_MEDIUM] = {"medium", 8192}, [EFFORT_HIGH] = {"high", 24576},
    [EFFORT_XHIGH] = {"xhigh", 32768}, [EFFORT_MAX] = {"max", 65536},
};

enum effort effort_of(ctext word)
{
    for (int e = EFFORT_NONE; e <= EFFORT_MAX; e++)
        if (ccp_span_is(word, efforts[e].word))
            return (enum effort)e;
    return EFFORT_UNSET;
}

const char *effort_word(enum effort e)
{
    return efforts[e].word;
}

int64_t effort_budget(enum effort e)
{
    return efforts[e].budget;
}

enum effort effort_of_budget(int64_t budget)
{
    if (budget == 0)
        return EFFORT_NONE;
    if (budget < 0)
        return EFFORT_UNSET; /* dynamic: the model decides */
    enum effort nearest = EFFORT_MINIMAL;
    for (int e = EFFORT_MINIMAL; e <= EFFORT_MAX; e++)
        if (llabs(efforts[e].budget - budget) <= llabs(efforts[nearest].budget - budget))
            nearest = (enum effort)e;
    return nearest;
}
