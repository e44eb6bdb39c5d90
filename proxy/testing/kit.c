/*
 * Life of a test: configuration, runtime, executor, worker; and taking all of it down, with an eye on what is left.
 */
#include <testing/kit_impl.h>

#include <base/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The open test: the clock, the environment and the log are the process's, so there is one. */
static struct ccp_test *current;
static char why_text[4096];

struct ccp_test *kit_current(void)
{
    return current;
}

static bool refuse(struct ccp_span *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why_text, sizeof(why_text), fmt, ap);
    va_end(ap);
    *why = ccp_span_z(why_text);
    return false;
}

/* -- the runtime -- */

static bool write_file(struct ccp_test *t, const char *toml, char *path, size_t max)
{
    snprintf(path, max, "%s/ccproxy.toml", t->folder);
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return false;
    bool fine = fputs(toml != NULL ? toml : "", f) >= 0;
    return fclose(f) == 0 && fine;
}

/* Flags of our own, stronger than the file: no plugin of the machine is looked for, and no task runs by itself. */
static const char *const *own_sets(struct ccp_test *t)
{
    size_t tasks = 0;
    while (t->plugin->tasks != NULL && t->plugin->tasks[tasks].name != NULL)
        tasks++;
    const char **sets = kit_alloc((tasks + 2) * sizeof(*sets));
    sets[0] = "plugin_discovery.directories=[]";
    for (size_t i = 0; i < tasks; i++) {
        char text[256] = "";
        snprintf(text, sizeof(text), "plugins.%s.tasks.%s=off", t->plugin->name, t->plugin->tasks[i].name);
        sets[i + 1] = kit_keep(t, ccp_span_z(text)).p;
    }
    return sets;
}

/* Faults of the configuration, one a line; without the folder, which differs from run to run. */
static bool tell_faults(struct config *c, struct ccp_span *why)
{
    size_t n = 0, at = 0;
    const struct config_fault *faults = config_faults(c, &n);
    why_text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        struct ccp_span text = faults[i].text;
        const char *name = memmem(text.p, text.n, "ccproxy.toml:", 13);
        if (name != NULL)
            text = ccp_span_skip(text, (size_t)(name - text.p));
        if (!faults[i].warning && at < sizeof(why_text) - 1)
            at += (size_t)snprintf(why_text + at, sizeof(why_text) - at, "%s%.*s", at != 0 ? "\n" : "", CCP_FMT(text));
    }
    *why = ccp_span_z(why_text);
    return false;
}

static struct runtime *bound(struct ccp_test *t, const char *toml, struct ccp_span *why)
{
    char path[128];
    if (!write_file(t, toml, path, sizeof(path))) {
        refuse(why, "%s cannot be written", path);
        return NULL;
    }
    const char *const *sets = own_sets(t);
    struct config_source source = {.file = path, .sets = sets};
    struct config *c = config_load(&source);
    free((void *)sets);
    struct runtime *rt = c != NULL ? runtime_bind_with(c, t->extra) : NULL;
    if (rt == NULL)
        refuse(why, "out of memory");
    else if (!config_ok(rt->config))
        tell_faults(rt->config, why);
    else
        return rt;
    runtime_unref(rt);
    return NULL;
}

static struct runtime *opened(struct ccp_test *t, const char *toml, struct ccp_span *why)
{
    struct runtime *rt = bound(t, toml, why);
    struct runtime_host host = {.core = &t->core, .executor = t->executor, .previous = t->runtime};
    struct ccp_span text = {NULL, 0};
    if (rt == NULL)
        return NULL;
    struct plugin_instance *p = runtime_plugin(rt, ccp_span_z(t->plugin->name));
    if (!runtime_open(rt, &host, &text))
        refuse(why, "%.*s", CCP_FMT(text));
    else if (p->state == PLUGIN_FAILED)
        refuse(why, "%.*s", CCP_FMT(p->why));
    else
        return rt;
    runtime_unref(rt);
    return NULL;
}

/* -- open -- */

static void no_wake(struct loop *loop)
{
    (void)loop; /* the test turns it */
}

static void open_log(struct ccp_test *t)
{
    char path[64];
    t->log = memfd_create("log", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", t->log);
    struct log_options options = {CCP_LOG_DEBUG, LOG_TEXT, path};
    const char *wrong = t->log >= 0 ? log_configure(&options) : "no descriptor";
    if (wrong != NULL)
        ccp_test_fail("log", 0, "cannot be captured: %s", wrong);
}

static struct ccp_test *prepare(const struct ccp_plugin *plugin)
{
    struct ccp_test *t = kit_alloc(sizeof(*t));
    t->plugin = plugin;
    t->extra[0] = plugin;
    t->extra[1] = &kit_spy;
    t->core = *chain_core();
    t->api = *t->core.api;
    t->api.fetch = kit_fetch;
    t->core.api = &t->api;
    t->last_answer = &t->next_answer;
    t->last_sent = &t->sent;
    t->last_fetch = &t->next_fetch;
    t->last_post = &t->posts;
    pthread_mutex_init(&t->lock, NULL);
    buf_init(&t->events, 1 << 20);
    loop_init(&t->loop, no_wake, t);
    return t;
}

static void say(struct ccp_test *t, enum ccp_event event)
{
    chain_announce(t->runtime, t->executor, event, NULL);
}

static bool start(struct ccp_test *t, const char *toml, struct ccp_span *why)
{
    const struct executor_port port = {kit_post, t, 3600000};
    if (!kit_folder_make(t))
        return refuse(why, "a folder in /tmp cannot be made");
    kit_clock_start();
    open_log(t);
    t->executor = executor_new(&port);
    if (t->executor == NULL || !executor_start(t->executor))
        return refuse(why, "the executor does not start");
    t->runtime = opened(t, toml, why);
    if (t->runtime == NULL)
        return false;
    executor_set_runtime(t->executor, t->runtime);
    t->worker = chain_worker_new(&t->loop, &kit_transport, t, runtime_ref(t->runtime));
    if (t->worker == NULL)
        return refuse(why, "out of memory");
    chain_worker_set_executor(t->worker, t->executor, 0);
    say(t, CCP_EVENT_APP_STARTUP);
    say(t, CCP_EVENT_APP_READY);
    return true;
}

/* -- close -- */

static void end_calls(struct ccp_test *t)
{
    for (struct kit_call *c = t->calls; c != NULL; c = c->next)
        if (!c->pub.over) {
            ccp_test_fail("ccp_test_close", 0, "%.*s still runs", CCP_FMT(c->line));
            ccp_test_leave(t, &c->pub);
        }
    if (chain_in_flight(t->worker) != 0)
        ccp_test_fail("ccp_test_close", 0, "%zu exchanges are left over", chain_in_flight(t->worker));
    if (t->next_answer != NULL)
        ccp_test_fail("ccp_test_close", 0, "an upstream answer was prepared that nobody asked for");
}

static void stop(struct ccp_test *t)
{
    if (t->worker != NULL) {
        end_calls(t);
        say(t, CCP_EVENT_APP_SHUTDOWN);
    }
    if (t->executor != NULL) {
        executor_stop(t->executor, KIT_PATIENCE / 1000);
        kit_quiet(t); /* what it posted last */
        executor_set_runtime(t->executor, NULL);
    }
    if (t->worker != NULL)
        chain_worker_free(t->worker);
    runtime_unref(t->runtime);
    executor_free(t->executor);
    if (t->loop.heap_n != 0 || t->loop.first != NULL)
        ccp_test_fail("ccp_test_close", 0, "a timer or a task outlived everything");
}

static void release_scripts(struct kit_script *s)
{
    for (struct kit_script *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
}

static void release(struct ccp_test *t)
{
    release_scripts(t->next_answer);
    release_scripts(t->next_fetch);
    for (struct kit_call *c = t->calls, *next; c != NULL; c = next) {
        next = c->next;
        buf_release(&c->body);
        buf_release(&c->events);
        free(c);
    }
    for (struct kit_sent *s = t->sent, *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
    for (struct kit_kept *k = t->kept, *next; k != NULL; k = next) {
        next = k->next;
        free(k);
    }
    buf_release(&t->events);
    loop_release(&t->loop);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void ccp_test_close(struct ccp_test *t)
{
    struct log_options quiet = {CCP_LOG_WARN, LOG_TEXT, NULL};
    if (t == NULL)
        return;
    stop(t);
    log_configure(&quiet);
    if (t->log > 0)
        close(t->log);
    kit_clock_stop();
    kit_folder_remove(t);
    current = NULL;
    release(t);
}

struct ccp_test *ccp_test_open(const struct ccp_plugin *plugin, const char *toml, struct ccp_span *why)
{
    if (current != NULL) {
        refuse(why, "another test is open");
        return NULL;
    }
    struct ccp_test *t = current = prepare(plugin);
    if (start(t, toml, why))
        return t;
    ccp_test_close(t);
    return NULL;
}

bool ccp_test_reload(struct ccp_test *t, const char *toml, struct ccp_span *why)
{
    struct runtime *rt = opened(t, toml, why);
    if (rt == NULL)
        return false;
    executor_set_runtime(t->executor, rt);
    chain_worker_set_runtime(t->worker, runtime_ref(rt));
    runtime_unref(t->runtime);
    t->runtime = rt;
    say(t, CCP_EVENT_APP_RELOADED);
    kit_quiet(t);
    return true;
}
