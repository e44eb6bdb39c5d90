/*
 * One ordered pair of formats, a client's request on its way up and the upstream's answer on its way down: what
 * translation lets through is valid for whom it is meant, whatever came in; what it refuses, it refuses with words; the
 * cut of the reads never shows; a refused allocation loses nothing.
 *
 * The input behind the control bytes is the request, a zero byte, and the answer.
 *
 * A request that its own API would not accept because of a single value's range may keep that value: then only the
 * shape of what goes up is judged.
 */
#include "format.h"

static const enum ccp_format client = FUZZ_CLIENT, upstream = FUZZ_UPSTREAM;

static bool good_at_home(struct ccp_span body)
{
    return grammar_request(client, body, false) == NULL || grammar_request(client, body, true) == NULL;
}

/* What was written can be read by its own format's reader. */
static void read_again(struct arena *a, struct ccp_span body)
{
    struct prompt p;
    struct prompt_target to = {.format = upstream, .provider = CCP_SPAN("up"), .model = CCP_SPAN("m")};
    struct ccp_json *root = object_of(a, body);
    MUST(root != NULL);
    prompt_init(&p, a, upstream, &to, names_new(a));
    if (!format_of(upstream)->prompt_read(&p, root)) {
        fprintf(stderr, "its own reader refuses it: %.*s\n", CCP_FMT(p.error));
        pleased("written", "cannot be read", body);
    }
}

/* Left out it means true there, which a schema made for somebody else was not made for. */
static void strict_is_said(struct ccp_span sent)
{
    struct tree t = {0};
    const char *what;
    const struct node *list = grammar_tree_get(grammar_tree_read(&t, sent, &what), "tools");
    for (const struct node *tool = list != NULL ? list->child : NULL; tool != NULL; tool = tool->next)
        if (grammar_tree_get(tool, "parameters") != NULL && grammar_tree_get(tool, "strict") == NULL)
            pleased("request", "a function without strict", sent);
    grammar_tree_release(&t);
}

/* Gemini takes a tool's schema without a type, Anthropic does not: a mistake that goes up and gets the vendor's 400. */
static bool typeless_schema(const char *complaint)
{
    return client == CCP_FORMAT_GEMINI && complaint != NULL &&
           strstr(complaint, "input_schema is not of type object") != NULL;
}

static void judge_request(const struct control *c, struct arena *a, struct ccp_span body, struct ccp_span sent)
{
    if (upstream == CCP_FORMAT_OPENAI_RESPONSES)
        strict_is_said(sent);
    if (typeless_schema(grammar_request(upstream, sent, c->upstream_streams)))
        return;
    if (!good_at_home(body)) {
        pleased("request", grammar_request_shape(upstream, sent, c->upstream_streams), sent);
        return;
    }
    pleased("request", grammar_request(upstream, sent, c->upstream_streams), sent);
    read_again(a, sent);
}

static void request(const struct control *c, struct arena *a, struct names *names, struct ccp_span body)
{
    struct prompt p;
    struct ccp_buf out;
    struct prompt_target to = {.format = upstream,
                               .provider = c->foreign ? CCP_SPAN("elsewhere") : CCP_SPAN("up"),
                               .model = model_for(upstream, c->model),
                               .compatible = c->compatible,
                               .stream = c->upstream_streams};
    struct ccp_json *root = object_of(a, body);
    if (root == NULL)
        return;
    buf_init(&out, 1 << 24);
    refuse_nth(c->refused);
    prompt_init(&p, a, client, &to, names);
    bool ok = translate_request(&p, root, &out);
    struct ccp_span path = ok ? format_of(upstream)->path(&p) : CCP_SPAN("/");
    refuse_nth(0);
    if (ok && !out.failed)
        judge_request(c, a, body, buf_span(&out));
    else
        MUST((p.status != CCP_OK && p.error.n != 0) || c->refused != 0);
    MUST((path.p != NULL && path.p[0] == '/') || c->refused != 0);
    buf_release(&out);
}

struct got {
    struct ccp_buf bytes;
    bool ok, done, broken;
};

static void judge_answer(const struct control *c, struct translation *t, struct got *g)
{
    MUST(t->done != t->broken);
    if (c->stream) { /* Gemini's "malformed call" is a good end there and a failure in Responses */
        bool may_fail = g->broken || (client == CCP_FORMAT_OPENAI_RESPONSES && upstream == CCP_FORMAT_GEMINI);
        pleased("stream", grammar_stream(client, buf_span(&g->bytes), may_fail), buf_span(&g->bytes));
        return;
    }
    if (g->done) {
        pleased("answer", grammar_whole(client, buf_span(&g->bytes)), buf_span(&g->bytes));
        return;
    }
    MUST(g->bytes.n == 0);
    MUST(failure_body(client, &t->failure, CCP_SPAN("req_1"), &g->bytes));
    pleased("error", grammar_error(client, buf_span(&g->bytes)), buf_span(&g->bytes));
    int http = failure_http(client, &t->failure);
    MUST(http >= 400 && http < 600);
}

static struct got answer(const struct control *c, const struct names *names, struct ccp_span text, uint32_t cuts)
{
    struct got g = {.ok = true};
    struct arena scratch;
    struct translation t;
    struct answer_from from = {upstream, CCP_SPAN("up"), names, c->upstream_streams};
    struct answer_to to = {.model = CCP_SPAN("the model"),
                           .request_id = CCP_SPAN("req-1"),
                           .created = 1760000000,
                           .include_usage = c->usage,
                           .json_array = c->array};
    buf_init(&g.bytes, 1 << 26);
    arena_init(&scratch, NULL, 0);
    refuse_nth(c->refused);
    g.ok = translation_init(&t, &from, client, &to, c->stream, &scratch, c->narrow ? 700 : 1 << 20) &&
           feed_cut(&t, text, cuts) && translation_finish(&t, NULL);
    refuse_nth(0);
    MUST(buf_add(&g.bytes, buf_span(&t.out)));
    g.done = t.done;
    g.broken = t.broken;
    MUST(g.ok || c->refused != 0);
    if (g.ok)
        judge_answer(c, &t, &g);
    translation_release(&t);
    arena_end(&scratch);
    return g;
}

static void answers(const struct control *c, const struct names *names, struct ccp_span text)
{
    struct got whole = answer(c, names, text, 1), cut = answer(c, names, text, c->cuts);
    /* How often memory is asked for depends on the cuts; and an id for a call that came without one is made up. */
    if (c->refused == 0 && upstream == CCP_FORMAT_GEMINI)
        MUST(whole.done == cut.done && whole.bytes.n == cut.bytes.n);
    else if (c->refused == 0)
        MUST(whole.done == cut.done && ccp_span_eq(buf_span(&whole.bytes), buf_span(&cut.bytes)));
    buf_release(&whole.bytes);
    buf_release(&cut.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5 || size > SIZE_LIMIT)
        return 0;
    struct control c = control_of(data);
    struct ccp_span text = {(const char *)data + 4, size - 4};
    struct ccp_span body = {text.p, ccp_span_find(text, '\0')};
    struct arena a;
    arena_init(&a, NULL, 0);
    struct names *names = names_new(&a);
    MUST(names != NULL);
    request(&c, &a, names, body);
    if (body.n < text.n)
        answers(&c, names, ccp_span_skip(text, body.n + 1));
    arena_end(&a);
    return 0;
}
