/*
 * From an invocation to a bound configuration. The same way at start and at every reload, so that a reload sees the
 * flags and the environment of the start and the file of today.
 */
#include <app/app.h>
#include <app/state.h>

#include <base/secret.h>

#include <errno.h>

void load_print(void *arg, bool warning, struct ccp_span text)
{
    (void)arg;
    fprintf(stderr, "ccproxy: %s%.*s\n", warning ? "warning: " : "", CCP_FMT(text));
}

bool sets_add(struct sets *s, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    if (s->n + 1 >= s->cap) {
        size_t cap = s->cap != 0 ? s->cap * 2 : 16;
        char **v = realloc(s->v, cap * sizeof(*v));
        if (v == NULL)
            return false;
        s->v = v;
        s->cap = cap;
    }
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return false;
    s->v[s->n++] = text;
    s->v[s->n] = NULL;
    return true;
}

void sets_release(struct sets *s)
{
    for (size_t i = 0; i < s->n; i++) {
        secret_wipe(s->v[i], strlen(s->v[i]));
        free(s->v[i]);
    }
    free(s->v);
    *s = (struct sets){.v = NULL};
}

static bool add_flags(struct sets *s, const struct args *args)
{
    bool fine = true;
    for (size_t i = 0; i < args->hit_n && fine; i++) {
        const struct arg_hit *hit = &args->hits[i];
        if (hit->option->kind == ARG_SET)
            fine = sets_add(s, "--set %s", hit->value);
        else if (hit->option->sets != NULL)
            fine = sets_add(s, "--%s %s=%s", hit->option->name, hit->option->sets,
                            hit->option->kind == ARG_FLAG ? "true" : hit->value);
    }
    return fine;
}

static struct config *read_config(const struct cli *cli, const char *file, const struct state *state, bool candidate)
{
    struct sets sets = {.v = NULL};
    struct config *c = NULL;
    struct config_source source = {.file = file != NULL ? file : args_get(&cli->args, "config"),
                                   .environ = cli->vault.environ,
                                   .cwd_allowed = cli->command->cwd,
                                   .state = buf_span(&state->text),
                                   .state_path = state->path[0] != '\0' ? state->path : NULL,
                                   .state_candidate = candidate};
    bool fine = add_flags(&sets, &cli->args);
    source.sets = (const char *const *)sets.v;
    if (fine && sets_add_switches(&sets, &cli->args, &source)) {
        source.sets = (const char *const *)sets.v;
        c = config_load(&source);
    }
    sets_release(&sets);
    return c;
}

/* When no list needs the name (absent = all), no list's own check finds that it is unknown. */
static bool switches_known(struct runtime *rt, const struct args *args, load_report *report, void *arg)
{
    bool known = true;
    for (size_t i = 0; i < args->hit_n; i++) {
        char text[160];
        const char *name = args->hits[i].value;
        if (strcmp(args->hits[i].option->name, "enable-plugin") != 0 || runtime_plugin(rt, ccp_span_z(name)) != NULL ||
            config_is_set(rt->config, "", "enabled_plugins", NULL))
            continue;
        snprintf(text, sizeof(text), "flag --enable-plugin: there is no plugin \"%.60s\"", name);
        report(arg, false, ccp_span_z(text));
        known = false;
    }
    return known;
}

static struct runtime *load(const struct cli *cli, const char *file, const struct state *state, bool candidate,
                            load_report *report, void *arg)
{
    struct config *c = read_config(cli, file, state, candidate);
    struct runtime *rt = c != NULL ? runtime_bind(c) : NULL;
    if (rt == NULL) {
        report(arg, false, CCP_SPAN("out of memory"));
        return NULL;
    }
    size_t n;
    const struct config_fault *faults = config_faults(rt->config, &n);
    for (size_t i = 0; i < n; i++)
        report(arg, faults[i].warning, faults[i].text);
    if (switches_known(rt, &cli->args, report, arg) && config_ok(rt->config))
        return rt;
    runtime_unref(rt);
    return NULL;
}

struct runtime *load_runtime(const struct cli *cli, const char *file, load_report *report, void *arg)
{
    struct state state;
    struct runtime *rt = NULL;
    if (state_load_text(&state))
        rt = load(cli, file, &state, false, report, arg);
    else
        report(arg, false, ccp_span_z(state.why));
    state_release(&state);
    return rt;
}

struct runtime *load_candidate(const struct cli *cli, struct ccp_span text, load_report *report, void *arg)
{
    struct state state;
    struct runtime *rt = NULL;
    state_place(&state);
    if (buf_add(&state.text, text))
        rt = load(cli, NULL, &state, true, report, arg);
    else
        report(arg, false, CCP_SPAN("out of memory"));
    state_release(&state);
    return rt;
}

struct runtime *load_faulty(const struct cli *cli, load_report *report, void *arg)
{
    struct state state;
    struct runtime *rt = NULL;
    if (state_load_text(&state)) {
        struct config *c = read_config(cli, NULL, &state, false);
        rt = c != NULL ? runtime_bind(c) : NULL;
    } else {
        report(arg, false, ccp_span_z(state.why));
    }
    size_t n = 0;
    const struct config_fault *faults = rt != NULL ? config_faults(rt->config, &n) : NULL;
    for (size_t i = 0; i < n; i++)
        report(arg, faults[i].warning, faults[i].text);
    state_release(&state);
    return rt;
}

struct runtime *load_or_complain(const struct cli *cli)
{
    return load_runtime(cli, NULL, load_print, NULL);
}
