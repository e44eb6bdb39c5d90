/*
 * Making a change: a candidate is bound and opened beside what runs; only when nothing that ran would be lost by it, it
 * is written down, and then put into use. Whatever fails before leaves everything as it was.
 */
#include <app/admin.h>
#include <app/plugins.h>
#include <app/state.h>

#include <base/log.h>
#include <base/secret.h>
#include <wire/json.h>

enum { TEXT_MAX = 5 << 20 };

/* One change on its way. */
struct change {
    struct server *s;
    struct admin_job *job;
    struct state state;
    struct ccp_buf text; /* the state as it will be; may hold secrets */
    struct admin_faults faults;
};

static struct plugin_instance *plugin_of(struct runtime *rt, const struct admin_job *job)
{
    return runtime_plugin(rt, job->plugin);
}

/* -- what is wrong with a candidate -- */

/* A plugin that runs now and would not with it; or the one that is to be changed, and cannot be opened. */
static const struct plugin_instance *lost(struct server *s, struct runtime *fresh, const struct admin_job *job)
{
    for (size_t i = 0; i < fresh->plugin_count; i++) {
        const struct plugin_instance *p = &fresh->plugins[i];
        const struct plugin_instance *before = runtime_plugin(s->rt, ccp_span_z(p->manifest->name));
        if (p->state == PLUGIN_FAILED &&
            (ccp_span_is(job->plugin, p->manifest->name) || (before != NULL && before->unit != NULL)))
            return p;
    }
    return NULL;
}

/* NULL = there are reasons against it, and the job has its answer. */
static struct runtime *prepare(struct change *c, const struct ccp_span *state, bool restart)
{
    struct admin_job *job = c->job;
    struct runtime *rt = server_prepare(c->s, state, restart ? job->plugin : CCP_SPAN(""), admin_fault, &c->faults);
    const struct plugin_instance *p = rt != NULL ? lost(c->s, rt, job) : NULL;
    if (rt == NULL)
        admin_refuse(job, 400, &c->faults, "the configuration would have %zu fault%s, so nothing was changed",
                     c->faults.n, c->faults.n == 1 ? "" : "s");
    else if (p != NULL)
        admin_refuse(job, job->verb == ADMIN_CONFIG ? 400 : 409, NULL,
                     "plugin %s could not be opened, so nothing was changed: %.*s", p->manifest->name, CCP_FMT(p->why));
    else if (plugin_of(rt, job) == NULL)
        admin_refuse(job, 409, NULL, "plugin %.*s is not there any more: reload the configuration",
                     CCP_FMT(job->plugin));
    else
        return rt;
    runtime_unref(rt);
    return NULL;
}

/* -- settings -- */

static void key_unknown(struct change *c, const struct plugin_instance *p, struct ccp_span key)
{
    const char *known[256];
    char text[400];
    size_t n = 0;
    for (const struct ccp_config_row *row = p->rows; row->key != NULL && n < 256; row++) {
        known[n++] = row->key;
        if (ccp_span_is(key, row->key))
            return;
    }
    const char *near = config_nearest(key, known, n);
    snprintf(text, sizeof(text), "%s.%.*s: unknown key%s%s%s", p->path, (int)(key.n < 80 ? key.n : 80), key.p,
             near != NULL ? " (did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?)" : "");
    admin_fault(&c->faults, false, ccp_span_z(text));
}

/* What of the request are no settings of the plugin becomes a fault. */
static bool keys_known(struct change *c, const struct plugin_instance *p)
{
    struct arena a;
    struct ccp_json *root = NULL;
    arena_init_secret(&a, 0);
    if (json_parse(&a, c->job->text, &root, NULL) != CCP_OK)
        admin_fault(&c->faults, false, CCP_SPAN("out of memory")); /* the worker has parsed it before */
    for (const struct ccp_json *m = root != NULL ? root->child : NULL; m != NULL; m = m->next)
        key_unknown(c, p, m->key_escaped ? json_unescape(&a, m->key) : m->key);
    arena_end(&a);
    return c->faults.n == 0;
}

/* The new text of the state. False: the job has its answer. */
static bool edit(struct change *c, struct ccp_span changes)
{
    const struct plugin_instance *p = plugin_of(c->s->rt, c->job);
    bool busy;
    if (!state_hold(&c->state, &busy)) {
        admin_refuse(c->job, busy ? 503 : 500, NULL, "%s", c->state.why);
        return false;
    }
    c->faults.state_path = c->state.path;
    if (c->job->verb == ADMIN_CONFIG && !keys_known(c, p)) {
        admin_refuse(c->job, 400, &c->faults, "plugin %s has no such setting", p->manifest->name);
        return false;
    }
    const char *wrong = config_state_edit(buf_span(&c->state.text), p->path + strlen("plugins."), changes, &c->text);
    if (wrong != NULL)
        admin_refuse(c->job, 400, NULL, "%s", wrong);
    return wrong == NULL;
}

/* Written down, then used; the file never says what is not in use. */
static bool keep_and_apply(struct change *c, struct runtime *rt)
{
    if (!state_keep(&c->state, buf_span(&c->text))) {
        admin_refuse(c->job, 500, NULL, "nothing was changed: %s", c->state.why);
        runtime_unref(rt);
        return false;
    }
    if (server_apply(c->s, rt))
        return true;
    if (!state_undo(&c->state))
        log_error("admin", "%s holds a change that could not be made: %s", c->state.path, c->state.why);
    admin_refuse(c->job, 500, NULL, "nothing was changed: out of memory");
    return false;
}

static void set_config(struct change *c)
{
    struct runtime *rt = NULL;
    if (edit(c, c->job->text)) {
        struct ccp_span text = buf_span(&c->text);
        rt = prepare(c, &text, false);
    }
    if (rt == NULL || !keep_and_apply(c, rt))
        return;
    admin_changed(c->job, c->s->rt, plugin_of(c->s->rt, c->job));
    log_info("admin", "settings of plugin %.*s were changed by a request", CCP_FMT(c->job->plugin));
}

/* -- on and off -- */

static void switch_to(struct change *c, bool on)
{
    char why[400];
    struct runtime *rt = NULL;
    if (edit(c, on ? CCP_SPAN("{\"enabled\":true}") : CCP_SPAN("{\"enabled\":false}"))) {
        struct ccp_span text = buf_span(&c->text);
        rt = prepare(c, &text, false);
    }
    if (rt == NULL)
        return;
    if (plugins_decided_otherwise(rt, plugin_of(rt, c->job), on, why, sizeof(why))) {
        admin_refuse(c->job, 409, NULL, "%s", why);
        runtime_unref(rt);
        return;
    }
    if (!keep_and_apply(c, rt))
        return;
    admin_done(c->job, plugin_of(c->s->rt, c->job), on);
    log_info("admin", "plugin %.*s was %s by a request", CCP_FMT(c->job->plugin), on ? "enabled" : "disabled");
}

/* -- restart and reload -- */

static void renew(struct change *c, bool restart)
{
    struct plugin_instance *before = plugin_of(c->s->rt, c->job);
    struct plugin_unit *old = before->unit != NULL ? unit_ref(before->unit) : NULL;
    struct runtime *rt = NULL;
    if (restart && before->state == PLUGIN_DISABLED)
        admin_refuse(c->job, 409, NULL, "plugin %s is disabled: enable it", before->manifest->name);
    else
        rt = prepare(c, NULL, restart);
    if (rt != NULL && !server_apply(c->s, rt)) {
        admin_refuse(c->job, 500, NULL, "nothing was changed: out of memory");
        rt = NULL;
    }
    if (rt != NULL) {
        const struct plugin_instance *p = plugin_of(c->s->rt, c->job);
        bool reopened = p->unit != NULL && p->unit != old;
        admin_done(c->job, p, reopened);
        log_info("admin", "%s by a request: plugin %s was %s", restart ? "restarted" : "reloaded", p->manifest->name,
                 reopened ? "opened anew" : "left as it is");
    }
    unit_unref(old);
}

void admin_do(struct server *s, struct admin_job *job)
{
    struct change c = {.s = s, .job = job};
    struct plugin_instance *p = plugin_of(s->rt, job);
    state_place(&c.state);
    buf_init(&c.text, TEXT_MAX);
    admin_faults_init(&c.faults, NULL);
    if (p == NULL) /* the configuration has changed since it was asked for */
        admin_refuse(job, 404, NULL, "there is no plugin \"%.*s\"", CCP_FMT(job->plugin));
    else if (job->verb == ADMIN_SHOW)
        admin_show(job, s->rt, p);
    else if (s->draining)
        admin_refuse(job, 503, NULL, "ccproxy is shutting down");
    else if (job->verb == ADMIN_CONFIG)
        set_config(&c);
    else if (job->verb == ADMIN_ENABLE || job->verb == ADMIN_DISABLE)
        switch_to(&c, job->verb == ADMIN_ENABLE);
    else
        renew(&c, job->verb == ADMIN_RESTART);
    if (c.text.n != 0)
        secret_wipe(c.text.p, c.text.n);
    buf_release(&c.text);
    buf_release(&c.faults.list);
    state_release(&c.state);
}
