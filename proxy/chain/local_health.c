/*
 * /health and /health/ready: can requests be served, and by whom? Without a key only the status is told.
 */
#include <base/budget.h>
#include <chain/local_impl.h>
#include <wire/json.h>

struct auth_report local_login(const struct exchange *x, const struct provider *p)
{
    if (p->login.login == NULL)
        return (struct auth_report){.state = AUTH_UNKNOWN};
    return auth_report(x->w->auth, &p->login);
}

static bool ready(const struct exchange *x)
{
    for (size_t i = 0; !x->w->draining && i < x->rt->provider_count; i++)
        if (credential_usable(x, &x->rt->providers[i]))
            return true;
    return false;
}

/* pass: every enabled provider is usable; warn: some, or the file on disk was refused; fail: none, or draining. */
static const char *overall(const struct exchange *x)
{
    bool some = false, all = !x->rt->outdated;
    for (size_t i = 0; i < x->rt->provider_count; i++) {
        const struct provider *p = &x->rt->providers[i];
        bool usable = credential_usable(x, p);
        some = some || usable;
        all = all && ((usable && !local_login(x, p).degraded) || !p->enabled);
    }
    return !some || x->w->draining ? "fail" : all ? "pass" : "warn";
}

/* "2026-11-21T10:00:00Z" */
static void write_time(struct ccp_buf *out, const char *name, int64_t unix_s)
{
    char text[40];
    time_t at = (time_t)unix_s;
    struct tm tm;
    if (unix_s <= 0 || gmtime_r(&at, &tm) == NULL)
        return;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

void local_write_login(const struct provider *p, const struct auth_report *r, struct ccp_buf *out)
{
    static const char *const states[] = {
        [AUTH_UNKNOWN] = "unknown",         [AUTH_READY] = "ready", [AUTH_ABSENT] = "absent",
        [AUTH_NEEDS_LOGIN] = "needs_login", [AUTH_LATER] = "later",
    };
    buf_printf(out, ",\"login\":{\"name\":\"%.*s\",\"state\":\"%s\"", CCP_FMT(p->login.login->name), states[r->state]);
    local_text(out, "account", r->account);
    write_time(out, "expires_at", r->expires_at);
    write_time(out, "next_attempt_at", r->next_attempt_at);
    buf_addz(out, "}");
}

static void write_check(const struct exchange *x, const struct provider *p, struct ccp_buf *out)
{
    struct auth_report login = local_login(x, p);
    bool usable = credential_usable(x, p);
    buf_addz(out, "\"provider:");
    buf_add(out, p->id);
    buf_printf(out, "\":[{\"componentType\":\"component\",\"status\":\"%s\"",
               !usable                                       ? "fail"
               : login.degraded || login.state == AUTH_LATER ? "warn"
                                                             : "pass");
    if (!usable)
        local_text(out, "output", credential_missing(x, p));
    else
        local_text(out, "output", login.text);
    if (p->login.login != NULL)
        local_write_login(p, &login, out);
    buf_addz(out, "}]");
}

/* Nothing to say while the running configuration is the one that was last asked for. */
static void write_outdated(const struct runtime *rt, struct ccp_buf *out)
{
    if (rt->outdated)
        buf_addz(out, ",\"config:reload\":[{\"componentType\":\"component\",\"status\":\"warn\",\"output\":"
                      "\"the last reload was refused, see the log; the configuration from before goes on\"}]");
}

static void write_memory(struct ccp_buf *out)
{
    static const char *const status[] = {[BUDGET_FREE] = "pass", [BUDGET_HIGH] = "warn", [BUDGET_FULL] = "fail"};
    unsigned long long used = budget_used(), limit = budget_limit();
    buf_printf(out,
               "\"memory:used\":[{\"componentType\":\"system\",\"status\":\"%s\",\"observedValue\":%llu,"
               "\"observedUnit\":\"B\",\"limit\":%llu,\"output\":\"%llu of %llu MiB\"}]",
               status[budget_level(0)], used, limit, used >> 20, limit >> 20);
}

enum ccp_verdict local_health(struct exchange *x)
{
    struct ccp_buf out;
    buf_init(&out, 1024 * 1024);
    buf_printf(&out, "{\"status\":\"%s\"", overall(x));
    if (x->authenticated) {
        buf_addz(&out, ",\"version\":\"" CCP_VERSION "\",\"checks\":{");
        write_memory(&out);
        write_outdated(x->rt, &out);
        for (size_t i = 0; i < x->rt->provider_count; i++) {
            if (!x->rt->providers[i].enabled)
                continue;
            buf_addz(&out, ",");
            write_check(x, &x->rt->providers[i], &out);
        }
        buf_addz(&out, "}");
    }
    buf_addz(&out, "}");
    return local_send(x, ready(x) ? 200 : 503, LOCAL_HEALTH, &out);
}
