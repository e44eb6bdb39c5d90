/*
 * Fitting a body to its provider: where the rules (fit.c) meet an exchange.
 *
 * A translated body was just written and is parsed once more when a rule concerns it; a body that passes in its own
 * format is only looked at, and rewritten when it must be. Headers and answer of such a request pass as ever.
 */
#include <base/fault.h>
#include <chain/crossing_impl.h>
#include <wire/json.h>

const struct ccp_body_rule *fit_rules(const struct exchange *x)
{
    return x->route.op == CCP_OP_GENERATE ? x->route.provider->def->body_rules[x->spoken] : NULL;
}

bool fit_written(const struct exchange *x, struct prompt *p, struct ccp_buf *body)
{
    const struct ccp_body_rule *rules = fit_rules(x);
    struct ccp_json *root;
    struct ccp_buf fitted;
    bool needed;
    if (rules == NULL)
        return true;
    enum ccp_status status = fit_look(rules, buf_span(body), &needed, NULL);
    if (status == CCP_OK && !needed)
        return true;
    status = CCP_FAULT("fit.parse") ? CCP_OVERLOADED : json_parse(p->a, buf_span(body), &root, NULL);
    if (status != CCP_OK) /* our own text: only memory can be missing */
        return prompt_no_memory(p);
    buf_init(&fitted, body->max);
    if (!fit_tree(rules, p, root) || CCP_FAULT("fit.write") || !json_write(root, &fitted)) {
        buf_release(&fitted);
        return p->status == CCP_OK ? prompt_no_memory(p) : false;
    }
    buf_release(body);
    *body = fitted;
    return true;
}

static void free_buffer(void *arg)
{
    buf_release(arg);
}

static struct ccp_buf *new_buffer(struct exchange *x)
{
    struct ccp_buf *b = CCP_FAULT("fit.buffer") ? NULL : arena_alloc(&x->arena, sizeof(*b));
    if (b == NULL)
        return NULL;
    buf_init(b, x->rt->settings.server.max_body_bytes * 4);
    return !CCP_FAULT("fit.defer") && arena_defer(&x->arena, free_buffer, b) ? b : NULL;
}

static bool no_memory(struct exchange *x)
{
    exchange_fail(x, CCP_OVERLOADED, "out of memory");
    return false;
}

static bool bad_json(struct exchange *x, const struct ccp_json_error *e)
{
    exchange_fail(x, CCP_BAD_JSON, "the request body is not valid JSON: %s at line %zu, column %zu (byte %zu)", e->what,
                  e->line, e->column, e->offset);
    return false;
}

/* Edits the parsed body and writes it. `p` lives until the losses are noted. */
static bool rewrite(struct exchange *x, struct ccp_json *root, struct ccp_buf *out)
{
    struct prompt_target to = {.format = x->spoken, .provider = x->route.provider->id, .model = x->upstream_model};
    struct prompt p;
    bool renamed = x->model_raw.n != 0 && !ccp_span_eq(x->client_model, x->upstream_model);
    prompt_init(&p, &x->work, x->spoken, &to, NULL);
    if (!fit_tree(fit_rules(x), &p, root)) {
        exchange_fail(x, p.status, "%.*s", CCP_FMT(p.error));
        return false;
    }
    if (renamed && !json_set(&x->work, root, "model", json_new_string(&x->work, x->upstream_model)))
        return no_memory(x);
    if (!CCP_FAULT("fit.reserve"))
        buf_reserve(out, x->body.n + 256);
    if (CCP_FAULT("fit.rewrite") || !json_write(root, out))
        return no_memory(x);
    return crossing_note_losses(x, &p);
}

bool fit_body(struct exchange *x, bool *changed)
{
    const struct ccp_body_rule *rules = fit_rules(x);
    struct ccp_json_error error;
    struct ccp_json *root;
    *changed = false;
    if (rules == NULL)
        return true;
    if (fit_look(rules, x->body, changed, &error) != CCP_OK)
        return bad_json(x, &error);
    if (!*changed)
        return true;
    enum ccp_status status = CCP_FAULT("fit.body") ? CCP_OVERLOADED : json_parse(&x->work, x->body, &root, &error);
    if (status != CCP_OK)
        return status == CCP_OVERLOADED ? no_memory(x) : bad_json(x, &error);
    struct ccp_buf *out = new_buffer(x);
    if (out == NULL)
        return no_memory(x);
    bool ok = rewrite(x, root, out);
    x->tree = NULL;
    arena_end(&x->work);
    if (!ok)
        return false;
    x->up.body[0] = buf_span(out);
    x->up.body_pieces = 1;
    verbose_body(x, "upstream request", 0, x->up.body[0]);
    return true;
}
