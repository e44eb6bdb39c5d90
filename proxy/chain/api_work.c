/*
 * Off-loop work of exchanges, and events of the plugins' own.
 *
 * A link stands between a piece of work and its exchange: in the exchange's list until either ends. It has two owners,
 * the list and the job; when `done` came with the exchange both are settled at once.
 */
#include <chain/api_impl.h>

#include <base/clock.h>
#include <base/fault.h>
#include <wire/json.h>

#include <stdlib.h>

struct job_link {
    struct job_link *next, **prev; /* in x->jobs, on its worker */
    atomic_uint owners;
    struct executor_job *job;
    void (*run)(void *arg);
    void (*done)(void *arg, struct ccp_exchange *x);
    void *arg;
    struct plugin_unit *unit;
    void (*parked)(void *arg); /* with this the exchange was parked when the work began, or NULL */
};

static void let_go(struct job_link *link, unsigned owners)
{
    if (atomic_fetch_sub_explicit(&link->owners, owners, memory_order_acq_rel) == owners)
        free(link);
}

static void take_out(struct job_link *link)
{
    *link->prev = link->next;
    if (link->next != NULL)
        link->next->prev = link->prev;
}

static void run(void *arg)
{
    struct job_link *link = arg;
    link->run(link->arg);
}

static void done(void *arg, struct ccp_exchange *x)
{
    struct job_link *link = arg;
    if (x != NULL)
        take_out(link); /* before the call, which may end the exchange */
    if (link->done != NULL)
        link->done(link->arg, x);
    let_go(link, x != NULL ? 2 : 1);
}

/* Its plugin was disabled: what it parked is not resumed by anybody else. */
static void lost(void *arg, struct ccp_exchange *pub)
{
    struct job_link *link = arg;
    struct exchange *x = exchange_of(pub);
    void (*cancel)(void *arg) = x->park_cancel;
    bool own = cancel != NULL && (x->park_arg == link->arg || cancel == link->parked);
    if (x->state != X_PARKED || !own)
        return;
    x->park_cancel = NULL;
    cancel(x->park_arg);
    exchange_fail(x, CCP_INTERNAL, "plugin %s is disabled: %.*s", link->unit->manifest->name,
                  CCP_FMT(guard_reason(link->unit)));
    pub->api->resume(pub, CCP_FAILED);
}

void jobs_forget(struct exchange *x)
{
    for (struct job_link *link; (link = x->jobs) != NULL;) {
        take_out(link);
        executor_forget(link->job);
        let_go(link, 1);
    }
}

static bool work_of_exchange(struct executor *e, struct plugin_unit *u, struct exchange *x, void (*fn)(void *arg),
                             void (*then)(void *arg, struct ccp_exchange *x), void *arg)
{
    struct job_link *link = CCP_FAULT("api.work") ? NULL : malloc(sizeof(*link));
    if (link == NULL)
        return false;
    *link = (struct job_link){
        .next = x->jobs, .prev = &x->jobs, .run = fn, .done = then, .arg = arg, .unit = u, .parked = x->park_cancel};
    atomic_init(&link->owners, 2);
    link->job = executor_work(e, u, &(struct executor_piece){x->w->number, run, done, lost, &x->pub, link});
    if (link->job == NULL) {
        free(link);
        return false;
    }
    if (x->jobs != NULL)
        x->jobs->prev = &link->next;
    x->jobs = link;
    return true;
}

bool api_work(const struct ccp_plugin_env *env, struct ccp_exchange *x, void (*fn)(void *arg),
              void (*then)(void *arg, struct ccp_exchange *x), void *arg)
{
    struct plugin_unit *u = unit_of(env);
    if (u->executor == NULL || fn == NULL)
        return false;
    if (x != NULL)
        return work_of_exchange(u->executor, u, exchange_of(x), fn, then, arg);
    return executor_work(u->executor, u, &(struct executor_piece){SIZE_MAX, fn, then, NULL, NULL, arg}) != NULL;
}

/* -- events -- */

enum { NAME_MAX_BYTES = 100, PAYLOAD_MAX = 64 * 1024 };

static bool name_ok(struct ccp_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return name.n != 0 && name.n <= NAME_MAX_BYTES;
}

bool api_emit(const struct ccp_plugin_env *env, struct ccp_exchange *x, const char *name, struct ccp_span json)
{
    char dotted[NAME_MAX_BYTES + 8];
    struct plugin_unit *u = unit_of(env);
    struct ccp_span given = ccp_span_z(name);
    if (ccp_span_starts(given, CCP_SPAN("custom.")))
        given = ccp_span_skip(given, 7);
    if (!name_ok(given) || json.n > PAYLOAD_MAX || json_scan(json, NULL, NULL, 0, NULL) != CCP_OK)
        return false;
    snprintf(dotted, sizeof(dotted), "custom.%.*s", CCP_FMT(given));
    struct ccp_moment m = {.size = sizeof(m), .bytes = json, .name = ccp_span_z(dotted)};
    if (x != NULL)
        return !hooks_heard(exchange_of(x), CCP_EVENT_CUSTOM) || hooks_custom(exchange_of(x), env->name, &m);
    if (u->executor == NULL || !executor_hears(u->executor, CCP_EVENT_CUSTOM))
        return true;
    struct ccp_event_info info = {.size = sizeof(info),
                                  .event = CCP_EVENT_CUSTOM,
                                  .dotted = m.name,
                                  .unix_us = clock_unix_us(),
                                  .source = env->name,
                                  .moment = &m};
    return executor_announce(u->executor, &info);
}

bool api_heard(const struct ccp_plugin_env *env, enum ccp_event event)
{
    const struct plugin_unit *u = unit_of(env);
    return u->executor != NULL && (unsigned)event < CCP_EVENT_COUNT && executor_hears(u->executor, event);
}
