/*
 * Routes of plugins: who may come, the call itself, and what becomes of what the plugin says.
 *
 * A plugin cannot leave its client without an answer: a verdict that is not true is its failure, counted by its guard.
 */
#include <base/clock.h>
#include <chain/local_impl.h>

bool local_callable(struct exchange *x, struct plugin_unit *u, struct ccp_span plugin)
{
    if (unit_callable(u))
        return true;
    exchange_fail(x, CCP_INTERNAL, "plugin %.*s is disabled: %.*s", CCP_FMT(plugin), CCP_FMT(guard_reason(u)));
    return false;
}

static bool is_sound(const struct exchange *x, enum ccp_verdict verdict)
{
    bool answered = x->state == X_ANSWERING || x->state == X_FINISHING || x->stream != NULL;
    switch (verdict) {
    case CCP_FAILED:
        return x->status != CCP_OK;
    case CCP_DONE:
        return answered;
    default:
        return verdict == CCP_WAIT && (x->park_cancel != NULL || x->resumed_early);
    }
}

enum ccp_verdict local_verdict(struct exchange *x, struct plugin_unit *u, const char *what, enum ccp_verdict verdict)
{
    bool sound = is_sound(x, verdict);
    x->resumed_early = false;
    if (sound && verdict == CCP_WAIT)
        exchange_state(x, X_PARKED);
    if (sound)
        return verdict;
    guard_failure(u, what, CCP_SPAN("it gave no answer"));
    exchange_fail(x, CCP_INTERNAL, "plugin %s gave no answer", u != NULL ? u->manifest->name : what);
    return CCP_FAILED;
}

enum ccp_verdict local_route(struct exchange *x, const struct route_entry *e)
{
    bool changes = e->r->access == CCP_ACCESS_KEY && e->r->prefix == NULL && !local_is_get(x);
    if (e->r->access == CCP_ACCESS_ADMIN && !x->admin) {
        exchange_fail(x, CCP_FORBIDDEN, "this route needs an admin key");
        return CCP_FAILED;
    }
    if ((changes && !admin_allowed(x)) || !local_callable(x, e->unit, e->plugin))
        return CCP_FAILED;
    uint64_t began = guard_begin(e->unit);
    enum ccp_verdict verdict = e->r->serve(e->self, &x->pub);
    guard_end(e->unit, e->r->path, began);
    return local_verdict(x, e->unit, e->r->path, verdict);
}
