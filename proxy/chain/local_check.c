/*
 * /plugins/{name}/health: what the core knows of a plugin, and what the plugin says of itself.
 *
 * A plugin's own check must not block, but it is asked by whoever is curious: that of a shared object is therefore
 * called on a thread of its own, so that a bad one costs its caller a wait and nobody else anything.
 */
#include <base/clock.h>
#include <base/fault.h>
#include <chain/local_impl.h>
#include <wire/json.h>

/* One call of `check`. */
struct check {
    const struct plugin_instance *p;
    enum ccp_health health;
    size_t n;
    char text[500];
};

static void call(struct check *c)
{
    struct ccp_span why = CCP_SPAN("");
    uint64_t began = guard_begin(c->p->unit);
    c->health = c->p->manifest->check(c->p->unit->self, &why);
    c->n = why.p == NULL ? 0 : why.n < sizeof(c->text) ? why.n : sizeof(c->text);
    if (c->n != 0)
        memcpy(c->text, why.p, c->n);
    guard_end(c->p->unit, "check", began);
}

static bool has_credentials(const struct exchange *x, const struct provider *p)
{
    return (p->auth == AUTH_API_KEY || p->auth == AUTH_OAUTH) && credential_usable(x, p);
}

/* NULL = only its own check can tell. */
static const char *known(struct exchange *x, const struct plugin_instance *p, struct ccp_span *why)
{
    const char *state = local_plugin_state(p, why);
    if (state[0] != 'a')
        return state[0] == 'd' ? "unknown" : "unhealthy";
    if (p->provider >= 0 && !credential_usable(x, &x->rt->providers[p->provider])) {
        *why = credential_missing(x, &x->rt->providers[p->provider]);
        return "unhealthy";
    }
    return p->manifest->check == NULL || p->unit == NULL ? "healthy" : NULL;
}

static enum ccp_verdict answer(struct exchange *x, const struct plugin_instance *p, const char *status,
                               struct ccp_span why)
{
    struct ccp_buf out;
    const struct ccp_plugin *m = p->manifest;
    bool provider = p->provider >= 0;
    buf_init(&out, 64 * 1024);
    buf_printf(&out,
               "{\"plugin\":\"%s\",\"status\":\"%s\",\"adapter_loaded\":%s,\"details\":{\"type\":\"%s\","
               "\"initialized\":%s,\"has_adapter\":%s,\"has_detection\":%s,\"has_credentials\":%s",
               m->name, status, provider && p->state == PLUGIN_ACTIVE ? "true" : "false",
               m->kind == CCP_PLUGIN_PROVIDER ? "provider" : "system", p->state == PLUGIN_ACTIVE ? "true" : "false",
               provider ? "true" : "false", m->program != NULL ? "true" : "false",
               provider && has_credentials(x, &x->rt->providers[p->provider]) ? "true" : "false");
    local_text_or_null(&out, "cli_version", p->program.version);
    local_text_or_null(&out, "cli_path", p->program.path);
    if (provider && x->rt->providers[p->provider].login.login != NULL) {
        struct auth_report login = local_login(x, &x->rt->providers[p->provider]);
        local_write_login(&x->rt->providers[p->provider], &login, &out);
    }
    local_text(&out, "message", why);
    buf_printf(&out, "},\"_links\":{\"self\":{\"href\":\"/plugins/%s/health\"},\"plugin\":{\"href\":\"/plugins/%s\"}}}",
               m->name, m->name);
    return local_send(x, 200, LOCAL_JSON, &out);
}

static enum ccp_verdict answer_checked(struct exchange *x, const struct check *c)
{
    return answer(x, c->p, c->health == CCP_HEALTH_FAIL ? "unhealthy" : "healthy", ccp_span_of(c->text, c->n));
}

/* -- off the worker -- */

static void run_check(void *arg)
{
    call(arg);
}

static void checked(void *arg, struct ccp_exchange *pub)
{
    struct exchange *x = pub != NULL ? exchange_of(pub) : NULL;
    if (x != NULL) {
        x->park_cancel = NULL;
        if (x->state == X_PARKED && answer_checked(x, arg) == CCP_FAILED)
            answer_failure(x);
    }
    free(arg);
}

/* The work remembers its exchange by itself. */
static void leave(void *arg)
{
    (void)arg;
}

static enum ccp_verdict check_elsewhere(struct exchange *x, const struct check *what)
{
    const struct ccp_api *api = x->pub.api;
    struct check *c = CCP_FAULT("local.check") ? NULL : malloc(sizeof(*c));
    if (c != NULL)
        *c = *what;
    if (c == NULL || !api->work(&what->p->unit->env, &x->pub, run_check, checked, c)) {
        free(c);
        exchange_fail(x, CCP_OVERLOADED, "too much work of plugins waits already");
        return CCP_FAILED;
    }
    api->park(&x->pub, leave, c); /* with the work's own argument: so a check that is given up wakes its exchange */
    exchange_state(x, X_PARKED);
    return CCP_WAIT;
}

enum ccp_verdict local_plugin_health(struct exchange *x, const struct plugin_instance *p)
{
    struct ccp_span why = {"", 0};
    struct check c = {.p = p};
    const char *status = known(x, p, &why);
    if (status != NULL)
        return answer(x, p, status, why);
    if (p->source != NULL && x->w->executor != NULL)
        return check_elsewhere(x, &c);
    call(&c);
    return answer_checked(x, &c);
}
