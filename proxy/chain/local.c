/*
 * Routes that ccproxy answers itself: root, health, plugins. JSON, without secrets; what needs a key was
 * checked before.
 */
#include <base/budget.h>
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>
#include <wire/json.h>

#define JSON_TYPE   CCP_SPAN("application/json")
#define HEALTH_TYPE CCP_SPAN("application/health+json")

static bool is_get(const struct exchange *x)
{
    return ccp_span_is(x->req.method, "GET") || ccp_span_is(x->req.method, "HEAD");
}

static enum ccp_verdict send(struct exchange *x, int status, struct ccp_span type, struct ccp_buf *out)
{
    if (CCP_FAULT("local.text") || out->failed) {
        buf_release(out);
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        return CCP_FAILED;
    }
    answer_header(x, CCP_SPAN("cache-control"), CCP_SPAN("no-store"));
    answer_whole(x, status, type, buf_span(out));
    buf_release(out);
    return CCP_DONE;
}

static struct auth_report login_of(const struct exchange *x, const struct provider *p)
{
    if (p->login.login == NULL)
        return (struct auth_report){.state = AUTH_UNKNOWN};
    return auth_report(x->w->auth, &p->login);
}

static bool ready(const struct exchange *x)
{
    for (size_t i = 0; !x->w->draining && i < x->rt->provider_count; i++)
        if (credential_usable(x, &x->rt->providers[i]))
            return true;
    return false;
}

/* pass: every enabled provider is usable; warn: some, or the file on disk was refused; fail: none, or draining. */
static const char *overall(const struct exchange *x)
{
    bool some = false, all = !x->rt->outdated;
    for (size_t i = 0; i < x->rt->provider_count; i++) {
        const struct provider *p = &x->rt->providers[i];
        bool usable = credential_usable(x, p);
        some = some || usable;
        all = all && ((usable && !login_of(x, p).degraded) || !p->enabled);
    }
    return !some || x->w->draining ? "fail" : all ? "pass" : "warn";
}

static void write_text(struct ccp_buf *out, const char *name, struct ccp_span text)
{
    if (text.n == 0)
        return;
    buf_printf(out, ",\"%s\":", name);
    json_quote_to(out, text);
}

/* "2026-11-21T10:00:00Z" */
static void write_time(struct ccp_buf *out, const char *name, int64_t unix_s)
{
    char text[40];
    time_t at = (time_t)unix_s;
    struct tm tm;
    if (unix_s <= 0 || gmtime_r(&at, &tm) == NULL)
        return;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

/* A stored login as health shows it: never more than what `auth status` says, and no token. */
static void write_login(const struct provider *p, const struct auth_report *r, struct ccp_buf *out)
{
    static const char *const states[] = {
        [AUTH_UNKNOWN] = "unknown",         [AUTH_READY] = "ready", [AUTH_ABSENT] = "absent",
        [AUTH_NEEDS_LOGIN] = "needs_login", [AUTH_LATER] = "later",
    };
    buf_printf(out, ",\"login\":{\"name\":\"%.*s\",\"state\":\"%s\"", CCP_FMT(p->login.login->name), states[r->state]);
    write_text(out, "account", r->account);
    write_time(out, "expires_at", r->expires_at);
    write_time(out, "next_attempt_at", r->next_attempt_at);
    buf_addz(out, "}");
}

static void write_check(const struct exchange *x, const struct provider *p, struct ccp_buf *out)
{
    struct auth_report login = login_of(x, p);
    bool usable = credential_usable(x, p);
    buf_addz(out, "\"provider:");
    buf_add(out, p->id);
    buf_printf(out, "\":[{\"componentType\":\"component\",\"status\":\"%s\"",
               !usable                                       ? "fail"
               : login.degraded || login.state == AUTH_LATER ? "warn"
                                                             : "pass");
    if (!usable)
        write_text(out, "output", credential_missing(x, p));
    else
        write_text(out, "output", login.text);
    if (p->login.login != NULL)
        write_login(p, &login, out);
    buf_addz(out, "}]");
}

/* Nothing to say while the running configuration is the one that was last asked for. */
static void write_outdated(const struct runtime *rt, struct ccp_buf *out)
{
    if (rt->outdated)
        buf_addz(out, ",\"config:reload\":[{\"componentType\":\"component\",\"status\":\"warn\",\"output\":"
                      "\"the last reload was refused, see the log; the configuration from before goes on\"}]");
}

static void write_memory(struct ccp_buf *out)
{
    static const char *const status[] = {[BUDGET_FREE] = "pass", [BUDGET_HIGH] = "warn", [BUDGET_FULL] = "fail"};
    unsigned long long used = budget_used(), limit = budget_limit();
    buf_printf(out,
               "\"memory:used\":[{\"componentType\":\"system\",\"status\":\"%s\",\"observedValue\":%llu,"
               "\"observedUnit\":\"B\",\"limit\":%llu,\"output\":\"%llu of %llu MiB\"}]",
               status[budget_level(0)], used, limit, used >> 20, limit >> 20);
}

static enum ccp_verdict serve_health(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, 1024 * 1024);
    buf_printf(&out, "{\"status\":\"%s\"", overall(x));
    if (x->authenticated) {
        buf_addz(&out, ",\"version\":\"" CCP_VERSION "\",\"checks\":{");
        write_memory(&out);
        write_outdated(x->rt, &out);
        for (size_t i = 0; i < x->rt->provider_count; i++) {
            if (!x->rt->providers[i].enabled)
                continue;
            buf_addz(&out, ",");
            write_check(x, &x->rt->providers[i], &out);
        }
        buf_addz(&out, "}");
    }
    buf_addz(&out, "}");
    return send(x, ready(x) ? 200 : 503, HEALTH_TYPE, &out);
}

static enum ccp_verdict serve_root(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, 4096);
    buf_addz(&out, "{\"name\":\"ccproxy\",\"version\":\"" CCP_VERSION "\",\"status\":\"ok\"}");
    return send(x, 200, JSON_TYPE, &out);
}

static const char *state_name(enum plugin_state s)
{
    return s == PLUGIN_ACTIVE ? "active" : s == PLUGIN_DISABLED ? "disabled" : "failed";
}

static void write_plugin(const struct plugin_instance *p, struct ccp_buf *out)
{
    const struct ccp_plugin *m = p->manifest;
    buf_printf(out, "{\"name\":\"%s\",\"type\":\"%s\",\"status\":\"%s\",\"version\":\"%s\",\"summary\":", m->name,
               m->kind == CCP_PLUGIN_PROVIDER ? "provider" : "system", state_name(p->state), m->version);
    json_quote_to(out, ccp_span_z(m->summary));
    if (p->state == PLUGIN_FAILED) {
        buf_addz(out, ",\"error\":");
        json_quote_to(out, p->why);
    }
    buf_printf(out, ",\"_links\":{\"self\":{\"href\":\"/plugins/%s\"},\"health\":{\"href\":\"/plugins/%s/health\"}}}",
               m->name, m->name);
}

static enum ccp_verdict serve_list(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, 1024 * 1024);
    buf_addz(&out, "{\"plugins\":[");
    for (size_t i = 0; i < x->rt->plugin_count; i++) {
        if (i != 0)
            buf_addz(&out, ",");
        write_plugin(&x->rt->plugins[i], &out);
    }
    buf_printf(&out,
               "],\"total\":%zu,\"_links\":{\"self\":{\"href\":\"/plugins\"},\"status\":{\"href\":"
               "\"/plugins/status\"}}}",
               x->rt->plugin_count);
    return send(x, 200, JSON_TYPE, &out);
}

static enum ccp_verdict serve_status(struct exchange *x)
{
    struct ccp_buf out;
    size_t counts[3] = {0, 0, 0};
    buf_init(&out, 1024 * 1024);
    buf_addz(&out, "{\"plugins\":{");
    for (size_t i = 0; i < x->rt->plugin_count; i++) {
        counts[x->rt->plugins[i].state]++;
        buf_printf(&out, "%s\"%s\":\"%s\"", i != 0 ? "," : "", x->rt->plugins[i].manifest->name,
                   state_name(x->rt->plugins[i].state));
    }
    buf_printf(&out,
               "},\"active\":%zu,\"disabled\":%zu,\"failed\":%zu,\"_links\":{\"self\":{\"href\":"
               "\"/plugins/status\"},\"plugins\":{\"href\":\"/plugins\"}}}",
               counts[PLUGIN_ACTIVE], counts[PLUGIN_DISABLED], counts[PLUGIN_FAILED]);
    return send(x, 200, JSON_TYPE, &out);
}

static enum ccp_verdict serve_plugin(struct exchange *x, const struct plugin_instance *p)
{
    struct ccp_buf out;
    buf_init(&out, 1024 * 1024);
    write_plugin(p, &out);
    return send(x, 200, JSON_TYPE, &out);
}

static const char *health_of(struct exchange *x, const struct plugin_instance *p, struct ccp_span *why)
{
    if (p->state == PLUGIN_DISABLED)
        return "unknown";
    *why = p->why;
    if (p->state == PLUGIN_FAILED)
        return "unhealthy";
    if (p->provider >= 0 && !credential_usable(x, &x->rt->providers[p->provider])) {
        *why = credential_missing(x, &x->rt->providers[p->provider]);
        return "unhealthy";
    }
    if (p->manifest->check != NULL && p->manifest->check(p->self, why) == CCP_HEALTH_FAIL)
        return "unhealthy";
    return "healthy";
}

static void write_or_null(struct ccp_buf *out, const char *name, struct ccp_span text)
{
    if (text.n != 0)
        write_text(out, name, text);
    else
        buf_printf(out, ",\"%s\":null", name);
}

static bool has_credentials(const struct exchange *x, const struct provider *p)
{
    return (p->auth == AUTH_API_KEY || p->auth == AUTH_OAUTH) && credential_usable(x, p);
}

static enum ccp_verdict serve_plugin_health(struct exchange *x, const struct plugin_instance *p)
{
    struct ccp_buf out;
    struct ccp_span why = {"", 0};
    const struct ccp_plugin *m = p->manifest;
    bool provider = p->provider >= 0;
    const char *status = health_of(x, p, &why);
    buf_init(&out, 64 * 1024);
    buf_printf(&out,
               "{\"plugin\":\"%s\",\"status\":\"%s\",\"adapter_loaded\":%s,\"details\":{\"type\":\"%s\","
               "\"initialized\":%s,\"has_adapter\":%s,\"has_detection\":%s,\"has_credentials\":%s",
               m->name, status, provider && p->state == PLUGIN_ACTIVE ? "true" : "false",
               m->kind == CCP_PLUGIN_PROVIDER ? "provider" : "system", p->state == PLUGIN_ACTIVE ? "true" : "false",
               provider ? "true" : "false", m->program != NULL ? "true" : "false",
               provider && has_credentials(x, &x->rt->providers[p->provider]) ? "true" : "false");
    write_or_null(&out, "cli_version", p->program.version);
    write_or_null(&out, "cli_path", p->program.path);
    if (provider && x->rt->providers[p->provider].login.login != NULL) {
        struct auth_report login = login_of(x, &x->rt->providers[p->provider]);
        write_login(&x->rt->providers[p->provider], &login, &out);
    }
    write_text(&out, "message", why);
    buf_printf(&out, "},\"_links\":{\"self\":{\"href\":\"/plugins/%s/health\"},\"plugin\":{\"href\":\"/plugins/%s\"}}}",
               m->name, m->name);
    return send(x, 200, JSON_TYPE, &out);
}

/* Routes that a plugin declares below /plugins/<name>. */
static bool plugin_route(struct exchange *x, struct ccp_span name, struct ccp_span rest, enum ccp_verdict *verdict)
{
    for (size_t i = 0; i < x->rt->route_count; i++) {
        const struct route_entry *e = &x->rt->routes[i];
        if (!ccp_span_eq(e->plugin, name) || !ccp_span_is(rest, e->r->path) ||
            !ccp_span_is(x->req.method, e->r->method))
            continue;
        if (e->r->admin && !x->admin) {
            exchange_fail(x, CCP_FORBIDDEN, "this route needs an admin key");
            *verdict = CCP_FAILED;
        } else {
            *verdict = e->r->serve(e->self, &x->pub);
        }
        return true;
    }
    return false;
}

static enum ccp_verdict not_found(struct exchange *x, struct ccp_span name)
{
    exchange_fail(x, CCP_NOT_FOUND, "there is no plugin or route \"%.*s\"", CCP_FMT(name));
    return CCP_FAILED;
}

static enum ccp_verdict only_get(struct exchange *x)
{
    answer_header(x, CCP_SPAN("allow"), CCP_SPAN("GET, HEAD"));
    exchange_fail(x, CCP_METHOD_NOT_ALLOWED, "only GET and HEAD are possible here");
    return CCP_FAILED;
}

static enum ccp_verdict serve_plugins(struct exchange *x, struct ccp_span rest)
{
    enum ccp_verdict verdict;
    struct ccp_span name = ccp_span_skip(rest, 1);
    name.n = ccp_span_find(name, '/');
    struct ccp_span tail = ccp_span_skip(rest, 1 + name.n);
    bool list = name.n == 0 && rest.n < 2, status = ccp_span_is(name, "status") && tail.n == 0;
    if (list || status)
        return !is_get(x) ? only_get(x) : list ? serve_list(x) : serve_status(x);
    struct plugin_instance *p = runtime_plugin(x->rt, name);
    if (p == NULL)
        return not_found(x, name);
    if (plugin_route(x, name, tail, &verdict))
        return verdict;
    if (!is_get(x))
        return only_get(x);
    if (tail.n == 0)
        return serve_plugin(x, p);
    return ccp_span_is(tail, "/health") ? serve_plugin_health(x, p) : not_found(x, rest);
}

enum ccp_verdict local_serve(struct exchange *x)
{
    struct ccp_span p = x->route.rest;
    bool plugins = ccp_span_starts(p, CCP_SPAN("/plugins"));
    if (!is_get(x) && plugins && !x->admin) {
        exchange_fail(x, CCP_FORBIDDEN, "changes need an admin key");
        return CCP_FAILED;
    }
    if (!is_get(x) && !plugins)
        return only_get(x);
    if (ccp_span_is(p, "/health") || ccp_span_is(p, "/health/ready"))
        return serve_health(x);
    if (plugins)
        return serve_plugins(x, ccp_span_skip(p, 8));
    return serve_root(x);
}
