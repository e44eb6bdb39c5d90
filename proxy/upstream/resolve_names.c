/*
 * A worker's side of the resolver: names it has asked for, with answers that are its own references, so that a
 * request whose name is known takes no lock and waits for nothing.
 *
 * An answer that is past its time goes on being used while a fresh one is fetched, and when fetching fails without
 * saying that the host is gone, for at most STALE_MS (RFC 8767): what serves a request today must not stop because a
 * name server does. Literal addresses and localhost are entries that never expire. No I/O but the eventfd.
 */
#include <upstream/resolve_impl.h>

#include <arpa/inet.h>
#include <base/assert.h>
#include <base/fault.h>
#include <base/url.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { NAMES_MAX = 256, STALE_MS = 10 * 60 * 1000 };

struct name {
    struct name *next;
    struct ask ask;
    bool asked; /* the resolver has `ask` */
    struct name_wait *waiting;
    struct addresses *found;
    const char *why;
    uint64_t expires_ms, stale_ms; /* when to ask again; when to stop using `found` meanwhile */
    size_t n;
    char text[]; /* lower case */
};

struct host_names {
    struct resolver *r;
    struct loop *loop;
    struct mailbox box;
    struct name *buckets[RESOLVE_BUCKETS];
    size_t known;
};

#define NAME_OF(a) ((struct name *)((char *)(a)-offsetof(struct name, ask)))

/* ---- those who wait ----------------------------------------------------------------------------------- */

static void wait_link(struct name_wait **head, struct name_wait *wait)
{
    wait->next = *head;
    if (wait->next != NULL)
        wait->next->prev = &wait->next;
    wait->prev = head;
    *head = wait;
}

static void wait_unlink(struct name_wait *wait)
{
    *wait->prev = wait->next;
    if (wait->next != NULL)
        wait->next->prev = wait->prev;
    wait->prev = NULL;
}

void host_names_cancel(struct name_wait *wait)
{
    if (wait->prev == NULL)
        return;
    struct name *name = wait->name;
    wait_unlink(wait);
    if (name == NULL || !name->asked || name->waiting != NULL || name->found != NULL)
        return;
    resolver_withdraw(wait->names->r, &name->ask);
    name->asked = false;
}

/* ---- what is known ------------------------------------------------------------------------------------- */

static void forget(struct host_names *names, struct name *name)
{
    CCP_ASSERT(name->waiting == NULL);
    if (name->asked)
        resolver_withdraw(names->r, &name->ask);
    addresses_unref(name->found);
    free(name);
    names->known--;
}

/* A table that is full is emptied, but for what is being asked. */
static void make_room(struct host_names *names)
{
    for (size_t i = 0; i < RESOLVE_BUCKETS; i++)
        for (struct name **at = &names->buckets[i], *name; (name = *at) != NULL;) {
            if (name->asked || name->waiting != NULL) {
                at = &name->next;
                continue;
            }
            *at = name->next;
            forget(names, name);
        }
}

static struct addresses *pair(const void *first, socklen_t first_len, const void *second, socklen_t second_len)
{
    size_t n = second != NULL ? 2 : 1;
    struct addresses *out = CCP_FAULT("resolve.literal") ? NULL : calloc(1, sizeof(*out) + n * sizeof(struct address));

    if (out == NULL)
        return NULL;
    out->refs = 1;
    out->n = n;
    memcpy(&out->v[0].addr, first, out->v[0].len = first_len);
    if (second != NULL)
        memcpy(&out->v[1].addr, second, out->v[1].len = second_len);
    return out;
}

/* Names that need no lookup; false = it is none of them. *found NULL = no memory. */
static bool known_by_itself(const char *text, struct addresses **found)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (url_is_localhost(ccp_span_z(text))) { /* RFC 6761 section 6.3 */
        v6.sin6_addr = in6addr_loopback;
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        *found = pair(&v6, sizeof(v6), &v4, sizeof(v4));
        return true;
    }
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        *found = pair(&v4, sizeof(v4), NULL, 0);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        *found = pair(&v6, sizeof(v6), NULL, 0);
    else
        return false;
    return true;
}

static struct name *add(struct host_names *names, const char *text, size_t n)
{
    if (names->known >= NAMES_MAX)
        make_room(names);
    struct name *name = CCP_FAULT("resolve.name") ? NULL : calloc(1, sizeof(*name) + n + 1);
    if (name == NULL)
        return NULL;
    memcpy(name->text, text, n);
    name->n = n;
    name->ask.to = &names->box;
    if (known_by_itself(text, &name->found)) {
        if (name->found == NULL) {
            free(name);
            return NULL;
        }
        name->expires_ms = name->stale_ms = UINT64_MAX;
    }
    struct name **bucket = &names->buckets[resolve_hash(ccp_span_of(text, n))];
    name->next = *bucket;
    *bucket = name;
    names->known++;
    return name;
}

static struct name *find_or_add(struct host_names *names, const char *text, size_t n)
{
    struct name *name = names->buckets[resolve_hash(ccp_span_of(text, n))];

    while (name != NULL && (name->n != n || memcmp(name->text, text, n) != 0))
        name = name->next;
    return name != NULL ? name : add(names, text, n);
}

/* The resolver's answer becomes ours. */
static void take(struct host_names *names, struct name *name)
{
    struct ask *ask = &name->ask;
    uint64_t now = names->loop->now_ms;

    name->asked = false;
    if (ask->found != NULL || ask->why == resolve_no_host || name->found == NULL || now >= name->stale_ms) {
        addresses_unref(name->found);
        name->found = ask->found;
        name->why = ask->why;
        name->stale_ms = ask->expires_ms + STALE_MS;
    }
    name->expires_ms = ask->expires_ms;
    ask->found = NULL;
}

static void refresh(struct host_names *names, struct name *name)
{
    name->asked = true;
    if (resolver_ask(names->r, ccp_span_of(name->text, name->n), &name->ask) != NAME_WAIT)
        take(names, name);
}

/* ---- the port ------------------------------------------------------------------------------------------ */

struct host_names *host_names_new(struct resolver *r, struct loop *loop)
{
    struct host_names *names = CCP_FAULT("resolve.names") ? NULL : calloc(1, sizeof(*names));

    if (names == NULL)
        return NULL;
    names->r = r;
    names->loop = loop;
    names->box.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (names->box.fd >= 0)
        return names;
    free(names);
    return NULL;
}

void host_names_free(struct host_names *names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; i < RESOLVE_BUCKETS; i++)
        for (struct name *name; (name = names->buckets[i]) != NULL;) {
            names->buckets[i] = name->next;
            forget(names, name);
        }
    close(names->box.fd);
    free(names);
}

int host_names_fd(const struct host_names *names)
{
    return names->box.fd;
}

/* In the order in which they came. */
static void tell(struct name_wait *waiting, struct addresses *found, const char *why)
{
    struct name_wait *now = NULL;

    for (struct name_wait *wait; (wait = waiting) != NULL;) {
        waiting = wait->next;
        wait->name = NULL; /* a done may make the table drop it */
        wait_link(&now, wait);
    }
    for (struct name_wait *wait; (wait = now) != NULL;) {
        wait_unlink(wait);
        if (found != NULL)
            addresses_ref(found);
        wait->done(wait, found, why);
    }
}

static void settle(struct host_names *names, struct name *name)
{
    struct name_wait *waiting = name->waiting;

    take(names, name);
    struct addresses *found = name->found;
    const char *why = name->why;
    if (found != NULL)
        addresses_ref(found);
    name->waiting = NULL;
    tell(waiting, found, why);
    addresses_unref(found);
}

void host_names_ready(struct host_names *names)
{
    struct ask *first;

    resolver_collect(names->r, &names->box, &first);
    while (first != NULL) {
        struct ask *ask = first;
        first = ask->next;
        if (first != NULL)
            first->prev = &first;
        ask->prev = NULL;
        settle(names, NAME_OF(ask));
    }
}

static size_t lower(struct ccp_span host, char *out)
{
    if (host.n == 0 || host.n > RESOLVE_NAME_BYTES || memchr(host.p, 0, host.n) != NULL)
        return 0;
    for (size_t i = 0; i < host.n; i++)
        out[i] = host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] | 0x20) : host.p[i];
    out[host.n] = 0;
    return host.n;
}

enum name_answer host_names_find(struct host_names *names, struct ccp_span host, struct name_wait *wait,
                                 struct addresses **found, const char **why)
{
    char text[RESOLVE_NAME_BYTES + 1];
    size_t n = lower(host, text);
    struct name *name = n != 0 ? find_or_add(names, text, n) : NULL;

    *found = NULL;
    *why = n != 0 ? resolve_no_memory : resolve_no_host;
    wait->prev = NULL;
    if (name == NULL)
        return NAME_FAILED;
    uint64_t now = names->loop->now_ms;
    if (!name->asked && now >= name->expires_ms)
        refresh(names, name);
    if (name->asked && (name->found == NULL || now >= name->stale_ms)) {
        wait->names = names;
        wait->name = name;
        wait_link(&name->waiting, wait);
        return NAME_WAIT;
    }
    *why = name->why;
    if (name->found == NULL)
        return NAME_FAILED;
    addresses_ref(name->found);
    *found = name->found;
    return NAME_FOUND;
}
