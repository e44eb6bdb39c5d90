/*
 * /plugins: the list, the status, and which file serves what lies below one plugin.
 */
#include <chain/local_impl.h>
#include <wire/json.h>

enum { LIST_MAX = 4 * 1024 * 1024 };

const char *local_plugin_state(const struct plugin_instance *p, struct ccp_span *why)
{
    struct ccp_span tripped = guard_reason(p->unit);
    *why = p->state == PLUGIN_FAILED ? p->why : tripped;
    if (p->state == PLUGIN_DISABLED)
        return "disabled";
    return p->state == PLUGIN_FAILED || tripped.n != 0 ? "failed" : "active";
}

static void link(struct ccp_buf *out, const char *comma, const char *rel, const char *name, const char *tail)
{
    buf_printf(out, "%s\"%s\":{\"href\":\"/plugins/%s%s\"}", comma, rel, name, tail);
}

/* Names were checked when the plugin was: nothing in them needs an escape. */
static void write_links(const struct plugin_instance *p, struct ccp_buf *out)
{
    const char *name = p->manifest->name;
    buf_addz(out, ",\"_links\":{");
    link(out, "", "self", name, "");
    link(out, ",", "health", name, "/health");
    link(out, ",", "config", name, "/config");
    link(out, ",", "events", name, "/events");
    buf_addz(out, ",\"actions\":[");
    for (const struct ccp_action *a = p->manifest->actions; a != NULL && a->name != NULL; a++)
        buf_printf(out, "%s{\"name\":\"%s\",\"href\":\"/plugins/%s/%s\"}", a == p->manifest->actions ? "" : ",",
                   a->name, name, a->name);
    buf_addz(out, "],\"routes\":[");
    for (const struct ccp_route *r = p->manifest->routes; r != NULL && r->methods != NULL; r++) {
        struct ccp_buf path;
        buf_init(&path, 4096);
        buf_printf(&path, "%s%s%s", r->prefix != NULL ? r->prefix : "/plugins/", r->prefix != NULL ? "" : name,
                   r->path);
        buf_addz(out, r == p->manifest->routes ? "{\"href\":" : ",{\"href\":");
        json_quote_to(out, buf_span(&path));
        buf_addz(out, "}");
        buf_release(&path);
    }
    buf_addz(out, "]}");
}

void local_write_plugin(const struct plugin_instance *p, struct ccp_buf *out)
{
    const struct ccp_plugin *m = p->manifest;
    struct ccp_span why;
    buf_printf(out, "{\"name\":\"%s\",\"type\":\"%s\",\"status\":\"%s\",\"version\":", m->name,
               m->kind == CCP_PLUGIN_PROVIDER ? "provider" : "system", local_plugin_state(p, &why));
    json_quote_to(out, ccp_span_z(m->version));
    buf_addz(out, ",\"summary\":");
    json_quote_to(out, ccp_span_z(m->summary));
    local_text(out, "error", why);
    write_links(p, out);
}

static enum ccp_verdict serve_list(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, LIST_MAX);
    buf_addz(&out, "{\"plugins\":[");
    for (size_t i = 0; i < x->rt->plugin_count; i++) {
        buf_addz(&out, i != 0 ? "," : "");
        local_write_plugin(&x->rt->plugins[i], &out);
        buf_addz(&out, "}");
    }
    buf_printf(&out,
               "],\"total\":%zu,\"_links\":{\"self\":{\"href\":\"/plugins\"},\"status\":{\"href\":"
               "\"/plugins/status\"}}}",
               x->rt->plugin_count);
    return local_send(x, 200, LOCAL_JSON, &out);
}

static enum ccp_verdict serve_status(struct exchange *x)
{
    struct ccp_buf out, errors;
    size_t active = 0, disabled = 0;
    struct ccp_span why;
    buf_init(&out, LIST_MAX);
    buf_init(&errors, LIST_MAX);
    buf_addz(&out, "{\"plugins\":{");
    for (size_t i = 0; i < x->rt->plugin_count; i++) {
        const struct plugin_instance *p = &x->rt->plugins[i];
        const char *state = local_plugin_state(p, &why);
        active += state[0] == 'a';
        disabled += state[0] == 'd';
        buf_printf(&out, "%s\"%s\":\"%s\"", i != 0 ? "," : "", p->manifest->name, state);
        if (why.n != 0) {
            buf_printf(&errors, "%s\"%s\":", errors.n != 0 ? "," : "", p->manifest->name);
            json_quote_to(&errors, why);
        }
    }
    buf_printf(&out, "},\"active\":%zu,\"disabled\":%zu,\"failed\":%zu,\"errors\":{", active, disabled,
               x->rt->plugin_count - active - disabled);
    buf_add(&out, buf_span(&errors));
    out.failed = out.failed || errors.failed;
    buf_addz(&out, "},\"_links\":{\"self\":{\"href\":\"/plugins/status\"},\"plugins\":{\"href\":\"/plugins\"}}}");
    buf_release(&errors);
    return local_send(x, 200, LOCAL_JSON, &out);
}

/* What lies below /plugins/<name>/. */
static enum ccp_verdict serve_below(struct exchange *x, const struct plugin_instance *p, struct ccp_span word)
{
    const struct ccp_action *action = action_find(p, word);
    if (ccp_span_is(word, "health"))
        return local_is_get(x) ? local_plugin_health(x, p) : local_only(x, "GET, HEAD");
    if (action != NULL)
        return action_run(x, p, action);
    if (x->route.allow != NULL) /* a route of the plugin's, but not with this method */
        return local_only(x, x->route.allow);
    return admin_serve(x, p, word);
}

enum ccp_verdict local_plugins(struct exchange *x, struct ccp_span rest)
{
    struct ccp_span name = ccp_span_skip(rest, 1);
    name.n = ccp_span_find(name, '/');
    struct ccp_span tail = ccp_span_skip(rest, 1 + name.n);
    bool list = name.n == 0 && rest.n < 2, status = ccp_span_is(name, "status") && tail.n == 0;
    if (list || status)
        return !local_is_get(x) ? local_only(x, "GET, HEAD") : list ? serve_list(x) : serve_status(x);
    struct plugin_instance *p = runtime_plugin(x->rt, name);
    if (p == NULL)
        return local_not_found(x, name);
    if (tail.n == 0)
        return local_is_get(x) ? local_plugin(x, p) : local_only(x, "GET, HEAD");
    return serve_below(x, p, ccp_span_skip(tail, 1));
}
