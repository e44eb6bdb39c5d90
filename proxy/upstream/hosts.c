/*
 * How many requests are at work per host, and the first-come queue of those over the limit.
 *
 * curl's own limit is per multi and would not see the other shards. Time in the queue counts as waiting for the
 * first byte, so no request waits for ever.
 */
#include <upstream/upstream_impl.h>

#include <base/assert.h>
#include <base/fault.h>

enum { KEY_MAX = 300 };

/* "scheme://host:port" in lower case; very long names share an entry, which only makes the limit stricter. */
static size_t key_of(const struct url *url, char *key)
{
    int n = snprintf(key, KEY_MAX, "%.*s://%.*s:%u", CCP_FMT(url->scheme), (int)(url->host.n < 256 ? url->host.n : 256),
                     url->host.p, (unsigned)url->port);
    size_t len = n < KEY_MAX ? (size_t)n : KEY_MAX - 1;

    for (size_t i = 0; i < len; i++)
        if (key[i] >= 'A' && key[i] <= 'Z')
            key[i] += 'a' - 'A';
    return len;
}

static struct host **bucket_of(struct upstream *u, const char *key, size_t n)
{
    uint32_t h = 2166136261u; /* FNV-1a; the keys come from the configuration */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)key[i]) * 16777619u;
    return &u->hosts[h % HOST_BUCKETS];
}

static struct host *find(struct upstream *u, const struct url *url)
{
    char key[KEY_MAX];
    size_t n = key_of(url, key);
    struct host **bucket = bucket_of(u, key, n), *host = *bucket;

    while (host != NULL && (host->n != n || memcmp(host->key, key, n) != 0))
        host = host->next;
    if (host != NULL)
        return host;
    host = CCP_FAULT("upstream.host") ? NULL : malloc(sizeof(*host) + n);
    if (host == NULL)
        return NULL;
    *host = (struct host){.next = *bucket, .n = n};
    memcpy(host->key, key, n);
    link_init(&host->waiting);
    *bucket = host;
    return host;
}

enum host_turn host_enter(struct upstream *u, struct ccp_transfer *t)
{
    struct host *host = find(u, &t->call.url);

    if (host == NULL)
        return HOST_NO_MEMORY;
    if (u->max_per_host != 0 && host->active >= u->max_per_host) {
        link_append(&host->waiting, &t->queue);
        return HOST_WAIT;
    }
    host->active++;
    t->host = host;
    return HOST_GO;
}

void host_leave(struct upstream *u, struct host *host)
{
    CCP_ASSERT(host->active != 0);
    if (!link_alone(&host->waiting)) { /* the place is handed over, so that no newcomer takes it */
        struct ccp_transfer *first = LINK_OWNER(host->waiting.next, struct ccp_transfer, queue);
        link_remove(&first->queue);
        link_append(&u->starting, &first->queue);
        first->host = host;
        upstream_wake(u);
        return;
    }
    if (--host->active != 0)
        return;
    struct host **at = bucket_of(u, host->key, host->n);
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    free(host);
}
