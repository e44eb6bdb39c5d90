/*
 * How many requests are at work per host, and the first-come queue of those over the limit.
 *
 * The limit holds for both engines together; curl's own is per multi and would not see the other shards. Time in
 * the queue counts as waiting for the first byte, so no request waits for ever. An entry also carries the direct
 * engine's connections to that host (pool.c) and lives as long as there is either.
 */
#include <upstream/upstream_impl.h>

#include <base/assert.h>
#include <base/fault.h>

enum { NAME_MAX_BYTES = 255 }; /* longer ones share an entry, which only makes the limit stricter */

static size_t lower(struct ccp_span name, char *out)
{
    size_t n = name.n < NAME_MAX_BYTES ? name.n : NAME_MAX_BYTES;

    for (size_t i = 0; i < n; i++)
        out[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] + ('a' - 'A')) : name.p[i];
    return n;
}

static struct host **bucket_of(struct upstream *u, const char *name, size_t n, unsigned port)
{
    uint32_t h = 2166136261u ^ port; /* FNV-1a; the names come from the configuration */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    return &u->hosts[h % HOST_BUCKETS];
}

/* `name` is set to the lower-case form, *bucket to where an entry belongs. */
static struct host *find(struct upstream *u, const struct url *url, char *name, struct host ***bucket)
{
    size_t n = lower(url->host, name);
    bool tls = url->scheme.n == 5; /* url_parse knows http and https */
    struct host *host;

    *bucket = bucket_of(u, name, n, url->port);
    for (host = **bucket; host != NULL; host = host->next)
        if (host->n == n && host->port == url->port && host->tls == tls && memcmp(host->name, name, n) == 0)
            break;
    return host;
}

struct host *host_known(struct upstream *u, const struct url *url)
{
    char name[NAME_MAX_BYTES];
    struct host **bucket;

    return find(u, url, name, &bucket);
}

static struct host *find_or_add(struct upstream *u, const struct url *url)
{
    char name[NAME_MAX_BYTES];
    struct host **bucket, *host = find(u, url, name, &bucket);
    size_t n = url->host.n < NAME_MAX_BYTES ? url->host.n : NAME_MAX_BYTES;

    if (host != NULL)
        return host;
    host = CCP_FAULT("upstream.host") ? NULL : malloc(sizeof(*host) + n);
    if (host == NULL)
        return NULL;
    *host = (struct host){.next = *bucket, .port = url->port, .tls = url->scheme.n == 5, .n = n};
    memcpy(host->name, name, n);
    link_init(&host->waiting);
    *bucket = host;
    return host;
}

enum host_turn host_enter(struct upstream *u, struct ccp_transfer *t)
{
    struct host *host = find_or_add(u, &t->url);

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

void host_unused(struct upstream *u, struct host *host)
{
    if (host->active != 0 || host->pools != NULL)
        return;
    struct host **at = bucket_of(u, host->name, host->n, host->port);
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    free(host);
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
    host->active--;
    host_unused(u, host);
}
