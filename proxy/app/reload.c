/*
 * SIGHUP: a whole new configuration beside the old one, then one message to each worker.
 *
 * Requests that run keep the configuration they started with. A configuration with a fault, or one that cannot be
 * opened, changes nothing at all but what health says.
 */
#include <app/server.h>

#include <base/fault.h>
#include <base/log.h>

/* Why nothing is taken: one line for the log, whatever number of faults there is. */
struct refusal {
    char text[1600]; /* the log cuts at 2048 */
    size_t n, unsaid;
};

static void report(void *arg, bool warning, struct ccp_span text)
{
    struct refusal *why = arg;
    size_t room = sizeof(why->text) - why->n;
    if (warning) {
        log_warn("config", "%.*s", CCP_FMT(text));
        return;
    }
    int n = snprintf(why->text + why->n, room, "%s%.*s", why->n != 0 ? "; " : "", CCP_FMT(text));
    if (n > 0 && ((size_t)n < room || why->n == 0))
        why->n += (size_t)n < room ? (size_t)n : room - 1;
    else
        why->unsaid++;
    why->text[why->n] = '\0';
}

/* What binding settled stays; all other keys of [server] are applied. */
static void warn_of_restart(struct config *old, struct config *fresh, const char *table,
                            const struct ccp_config_row *rows)
{
    char names[512] = "";
    size_t n = 0;
    for (const struct ccp_config_row *row = rows; row->key != NULL; row++)
        if ((row->flags & CCP_ROW_RESTART) != 0 && !config_same(old, fresh, table, row->key) && n < sizeof(names) - 1)
            n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", n != 0 ? ", " : "", row->key);
    if (n != 0)
        log_warn("config", "[%s] %s: changed, but needs a restart; the rest is applied", table, names);
}

struct runtime *server_prepare(struct server *s, const struct ccp_span *state, struct ccp_span restart,
                               load_report *say, void *arg)
{
    struct ccp_span why;
    struct runtime *rt =
        state != NULL ? load_candidate(s->cli, *state, say, arg) : load_runtime(s->cli, NULL, say, arg);
    if (rt == NULL)
        return NULL;
    rt->generation = s->rt->generation + 1;
    struct runtime_host host = plugins_host(s, restart);
    if (server_is_open_to_all(s, &rt->settings))
        say(arg, false,
            CCP_SPAN("the server is reachable beyond this machine: a configuration without any key needs "
                     "security.allow_unauthenticated = true"));
    else if (!runtime_open(rt, &host, &why))
        say(arg, false, why);
    else
        return rt;
    runtime_unref(rt);
    return NULL;
}

static void reload_files(struct server *s, const struct settings *settings)
{
    char why[HTTP_ERRBUF];
    struct http_options options;
    server_options(&options, &settings->server);
    const char *wrong = logging_apply(&settings->logging);
    if (wrong == NULL)
        wrong = log_reopen();
    if (wrong != NULL)
        log_error("config", "logging.file: %s; the old one stays", wrong);
    if (!http_tls_reload(s->listeners, &options, why))
        log_error("config", "%s; the old certificate stays", why);
}

static void say_refusal(const struct refusal *why)
{
    char more[64] = "";
    if (why->unsaid != 0)
        snprintf(more, sizeof(more), " (and %zu more: ccproxy config check)", why->unsaid);
    log_error("config", "not reloaded, the old configuration goes on: %s%s", why->text, more);
}

bool server_apply(struct server *s, struct runtime *rt)
{
    if (CCP_FAULT("reload.apply") || !credentials_use(s, rt)) {
        runtime_unref(rt);
        return false;
    }
    warn_of_restart(s->bound, rt->config, "server", settings_server_rows);
    warn_of_restart(s->bound, rt->config, "auth", settings_auth_rows);
    reload_files(s, &rt->settings);
    for (size_t i = 0; i < s->worker_n; i++)
        worker_set_runtime(&s->workers[i], runtime_ref(rt));
    executor_set_runtime(s->executor, rt);
    credentials_set_runtime(s, rt);
    chain_announce(rt, s->executor, CCP_EVENT_APP_RELOADED, NULL);
    return true;
}

void server_reload(struct server *s)
{
    struct refusal refusal = {.n = 0};
    struct runtime *rt = server_prepare(s, NULL, CCP_SPAN(""), report, &refusal);
    if (rt == NULL) {
        say_refusal(&refusal);
        atomic_store(&s->rt->outdated, true);
        return;
    }
    struct ccp_span file = config_file(rt->config);
    if (!server_apply(s, rt)) {
        log_error("config", "not reloaded: out of memory");
        atomic_store(&s->rt->outdated, true);
        return;
    }
    log_info("config", "reloaded%s%.*s", file.n != 0 ? " from " : "", CCP_FMT(file));
}
