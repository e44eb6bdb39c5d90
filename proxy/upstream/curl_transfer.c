/*
 * The engine over libcurl: a transfer's way into a multi and out of it.
 *
 * Serves proxies, HTTP/2 and whatever the direct engine does not. curl_transfer's only way out of curl is
 * `detach`; none of this runs inside a curl callback (those are in deliver.c).
 */
#include <upstream/upstream_impl.h>

#include <base/fault.h>

static void init(struct ccp_transfer *t)
{
    struct curl_transfer *c = curl_of(t);

    c->call.request = t->request;
    c->call.sockets = t->u;
    c->call.user_agent = t->u->user_agent;
    c->call.trust = t->trust;
    head_init(&c->head);
    buf_init(&c->body, BUFFER_HIGH);
}

static void give_back(struct curl_transfer *c)
{
    curl_multi_remove_handle(c->shard->multi, c->easy);
    easy_recycle(c->t.u, c->easy);
    shard_give_back(c->shard);
    c->easy = NULL;
    c->shard = NULL;
}

/* Fails curl's callbacks first and unpauses into them: curl 7.88 leaks the paused data otherwise. */
static void detach(struct ccp_transfer *t)
{
    struct curl_transfer *c = curl_of(t);

    loop_timer_stop(t->u->loop, &c->connect);
    host_names_cancel(&c->name);
    if (c->easy != NULL) {
        c->cancelled = true;
        if (c->curl_paused)
            curl_easy_pause(c->easy, CURLPAUSE_CONT);
        c->curl_paused = false;
        give_back(c);
    }
    if (c->call.sends > 1)
        t->u->counters.retried += c->call.sends - 1;
    c->call.sends = 0;
    call_release(&c->call);
    c->call.trust = NULL;
}

static void drop(struct ccp_transfer *t)
{
    head_release(&curl_of(t)->head);
    buf_release(&curl_of(t)->body);
    curl_of(t)->body_at = 0;
}

/* A kept-alive connection may die just as the request is written. When it was a reused one and not a byte came
 * back, the request is sent once more, on a fresh connection; curl itself does so only for some of the cases. */
static bool try_again(struct curl_transfer *c, CURLcode code)
{
    long connects = 1, received = 1;

    if (c->t.again || (code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR && code != CURLE_GOT_NOTHING))
        return false;
    curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(c->easy, CURLINFO_HEADER_SIZE, &received);
    if (connects != 0 || received != 0)
        return false;
    c->t.again = true;
    c->call.body_piece = c->call.body_at = 0;
    give_back(c);
    link_append(&c->t.u->starting, &c->t.queue);
    upstream_wake(c->t.u);
    return true;
}

void curl_transfer_done(struct curl_transfer *c, CURLcode code)
{
    char why[320];

    if (c->refused != NULL) { /* our own callback would not take what came */
        transfer_fail(&c->t, CCP_UPSTREAM, "%s", c->refused);
    } else if (try_again(c, code)) {
        return;
    } else if (code != CURLE_OK) {
        enum ccp_status status = curl_failure_text(&c->call, c->easy, code, c->t.head_complete, why, sizeof(why));
        transfer_fail(&c->t, status, "%s", why);
    } else if (!c->t.head_complete) {
        transfer_fail(&c->t, CCP_UPSTREAM, "the upstream sent no final answer");
    } else {
        transfer_finish(&c->t, CCP_OK);
    }
}

/* ---- to curl ----------------------------------------------------------------------------------------- */

static bool begin(struct ccp_transfer *t)
{
    struct curl_transfer *c = curl_of(t);
    const struct ccp_upstream_request *r = t->request;
    struct shard_key key = {
        .trust = t->trust, .allow_private = r->allow_private, .literal_host = c->call.literal_host, .http2 = r->http2};

    c->easy = easy_take(t->u);
    if (c->easy == NULL)
        return false;
    curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
    curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, t->again ? 1L : 0L);
    curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, curl_on_header);
    curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, curl_on_body);
    curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
    if (call_apply(&c->call, c->easy) && (c->shard = shard_take(t->u, &key)) != NULL) {
        if (curl_multi_add_handle(c->shard->multi, c->easy) == CURLM_OK)
            return true;
        shard_give_back(c->shard);
        c->shard = NULL;
    }
    curl_easy_cleanup(c->easy);
    c->easy = NULL;
    return false;
}

void curl_lookup_late(struct curl_transfer *c)
{
    struct ccp_span host = c->t.url.host;

    transfer_fail(&c->t, CCP_UPSTREAM_TIMEOUT, "%.*s: name not resolved within the connect timeout of %llu ms",
                  (int)(host.n < 128 ? host.n : 128), host.p, (unsigned long long)c->t.request->limits.connect_ms);
}

/* False = not yet, or it has failed. */
static bool host_names_known(struct curl_transfer *c)
{
    struct ccp_span host = c->t.url.host;
    bool waits;
    const char *why = transfer_lookup(c, &waits);

    if (why != NULL)
        transfer_fail(&c->t, CCP_UPSTREAM, "%.*s: %s: %s", (int)(host.n < 128 ? host.n : 128), host.p,
                      c->call.proxied ? "the proxy's name was not resolved" : "name not resolved", why);
    return why == NULL && !waits;
}

static bool prepare(struct ccp_transfer *t)
{
    struct curl_transfer *c = curl_of(t);
    const char *why = c->call.block == NULL ? call_init(&c->call, t->request) : NULL;

    t->url = c->call.url;
    if (why != NULL)
        transfer_fail(t, CCP_INTERNAL, "the request cannot be sent: %s", why);
    return why == NULL && host_names_known(c);
}

static bool held(const struct ccp_transfer *t)
{
    return ((const struct curl_transfer *)t)->curl_paused;
}

const struct engine curl_engine = {
    .size = sizeof(struct curl_transfer),
    .init = init,
    .prepare = prepare,
    .begin = begin,
    .deliver = curl_deliver,
    .drained = curl_drained,
    .held = held,
    .go_on = curl_go_on,
    .detach = detach,
    .drop = drop,
};
