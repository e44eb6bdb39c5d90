/*
 * tally: a hook that counts requests, a route that tells their number, and a task that keeps it over restarts:
 * GET /plugins/tally/count answers {"requests":3}.
 *
 * The hook observes: it is called on a thread of its own, after the fact. The route is asked on workers, the task runs
 * on another thread, so the number is atomic.
 */
#include <ccproxy/ccproxy.h>

#include <stdatomic.h>
#include <stdlib.h>

struct tally {
    const struct ccp_plugin_env *env;
    atomic_ulong requests;
};

static void *open_tally(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    struct tally *t = calloc(1, sizeof(*t));
    struct ccp_arena *a = env->api->arena_new(16 << 10);
    struct ccp_json *number = NULL;
    struct ccp_span text = {NULL, 0};
    if (t != NULL)
        t->env = env;
    else
        *why = CCP_SPAN("out of memory");
    if (t != NULL && a != NULL && env->api->state_read(env, "requests", 64, a, &text, why) && text.p != NULL &&
        env->api->arena_json_parse(a, text, &number, NULL) == CCP_OK && number->type == CCP_JSON_NUMBER)
        t->requests = strtoul(env->api->arena_print(a, "%.*s", CCP_FMT(number->raw)).p, NULL, 10);
    env->api->arena_free(a);
    return t; /* a file that cannot be read: counting begins anew */
}

static bool observe(void *self, const struct ccp_event_info *info)
{
    atomic_fetch_add(&((struct tally *)self)->requests, 1);
    return true;
}

static enum ccp_verdict count(void *self, struct ccp_exchange *x)
{
    struct tally *t = self;
    return x->api->respond(x, 200, CCP_SPAN("application/json"), x->api->print(x, "{\"requests\":%lu}", t->requests));
}

static bool save(void *self, struct ccp_span *why)
{
    struct tally *t = self;
    char text[24];
    size_t n = ccp_digits(text, t->requests, 1);
    return t->env->api->state_write(t->env, "requests", ccp_span_of(text, n), why);
}

static void close_tally(void *self)
{
    struct ccp_span why;
    save(self, &why);
    free(self);
}

static const struct ccp_hook hooks[] = {
    {.name = "ends", .events = CCP_HEARS(REQUEST_COMPLETED) | CCP_HEARS(REQUEST_FAILED), .observe = observe},
    {.name = NULL},
};
static const struct ccp_route routes[] = {
    {"GET", "/count", .summary = "the number of requests", .serve = count},
    {.methods = NULL},
};
static const struct ccp_task tasks[] = {
    {"save", "writes the number down", .interval_ms = 60000, .run = save},
    {.name = NULL},
};
/* clang-format off */
CCP_PLUGIN(tally) = {CCP_ABI_HERE, .name = "tally", .version = CCP_PLUGIN_VERSION, .kind = CCP_PLUGIN_SYSTEM,
    .summary = "counts requests", .hooks = hooks, .routes = routes, .tasks = tasks, .open = open_tally,
    .close = close_tally};
