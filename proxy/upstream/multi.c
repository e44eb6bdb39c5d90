/*
 * Shards: curl multis of at most SHARD_TRANSFERS transfers each, and the glue between them and the loop.
 *
 * A transfer goes to the lowest-numbered shard of its key that has room, so connections are reused where they
 * are. A shard that has been idle for a while goes when a new one is made; on a reload every idle one goes.
 */
#include <upstream/upstream_impl.h>

#include <base/fault.h>

enum { IDLE_KEPT_MS = 60 * 1000, ROUNDS = 4 };

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *per_socket)
{
    struct shard *shard = arg;

    (void)easy, (void)per_socket;
    /* Without memory the socket stays unwatched and its transfer ends by timeout. Reporting the failure would
     * make curl abort every transfer of the shard. */
    (void)sockets_want(&shard->u->sockets, shard, fd, what);
    return 0;
}

static void on_due(struct loop_timer *timer)
{
    struct shard *shard = LINK_OWNER(timer, struct shard, timer);

    shard->run_now = true;
    upstream_wake(shard->u);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct shard *shard = arg;

    (void)multi;
    if (ms < 0) {
        loop_timer_stop(shard->u->loop, &shard->timer);
    } else if (ms == 0 || !loop_timer_set(shard->u->loop, &shard->timer, (uint64_t)ms)) {
        shard->run_now = true;
        upstream_wake(shard->u);
    }
    return 0;
}

static struct shard *shard_new(struct upstream *u, const struct shard_key *key)
{
    struct shard *shard = CCP_FAULT("upstream.shard") ? NULL : calloc(1, sizeof(*shard));

    if (shard == NULL || (shard->multi = curl_multi_init()) == NULL) {
        free(shard);
        return NULL;
    }
    shard->u = u;
    shard->key = *key;
    trust_ref(key->trust);
    shard->timer.fire = on_due;
    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
    curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
    curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, (long)SHARD_TRANSFERS);
    curl_multi_setopt(shard->multi, CURLMOPT_PIPELINING,
                      key->http2 ? (long)CURLPIPE_MULTIPLEX : (long)CURLPIPE_NOTHING);
    return shard;
}

static void shard_free(struct shard *shard)
{
    curl_multi_cleanup(shard->multi); /* closes its connections */
    loop_timer_stop(shard->u->loop, &shard->timer);
    trust_unref(shard->key.trust);
    free(shard);
}

static bool same_key(const struct shard_key *a, const struct shard_key *b)
{
    return a->trust == b->trust && a->allow_private == b->allow_private && a->literal_host == b->literal_host &&
           a->http2 == b->http2;
}

void shards_drop_idle(struct upstream *u, uint64_t idle_ms)
{
    for (size_t i = 0; i < u->shard_n; i++) {
        struct shard *shard = u->shards[i];
        if (shard == NULL || shard->active != 0 || u->loop->now_ms - shard->idle_since < idle_ms)
            continue;
        shard_free(shard);
        u->shards[i] = NULL;
    }
}

static struct shard **free_place(struct upstream *u)
{
    for (size_t i = 0; i < u->shard_n; i++)
        if (u->shards[i] == NULL)
            return &u->shards[i];
    struct shard **more = realloc(u->shards, (u->shard_n + 1) * sizeof(struct shard *));
    if (more == NULL)
        return NULL;
    u->shards = more;
    more[u->shard_n] = NULL;
    return &more[u->shard_n++];
}

struct shard *shard_take(struct upstream *u, const struct shard_key *key)
{
    struct shard *shard = NULL;

    for (size_t i = 0; i < u->shard_n && shard == NULL; i++)
        if (u->shards[i] != NULL && u->shards[i]->active < SHARD_TRANSFERS && same_key(&u->shards[i]->key, key))
            shard = u->shards[i];
    if (shard == NULL) {
        shards_drop_idle(u, IDLE_KEPT_MS);
        struct shard **place = free_place(u);
        if (place == NULL || (shard = *place = shard_new(u, key)) == NULL)
            return NULL;
    }
    shard->active++;
    return shard;
}

void shard_give_back(struct shard *shard)
{
    if (--shard->active == 0)
        shard->idle_since = shard->u->loop->now_ms;
}

void shard_act(struct shard *shard, int fd, int curl_flags)
{
    int running;

    curl_multi_socket_action(shard->multi, fd, curl_flags, &running);
}

void shards_run(struct upstream *u)
{
    for (size_t i = 0; i < u->shard_n; i++) {
        struct shard *shard = u->shards[i];
        for (int round = 0; shard != NULL && shard->run_now && round < ROUNDS; round++) {
            shard->run_now = false;
            shard_act(shard, CURL_SOCKET_TIMEOUT, 0);
        }
    }
}

void shards_collect(struct upstream *u)
{
    CURLMsg *m;
    int left;

    for (size_t i = 0; i < u->shard_n; i++) {
        if (u->shards[i] == NULL || u->shards[i]->active == 0)
            continue;
        while ((m = curl_multi_info_read(u->shards[i]->multi, &left)) != NULL) {
            struct curl_transfer *c = NULL;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
            if (m->msg == CURLMSG_DONE && c != NULL)
                curl_transfer_done(c, m->data.result);
        }
    }
}

void shards_release(struct upstream *u)
{
    for (size_t i = 0; i < u->shard_n; i++)
        if (u->shards[i] != NULL)
            shard_free(u->shards[i]);
    free(u->shards);
    u->shards = NULL;
    u->shard_n = 0;
}
