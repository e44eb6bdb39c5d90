/*
 * The credential service in the server: which accounts the configuration uses, and the service's ports to workers and
 * observers.
 */
#include <app/server.h>

#include <base/log.h>

enum { SETTLE_MS = 2000 };

static bool post(void *self, size_t number, void (*fn)(void *arg), void *arg)
{
    struct server *s = self;
    return http_worker_post(s->workers[number].http, fn, arg);
}

/* The newest configuration's observers; a reload may replace it meanwhile. */
static void announce(void *self, enum ccp_event event, const struct auth_event *what)
{
    struct server *s = self;
    pthread_mutex_lock(&s->rt_lock);
    struct runtime *rt = runtime_ref(s->rt);
    pthread_mutex_unlock(&s->rt_lock);
    struct ccp_moment m = {.size = sizeof(m),
                           .status = what->status,
                           .name = what->provider,
                           .text = what->error,
                           .account = what->account,
                           .request_kind = what->request,
                           .generation = what->generation};
    chain_announce(rt, s->executor, event, &m);
    runtime_unref(rt);
}

void credentials_set_runtime(struct server *s, struct runtime *rt)
{
    pthread_mutex_lock(&s->rt_lock);
    struct runtime *old = s->rt;
    s->rt = rt;
    pthread_mutex_unlock(&s->rt_lock);
    runtime_unref(old);
}

bool credentials_use(struct server *s, struct runtime *rt)
{
    struct auth_use *uses[1000 + 64]; /* as many as there can be providers */
    size_t n = 0;
    for (size_t i = 0; i < rt->provider_count && n < sizeof(uses) / sizeof(uses[0]); i++)
        if (rt->providers[i].login.login != NULL && rt->providers[i].enabled)
            uses[n++] = &rt->providers[i].login;
    return s->auth == NULL || auth_set_uses(s->auth, rt->config, uses, n, rt->settings.auth.refresh_before);
}

int credentials_open(struct server *s)
{
    struct store_options options;
    struct store_error e;
    struct auth_port port = {post, announce, s, s->worker_n};
    if (!runtime_store_options(s->rt, &options)) {
        log_info("auth", "no home folder and no auth.directory: stored logins are not used");
        return EXIT_OK;
    }
    struct store *store = store_open(&options, &e);
    if (store == NULL)
        return complain(EXIT_CONFIG, "%s", e.text);
    s->auth = auth_new(store, &port);
    if (s->auth == NULL) {
        store_free(store);
        return complain(EXIT_FAILED, "cannot start the credential service: out of memory or descriptors");
    }
    return EXIT_OK;
}

int credentials_start(struct server *s)
{
    if (s->auth == NULL)
        return EXIT_OK;
    if (!credentials_use(s, s->rt) || !auth_start(s->auth))
        return complain(EXIT_FAILED, "cannot start the credential service's thread");
    auth_settle(s->auth, SETTLE_MS);
    return EXIT_OK;
}

bool credentials_stored(struct runtime *rt, const struct provider *p)
{
    struct store_options options;
    struct store_error e;
    struct store_stamp stamp;
    char labels[1][STORE_LABEL_MAX + 1];
    if (p->login.login == NULL || !p->enabled || !runtime_store_options(rt, &options))
        return p->usable;
    options.encryption = STORE_PLAIN; /* nothing is read but names */
    struct store *store = store_open(&options, &e);
    struct store_place at = {p->login.login->name, p->login.account, p->login.file.n != 0 ? p->login.file.p : NULL,
                             p->login.login->def->file};
    bool found = store != NULL &&
                 (at.file != NULL || at.account.n != 0 ? store_stat(store, &at, &stamp)
                                                       : store_accounts(store, at.provider, labels, 1, &e) != 0);
    store_free(store);
    return found;
}
