/*
 * What a request for a change gets back: JSON, in the plain shape of errors where it failed. Secrets are masked before
 * they come here.
 */
#include <app/admin.h>

#include <wire/json.h>

enum { FAULTS_MAX = 256 * 1024, FAULTS_TOLD = 100 };

void admin_faults_init(struct admin_faults *f, const char *state_path)
{
    *f = (struct admin_faults){.state_path = state_path};
    buf_init(&f->list, FAULTS_MAX);
}

/* ".../plugins.toml:7: plugins.x.y: wrong" -> "plugins.x.y: wrong" */
static struct ccp_span without_place(const struct admin_faults *f, struct ccp_span text)
{
    struct ccp_span path = ccp_span_z(f->state_path);
    if (path.n == 0 || !ccp_span_starts(text, path) || text.n <= path.n || text.p[path.n] != ':')
        return text;
    struct ccp_span rest = ccp_span_skip(text, path.n + 1);
    while (rest.n != 0 && ((rest.p[0] >= '0' && rest.p[0] <= '9') || rest.p[0] == ':'))
        rest = ccp_span_skip(rest, 1);
    return ccp_span_trim(rest);
}

void admin_fault(void *faults, bool warning, struct ccp_span text)
{
    struct admin_faults *f = faults;
    if (warning || f->n++ >= FAULTS_TOLD)
        return;
    buf_addz(&f->list, f->list.n != 0 ? "," : "");
    json_quote_to(&f->list, without_place(f, text));
}

static const struct {
    int status;
    const char *type, *code;
} words[] = {
    {400, "invalid_request_error", "bad_request"}, {404, "invalid_request_error", "not_found"},
    {409, "invalid_request_error", "conflict"},    {500, "server_error", "internal"},
    {503, "server_error", "overloaded"},
};

void admin_refuse(struct admin_job *job, int status, const struct admin_faults *faults, const char *fmt, ...)
{
    struct ccp_buf text;
    size_t w = 0;
    va_list ap;
    while (w + 1 < sizeof(words) / sizeof(words[0]) && words[w].status != status)
        w++;
    buf_init(&text, 64 * 1024);
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    buf_addz(&job->answer, "{\"error\":{\"message\":");
    json_quote_to(&job->answer, buf_span(&text));
    buf_printf(&job->answer, ",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"", words[w].type, words[w].code);
    if (faults != NULL && faults->n != 0) {
        buf_addz(&job->answer, ",\"faults\":[");
        buf_add(&job->answer, buf_span(&faults->list));
        buf_addz(&job->answer, "]");
    }
    buf_addz(&job->answer, "}}");
    buf_release(&text);
    job->status = status;
}

static void write_settings(struct admin_job *job, const struct runtime *rt, const struct plugin_instance *p)
{
    buf_printf(&job->answer, "{\"plugin\":\"%s\",\"settings\":", p->manifest->name);
    if (!config_show_section(rt->config, p->path, p->rows, &job->answer))
        job->answer.failed = true;
}

static void write_end(struct admin_job *job, const struct plugin_instance *p)
{
    buf_printf(&job->answer,
               ",\"_links\":{\"self\":{\"href\":\"/plugins/%s/config\"},\"plugin\":{\"href\":\"/plugins/%s\"}}}",
               p->manifest->name, p->manifest->name);
    job->status = 200;
}

void admin_show(struct admin_job *job, const struct runtime *rt, const struct plugin_instance *p)
{
    write_settings(job, rt, p);
    write_end(job, p);
}

/* Does the request name this key? */
static bool sets(const struct admin_job *job, const char *key)
{
    struct ccp_span name = ccp_span_z(key), value;
    return json_scan(job->text, &name, &value, 1, NULL) == CCP_OK && value.p != NULL;
}

/* The keys that were set, but count for nothing. */
static void write_overridden(struct admin_job *job, struct runtime *rt, const struct plugin_instance *p)
{
    struct ccp_buf list;
    buf_init(&list, 64 * 1024);
    for (const struct ccp_config_row *row = p->rows; row->key != NULL; row++) {
        struct ccp_span origin;
        if (!sets(job, row->key) || !config_is_set(rt->config, p->path, row->key, &origin) ||
            !(ccp_span_starts(origin, CCP_SPAN("env ")) || ccp_span_starts(origin, CCP_SPAN("flag "))))
            continue;
        buf_printf(&list, "%s\"%s\":", list.n != 0 ? "," : "", row->key);
        json_quote_to(&list, origin);
    }
    if (list.n != 0) {
        buf_addz(&job->answer, ",\"overridden_by\":{");
        buf_add(&job->answer, buf_span(&list));
        buf_addz(&job->answer, "}");
    }
    buf_release(&list);
}

void admin_changed(struct admin_job *job, struct runtime *rt, const struct plugin_instance *p)
{
    write_settings(job, rt, p);
    write_overridden(job, rt, p);
    write_end(job, p);
}

void admin_done(struct admin_job *job, const struct plugin_instance *p, bool reopened)
{
    static const char *const states[] = {
        [PLUGIN_ACTIVE] = "active", [PLUGIN_DISABLED] = "disabled", [PLUGIN_FAILED] = "failed"};
    buf_printf(
        &job->answer,
        "{\"plugin\":\"%s\",\"status\":\"%s\",\"reopened\":%s,\"_links\":{\"plugin\":{\"href\":\"/plugins/%s\"}}}",
        p->manifest->name, states[p->state], reopened ? "true" : "false", p->manifest->name);
    job->status = 200;
}
