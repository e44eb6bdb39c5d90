/*
 * One format's reader of requests: it refuses with words or fills a prompt that keeps its promises (format/prompt.h);
 * and its own writer makes of that a request that is valid for its own API, and that it reads again.
 */
#include "format.h"

static void object_text(struct ccp_span json)
{
    struct tree t = {0};
    const char *what = NULL;
    const struct node *n = grammar_tree_read(&t, json, &what);
    if (n == NULL || n->type != OBJECT)
        pleased("arguments", what != NULL ? what : "no object", json);
    grammar_tree_release(&t);
}

static void see_part(struct prompt *p, const struct part *part)
{
    char where[300];
    const ctext texts[] = {part->text, part->mime, part->data,  part->title,      part->detail,
                           part->id,   part->name, part->space, part->proof.text, part->proof.origin};
    MUST(part->kind < PART_KINDS);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        must_be_ctext(texts[i]);
    for (const struct part *inner = part->parts; inner != NULL; inner = inner->next)
        see_part(p, inner);
    format_of(p->from)->where(part, where, sizeof(where));
    MUST(memchr(where, '\0', sizeof(where)) != NULL);
    if (part->kind != PART_CALL)
        return;
    if (!part->custom)
        object_text(prompt_arguments(p, part));
}

/* The results of a turn's calls stand first in the next one, in order. */
static void see_results(const struct turn *turn)
{
    const struct part *result = turn->next != NULL ? turn->next->parts : NULL;
    for (const struct part *call = turn->parts; call != NULL; call = call->next) {
        if (call->kind != PART_CALL)
            continue;
        MUST(turn->role == ROLE_ASSISTANT && turn->next->role == ROLE_USER);
        MUST(result != NULL && result->kind == PART_RESULT && ccp_span_eq(result->id, call->id));
        MUST(ccp_span_eq(result->name, call->name));
        result = result->next;
    }
}

static void see_prompt(struct prompt *p, bool alternate)
{
    const struct turn *before = NULL;
    for (const struct turn *turn = p->turns; turn != NULL; before = turn, turn = turn->next) {
        MUST(turn->parts != NULL);
        for (const struct part *part = turn->parts; part != NULL; part = part->next) {
            see_part(p, part);
            MUST(part->kind != PART_TEXT || part->text.n != 0 || part->proof.kind != PROOF_NONE);
        }
        see_results(turn);
        if (before == NULL || before->role != turn->role)
            continue;
        MUST(turn->role != ROLE_ASSISTANT && (turn->role != ROLE_USER || !alternate));
    }
    for (const struct tool *t = p->tools; t != NULL; t = t->next) {
        must_be_ctext(t->name);
        must_be_ctext(t->description);
    }
    ctext system_text = prompt_system_text(p);
    if (system_text.p != NULL)
        must_be_ctext(system_text);
    prompt_estimate(p);
}

static void begin(struct prompt *p, struct arena *a, const struct control *c, struct prompt_target *to)
{
    *to = (struct prompt_target){.format = FUZZ_FORMAT,
                                 .provider = c->foreign ? CCP_SPAN("elsewhere") : CCP_SPAN("up"),
                                 .model = model_for(FUZZ_FORMAT, c->model),
                                 .compatible = c->compatible,
                                 .stream = c->upstream_streams};
    struct names *names = names_new(a);
    MUST(names != NULL);
    prompt_init(p, a, FUZZ_FORMAT, to, names);
}

/* False: refused. */
static bool read_prompt(struct arena *a, const struct control *c, const struct ccp_json *root)
{
    struct prompt p;
    struct prompt_target to;
    begin(&p, a, c, &to);
    refuse_nth(c->refused);
    bool ok = format_of(FUZZ_FORMAT)->prompt_read(&p, root) && p.status == CCP_OK && prompt_settle(&p, c->alternate);
    refuse_nth(0);
    if (ok && p.status == CCP_OK && c->refused == 0)
        see_prompt(&p, c->alternate);
    else
        MUST((p.status != CCP_OK && p.error.n != 0) || c->refused != 0);
    return ok;
}

static void write_again(struct arena *a, const struct control *c, const struct ccp_json *root, struct ccp_span body)
{
    struct prompt p, q;
    struct prompt_target to;
    struct ccp_buf out, twice;
    bool at_home =
        grammar_request(FUZZ_FORMAT, body, false) == NULL || grammar_request(FUZZ_FORMAT, body, true) == NULL;
    begin(&p, a, c, &to);
    buf_init(&out, 1 << 24);
    buf_init(&twice, 1 << 24);
    if (translate_request(&p, root, &out)) {
        struct ccp_json *written = object_of(a, buf_span(&out));
        if (at_home) /* else tools and the like may have gone through as they came: same format */
            pleased("request", grammar_request(FUZZ_FORMAT, buf_span(&out), to.stream), buf_span(&out));
        MUST(written != NULL);
        begin(&q, a, c, &to);
        if (!translate_request(&q, written, &twice))
            pleased("written", "cannot be read again", buf_span(&out));
    }
    buf_release(&out);
    buf_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5 || size > SIZE_LIMIT)
        return 0;
    struct control c = control_of(data);
    struct ccp_span body = {(const char *)data + 4, size - 4};
    struct arena a;
    arena_init(&a, NULL, 0);
    const struct ccp_json *root = object_of(&a, body);
    if (root != NULL && read_prompt(&a, &c, root) && c.refused == 0)
        write_again(&a, &c, root, body);
    arena_end(&a);
    return 0;
}
