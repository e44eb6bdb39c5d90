"""Plugins that work off the loop, say events, block, fail and sleep: what test_plugins_work*.py load."""
import json
import os
import tempfile
import time

import plugin_kit

# Counts what it hears; GET /plugins/watcher/seen tells it. `/figure/NAME` asks for a figure of the core.
WATCHER = r"""
#include <stdatomic.h>
#include <pthread.h>
static const struct ccp_plugin_env *me;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[8192];
static atomic_uint total[CCP_EVENT_COUNT], disorder, secrets;
static uint64_t last;

static bool look(void *self, const struct ccp_event_info *info)
{
    pthread_mutex_lock(&lock);
    size_t n = strlen(text);
    disorder += info->sequence <= last;
    last = info->sequence;
    total[info->event]++;
    for (size_t i = 0; i < info->moment->header_count; i++)
        secrets += memmem(info->moment->headers[i].value.p, info->moment->headers[i].value.n, "sesame", 6) != NULL;
    if (info->event == CCP_EVENT_CUSTOM || info->event >= CCP_EVENT_PLUGIN_LOADED)
        snprintf(text + n, sizeof(text) - n, "%.*s|%.*s|%.*s|%.*s|%.*s\n", CCP_FMT(info->dotted), CCP_FMT(info->source),
                 CCP_FMT(info->moment->bytes), CCP_FMT(info->moment->text), CCP_FMT(info->request_id));
    pthread_mutex_unlock(&lock);
    return true;
}
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why) { return (void *)(me = env); }
static enum ccp_verdict seen(void *self, struct ccp_exchange *x)
{
    pthread_mutex_lock(&lock);
    struct ccp_span lines = x->api->json_quote(x, NULL, ccp_span_z(text));
    struct ccp_span body = x->api->print(x,
        "{\"completed\":%u,\"requests\":%u,\"disorder\":%u,\"secrets\":%u,\"loaded\":%u,"
        "\"unloaded\":%u,\"lines\":%.*s}",
        total[CCP_EVENT_REQUEST_COMPLETED], total[CCP_EVENT_HTTP_REQUEST], disorder, secrets,
        total[CCP_EVENT_PLUGIN_LOADED], total[CCP_EVENT_PLUGIN_UNLOADED], CCP_FMT(lines));
    pthread_mutex_unlock(&lock);
    return x->api->respond(x, 200, CCP_SPAN("application/json"), body);
}
static enum ccp_verdict figure(void *self, struct ccp_exchange *x)
{
    char name[100];
    uint64_t value;
    snprintf(name, sizeof(name), "%.*s", CCP_FMT(x->api->route_rest(x)));
    bool known = x->api->figure(me, name, &value);
    return x->api->respond(x, known ? 200 : 404, CCP_SPAN("application/json"),
                           x->api->print(x, "%llu", (unsigned long long)value));
}
static const struct ccp_hook hooks[] = {{.name = "look", .observe = look, .events = CCP_HEARS(CUSTOM) |
    CCP_HEARS(PLUGIN_LOADED) | CCP_HEARS(PLUGIN_UNLOADED) | CCP_HEARS(PLUGIN_ERROR) | CCP_HEARS(REQUEST_COMPLETED) |
    CCP_HEARS(HTTP_REQUEST)}, {.name = NULL}};
static const struct ccp_route routes[] = {{.methods = "GET", .path = "/seen", .serve = seen},
    {.methods = "GET", .path = "/figure/*", .serve = figure}, {.methods = NULL}};
"""

# One hook that is as bad as BAD says.
HOOK = r"""
#include <unistd.h>
static bool bad(void *self, const struct ccp_event_info *info) { %s }
static const struct ccp_hook hooks[] = {{.name = "bad", .observe = bad, .events = CCP_HEARS(REQUEST_COMPLETED)},
    {.name = NULL}};
"""

IN_LINE = r"""
#include <unistd.h>
static bool bad(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m) { %s }
static const struct ccp_hook hooks[] = {{.name = "bad", .on_event = bad, .events = CCP_HEARS(REQUEST_COMPLETED)},
    {.name = NULL}};
"""

TASKS = r"""
static bool fine(void *self, struct ccp_span *why) { return true; }
static bool fails(void *self, struct ccp_span *why) { *why = CCP_SPAN("the moon is in the way"); return false; }
static const struct ccp_task tasks[] = {
    {.name = "fine", .summary = "does nothing", .interval_ms = 50, .first_ms = 1, .run = fine},
    {.name = "fails", .interval_ms = 50, .first_ms = 1, .backoff_max_ms = 400, .run = fails},
    {.name = "resting", .interval_ms = 3600000, .off = true, .run = fine}, {.name = NULL}};
"""

SPAWNER = r"""
static const struct ccp_plugin_env *me;
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why) { me = env; return malloc(1); }
static void close_it(void *self) { free(self); }
static bool children(void *self, struct ccp_span *why)
{
    const char *argv[] = {"sh", "-c", "sleep 0.01; cat", NULL};
    struct ccp_run what = {.size = sizeof(what), .argv = argv, .input = CCP_SPAN("hello"), .timeout_ms = 20000};
    struct ccp_ran got;
    struct ccp_arena *a = me->api->arena_new(65536);
    bool ok = me->api->run(me, a, &what, &got, sizeof(got)) && got.out.n == 5;
    me->api->arena_free(a);
    *why = CCP_SPAN("the child failed");
    return ok;
}
static const struct ccp_task tasks[] = {
    {.name = "children", .interval_ms = 10, .first_ms = 1, .run = children}, {.name = NULL}};
"""

# GET /plugins/caller/<verb>?a=...: off-loop work that fetches, runs, keeps a file, sleeps, or says an event.
CALLER = r"""
#include <unistd.h>
static const struct ccp_plugin_env *me;
static const struct ccp_api *api;
struct job {
    char verb[32], a[2000];
    struct ccp_arena *arena;
    struct ccp_span answer;
};
static void fetch(struct job *j)
{
    struct ccp_header header = {CCP_SPAN("x-test"), CCP_SPAN("yes")};
    struct ccp_fetch what = {.size = sizeof(what), .url = ccp_span_z(j->a), .headers = &header, .header_count = 1,
                             .timeout_ms = 2000, .max_bytes = 1000};
    struct ccp_fetched got;
    bool ok = api->fetch(me, j->arena, &what, &got, sizeof(got));
    struct ccp_span body = api->json_quote(NULL, j->arena, got.body), why = api->json_quote(NULL, j->arena, got.why);
    j->answer = api->arena_print(j->arena, "{\"ok\":%s,\"status\":%d,\"body\":%.*s,\"why\":%.*s,\"type\":\"%.*s\"}",
        ok ? "true" : "false", got.status, CCP_FMT(body), CCP_FMT(why), CCP_FMT(got.content_type));
}
static void run(struct job *j)
{
    const char *argv[] = {"sh", "-c", j->a, NULL}, *env[] = {"EXTRA=1", NULL}, *none[] = {j->a, NULL};
    bool direct = strcmp(j->verb, "exec") == 0;
    struct ccp_run what = {.size = sizeof(what), .argv = direct ? none : argv, .env = env, .input = CCP_SPAN("hello"),
                           .timeout_ms = 700, .max_output = 100};
    struct ccp_ran got;
    bool ok = api->run(me, j->arena, &what, &got, sizeof(got));
    struct ccp_span out = api->json_quote(NULL, j->arena, got.out), err = api->json_quote(NULL, j->arena, got.err),
                    why = api->json_quote(NULL, j->arena, got.why);
    j->answer = api->arena_print(j->arena, "{\"ok\":%s,\"status\":%d,\"signal\":%d,\"timed_out\":%s,\"truncated\":%s,"
        "\"out\":%.*s,\"err\":%.*s,\"why\":%.*s}", ok ? "true" : "false", got.status, got.signal,
        got.timed_out ? "true" : "false", got.truncated ? "true" : "false", CCP_FMT(out), CCP_FMT(err), CCP_FMT(why));
}
static void keep(struct job *j)
{
    struct ccp_span before, why, folder;
    bool read = api->state_read(me, "note.txt", 1000, j->arena, &before, &why);
    bool wrote = read && api->state_write(me, j->a[0] == '/' ? j->a : "note.txt", ccp_span_z(j->a), &why);
    struct ccp_span said = api->json_quote(NULL, j->arena, why);
    folder = api->json_quote(NULL, j->arena, api->state_folder(me, &why));
    struct ccp_span text = before.p != NULL ? api->json_quote(NULL, j->arena, before) : CCP_SPAN("null");
    j->answer = api->arena_print(j->arena, "{\"ok\":%s,\"before\":%.*s,\"folder\":%.*s,\"why\":%.*s}",
        wrote ? "true" : "false", CCP_FMT(text), CCP_FMT(folder), CCP_FMT(said));
}
static void work(void *arg)
{
    struct job *j = arg;
    j->answer = CCP_SPAN("{}");
    if (strcmp(j->verb, "fetch") == 0)
        fetch(j);
    else if (strcmp(j->verb, "run") == 0 || strcmp(j->verb, "exec") == 0)
        run(j);
    else if (strcmp(j->verb, "keep") == 0)
        keep(j);
    else if (strcmp(j->verb, "sleep") == 0)
        usleep((useconds_t)atoi_ms(j->a) * 1000);
    else if (strcmp(j->verb, "say") == 0)
        j->answer = api->emit(me, NULL, "caller.said", ccp_span_z(j->a)) ? CCP_SPAN("true") : CCP_SPAN("false");
}
static void done(void *arg, struct ccp_exchange *x)
{
    struct job *j = arg;
    if (x != NULL) {
        api->respond(x, 200, CCP_SPAN("application/json"), j->answer.p != NULL ? j->answer : CCP_SPAN("null"));
        api->resume(x, CCP_DONE);
    }
    api->arena_free(j->arena);
    free(j);
}
static void gone(void *arg) { }
static enum ccp_verdict serve(void *self, struct ccp_exchange *x)
{
    struct job *j = calloc(1, sizeof(*j));
    struct ccp_span a = api->query_get(x, CCP_SPAN("a"));
    snprintf(j->verb, sizeof(j->verb), "%.*s", CCP_FMT(api->route_rest(x)));
    snprintf(j->a, sizeof(j->a), "%.*s", CCP_FMT(a));
    if (strcmp(j->verb, "tell") == 0) {
        bool ok = api->emit(me, x, "caller.told", ccp_span_z(j->a));
        free(j);
        return api->respond(x, 200, CCP_SPAN("application/json"), ok ? CCP_SPAN("true") : CCP_SPAN("false"));
    }
    j->arena = api->arena_new(1 << 20);
    api->park(x, gone, j);
    if (api->work(me, x, work, done, j))
        return CCP_WAIT;
    api->arena_free(j->arena);
    free(j);
    return api->fail(x, CCP_OVERLOADED, "too much work waits");
}
static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why) 
{
    api = env->api;
    return (void *)(me = env);
}
static const struct ccp_route routes[] = {{.methods = "GET", .path = "/*", .serve = serve}, {.methods = NULL}};
""".replace("atoi_ms(j->a)", "strtoul(j->a, NULL, 10)")

SOURCES = {
    "watcher": plugin_kit.manifest("watcher", ".open = open_it, .hooks = hooks, .routes = routes", WATCHER),
    "blocker": plugin_kit.manifest("blocker", ".hooks = hooks", HOOK % "for (;;) pause(); return true;"),
    "refuser": plugin_kit.manifest("refuser", ".hooks = hooks", HOOK % "return false;"),
    "sleeper": plugin_kit.manifest("sleeper", ".hooks = hooks", IN_LINE % "usleep(150000); return true;"),
    "tasker": plugin_kit.manifest("tasker", ".tasks = tasks", TASKS),
    "spawner": plugin_kit.manifest("spawner", ".open = open_it, .close = close_it, .tasks = tasks", SPAWNER),
    "caller": plugin_kit.manifest("caller", ".open = open_it, .routes = routes", CALLER),
}


class Folder:
    """A folder with these plugins, and the configuration that finds them."""

    def __init__(self, *names):
        self.folder = tempfile.TemporaryDirectory(prefix="ccp-work-")
        self.path = os.path.join(os.path.realpath(self.folder.name), "plugins")
        os.mkdir(self.path, 0o755)
        for name in names:
            plugin_kit.make(self.path, name, SOURCES[name], flags=("-D_GNU_SOURCE",))
        self.config = '[plugin_discovery]\ndirectories = ["%s"]\n' % self.path

    def cleanup(self):
        self.folder.cleanup()


def ask(server, path, timeout=20):
    answer = server.request("GET", path, timeout=timeout)
    try:
        return answer.status, json.loads(answer.body)
    except ValueError:
        return answer.status, answer.body


def until(check, seconds=10, what=""):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = check()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(what or "it did not happen within %s s" % seconds)
