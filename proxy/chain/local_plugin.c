/*
 * /plugins/{name}: one plugin whole: where it is from, what it declares, how it has fared.
 */
#include <chain/local_impl.h>
#include <wire/json.h>

enum { PLUGIN_MAX = 4 * 1024 * 1024, TASKS_MAX = 64 };

static void quote(struct ccp_buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\":", name);
    if (text != NULL)
        json_quote_to(out, ccp_span_z(text));
    else
        buf_addz(out, "null");
}

static void write_names(struct ccp_buf *out, const char *name, const char *const *list)
{
    buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        buf_addz(out, i != 0 ? "," : "");
        json_quote_to(out, ccp_span_z(list[i]));
    }
    buf_addz(out, "]");
}

static void write_origin(const struct plugin_instance *p, struct ccp_buf *out)
{
    if (p->source == NULL) {
        buf_addz(out, ",\"origin\":{\"type\":\"built-in\"}");
        return;
    }
    buf_addz(out, ",\"origin\":{\"type\":\"shared-object\"");
    local_text(out, "path", p->source->path);
    local_text(out, "sha256", ccp_span_z(p->source->sha256));
    buf_addz(out, "}");
}

static void write_services(const struct ccp_plugin *m, struct ccp_buf *out)
{
    write_names(out, "needs", m->needs);
    write_names(out, "after", m->after);
    write_names(out, "requires", m->requires);
    write_names(out, "uses", m->uses);
    buf_addz(out, ",\"provides\":[");
    for (const struct ccp_service *s = m->provides; s != NULL && s->name != NULL; s++) {
        buf_addz(out, s != m->provides ? "," : "");
        json_quote_to(out, ccp_span_z(s->name));
    }
    buf_addz(out, "]");
}

static void write_middlewares(const struct ccp_plugin *m, struct ccp_buf *out)
{
    buf_addz(out, ",\"middlewares\":[");
    for (const struct ccp_middleware *w = m->middleware; w != NULL && w->name != NULL; w++) {
        buf_addz(out, w != m->middleware ? ",{" : "{");
        quote(out, "name", w->name);
        buf_printf(out, ",\"order\":%d}", (int)w->layer + w->order);
    }
    buf_addz(out, "]");
}

static void write_hooks(const struct ccp_plugin *m, struct ccp_buf *out)
{
    static const char *const names[] = {
#define X(name, dotted) dotted,
#include <ccproxy/event.def>
#undef X
    };
    buf_addz(out, ",\"hooks\":[");
    for (const struct ccp_hook *h = m->hooks; h != NULL && h->name != NULL; h++) {
        const char *comma = "";
        buf_addz(out, h != m->hooks ? ",{" : "{");
        quote(out, "name", h->name);
        buf_printf(out, ",\"order\":%d,\"events\":[", h->order);
        for (size_t e = 0; e < sizeof(names) / sizeof(names[0]); e++)
            if (h->events >> e & 1) {
                buf_printf(out, "%s\"%s\"", comma, names[e]);
                comma = ",";
            }
        buf_addz(out, "]}");
    }
    buf_addz(out, "]");
}

static void write_routes(const struct ccp_plugin *m, struct ccp_buf *out)
{
    static const char *const access[] = {
        [CCP_ACCESS_KEY] = "key", [CCP_ACCESS_ADMIN] = "admin", [CCP_ACCESS_PUBLIC] = "public"};
    buf_addz(out, ",\"routes\":[");
    for (const struct ccp_route *r = m->routes; r != NULL && r->methods != NULL; r++) {
        buf_addz(out, r != m->routes ? ",{" : "{");
        quote(out, "prefix", r->prefix);
        buf_addz(out, ",");
        quote(out, "path", r->path);
        buf_addz(out, ",");
        quote(out, "methods", r->methods);
        buf_printf(out, ",\"access\":\"%s\",", (unsigned)r->access <= CCP_ACCESS_PUBLIC ? access[r->access] : "admin");
        quote(out, "tag", r->tag);
        buf_addz(out, ",");
        quote(out, "summary", r->summary);
        buf_addz(out, "}");
    }
    buf_addz(out, "]");
}

static void write_actions(const struct ccp_plugin *m, struct ccp_buf *out)
{
    buf_addz(out, ",\"actions\":[");
    for (const struct ccp_action *a = m->actions; a != NULL && a->name != NULL; a++) {
        buf_addz(out, a != m->actions ? ",{" : "{");
        quote(out, "name", a->name);
        buf_addz(out, ",");
        quote(out, "summary", a->summary);
        buf_addz(out, ",\"input\":");
        buf_addz(out, a->input != NULL ? a->input : "null"); /* JSON: it was checked with the plugin */
        buf_addz(out, "}");
    }
    buf_addz(out, "]");
}

static void write_task(const struct task_report *t, struct ccp_buf *out)
{
    buf_addz(out, "{");
    quote(out, "name", t->task->name);
    buf_addz(out, ",");
    quote(out, "summary", t->task->summary);
    buf_printf(out,
               ",\"on\":%s,\"running\":%s,\"runs\":%llu,\"failures\":%llu,\"interval_ms\":%llu,\"last_ms\":%llu,"
               "\"last_unix_us\":%llu,\"next_unix_us\":%llu",
               t->on ? "true" : "false", t->running ? "true" : "false", (unsigned long long)t->runs,
               (unsigned long long)t->failures, (unsigned long long)t->interval_ms, (unsigned long long)t->last_ms,
               (unsigned long long)t->last_unix_us, (unsigned long long)t->next_unix_us);
    local_text(out, "error", ccp_span_z(t->ok ? "" : t->why));
    buf_addz(out, "}");
}

/* As they run; of a plugin that does not, as they are declared. */
static void write_tasks(const struct exchange *x, const struct plugin_instance *p, struct ccp_buf *out)
{
    struct task_report reports[TASKS_MAX];
    size_t n = 0;
    if (p->unit != NULL && x->w->executor != NULL)
        n = executor_tasks(x->w->executor, p->unit, reports, TASKS_MAX);
    else
        for (const struct ccp_task *t = p->manifest->tasks; t != NULL && t->name != NULL && n < TASKS_MAX; t++)
            reports[n++] = (struct task_report){.task = t, .ok = true, .interval_ms = t->interval_ms};
    buf_addz(out, ",\"tasks\":[");
    for (size_t i = 0; i < n; i++) {
        buf_addz(out, i != 0 ? "," : "");
        write_task(&reports[i], out);
    }
    buf_addz(out, "]");
}

static void write_counters(const struct plugin_instance *p, struct ccp_buf *out)
{
    if (p->unit == NULL)
        return;
    struct plugin_guard *g = &p->unit->guard;
    buf_printf(out, ",\"failures\":%lu,\"slow_calls\":%lu,\"opened_unix_us\":%llu", atomic_load(&g->failed),
               atomic_load(&g->slow), (unsigned long long)p->unit->opened_unix_us);
}

enum ccp_verdict local_plugin(struct exchange *x, const struct plugin_instance *p)
{
    const struct ccp_plugin *m = p->manifest;
    struct ccp_buf out;
    buf_init(&out, PLUGIN_MAX);
    local_write_plugin(p, &out);
    write_origin(p, &out);
    write_services(m, &out);
    write_middlewares(m, &out);
    write_hooks(m, &out);
    write_routes(m, &out);
    write_actions(m, &out);
    write_tasks(x, p, &out);
    write_counters(p, &out);
    buf_printf(&out, ",\"settings\":{\"path\":\"%s\",\"href\":\"/plugins/%s/config\"}}", p->path, m->name);
    return local_send(x, 200, LOCAL_JSON, &out);
}
