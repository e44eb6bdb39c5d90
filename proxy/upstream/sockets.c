/*
 * All upstream sockets in one private epoll set, whose descriptor the worker's loop watches.
 *
 * Sockets of the direct engine (and the resolver's descriptor) stay in it from birth to close, edge-triggered for
 * both directions: no call per request. The rest of this is about curl's.
 *
 * curl says REMOVE after every transfer and ADD again for the next one on the same connection. A socket that we
 * opened therefore stays registered and is only unregistered when an event comes that nobody wants; we learn of
 * its end from CLOSESOCKETFUNCTION. Descriptors that curl opens by itself (its resolver's pair) can vanish
 * unseen and leave the set at once.
 */
#include <upstream/upstream_impl.h>

#include <base/fault.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BATCH = 256 };

bool sockets_init(struct sockets *s)
{
    *s = (struct sockets){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    return s->epoll >= 0;
}

void sockets_release(struct sockets *s)
{
    if (s->epoll >= 0)
        close(s->epoll);
    free(s->table);
}

static bool room_for(struct sockets *s, int fd)
{
    size_t cap = s->cap != 0 ? s->cap : 64;

    if (CCP_FAULT("upstream.sockets"))
        return false;
    if ((size_t)fd < s->cap)
        return true;
    while (cap <= (size_t)fd)
        cap *= 2;
    struct watched *table = realloc(s->table, cap * sizeof(*table));
    if (table == NULL)
        return false;
    memset(table + s->cap, 0, (cap - s->cap) * sizeof(*table));
    s->table = table;
    s->cap = cap;
    return true;
}

/* Makes the kernel's view `mask`; 0 = not in the set. */
static bool set_registered(struct sockets *s, int fd, uint32_t mask)
{
    struct watched *w = &s->table[fd];
    struct epoll_event e = {.events = mask, .data.u64 = (uint64_t)w->generation << 32 | (uint32_t)fd};

    if (w->registered == mask)
        return true;
    int op = mask == 0 ? EPOLL_CTL_DEL : w->registered == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int rc = epoll_ctl(s->epoll, op, fd, &e);
    if (rc != 0 && op == EPOLL_CTL_MOD && errno == ENOENT)
        rc = epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e);
    w->registered = rc == 0 ? mask : 0;
    return rc == 0 || mask == 0;
}

bool sockets_opened(struct sockets *s, int fd)
{
    if (!room_for(s, fd))
        return false;
    s->table[fd] = (struct watched){.generation = s->table[fd].generation + 1, .own = true};
    return true;
}

void sockets_forget(struct sockets *s, int fd)
{
    if ((size_t)fd >= s->cap || !s->table[fd].own)
        return;
    set_registered(s, fd, 0);
    s->table[fd] = (struct watched){.generation = s->table[fd].generation + 1};
}

void sockets_close(struct sockets *s, int fd)
{
    sockets_forget(s, fd);
    close(fd);
}

bool sockets_watch(struct sockets *s, int fd, struct watcher *w)
{
    if (!sockets_opened(s, fd))
        return false;
    s->table[fd].watcher = w;
    if (set_registered(s, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
        return true;
    s->table[fd] = (struct watched){.generation = s->table[fd].generation + 1};
    return false;
}

void sockets_rewatch(struct sockets *s, int fd, struct watcher *w)
{
    s->table[fd].watcher = w;
}

static uint32_t mask_of(int what)
{
    switch (what) {
    case CURL_POLL_IN:
        return EPOLLIN;
    case CURL_POLL_OUT:
        return EPOLLOUT;
    case CURL_POLL_INOUT:
        return EPOLLIN | EPOLLOUT;
    default:
        return 0;
    }
}

bool sockets_want(struct sockets *s, struct shard *shard, int fd, int what)
{
    if (!room_for(s, fd))
        return false;
    struct watched *w = &s->table[fd];
    w->shard = shard;
    w->wanted = mask_of(what);
    if (w->wanted == 0 && w->own)
        return true;
    return set_registered(s, fd, w->wanted);
}

static void on_curl_event(struct sockets *s, int fd, uint32_t events, void (*act)(struct shard *, int, int))
{
    struct watched *w = &s->table[fd];
    int flags = 0;

    /* An error or hang-up shows up in whatever curl does next: reading or writing, as it wishes. */
    uint32_t happened = (events & (EPOLLERR | EPOLLHUP)) != 0 ? EPOLLIN | EPOLLOUT : events;
    if ((happened & w->wanted) == 0) {
        set_registered(s, fd, w->wanted);
        return;
    }
    flags |= (happened & w->wanted & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (happened & w->wanted & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0;
    act(w->shard, fd, flags);
}

bool sockets_poll(struct sockets *s, void (*act)(struct shard *shard, int fd, int curl_flags))
{
    struct epoll_event events[BATCH];
    int n = epoll_wait(s->epoll, events, BATCH, 0);
    bool acted = false;

    for (int i = 0; i < n; i++) {
        int fd = (int)(events[i].data.u64 & UINT32_MAX);
        const struct watched *w = &s->table[fd];
        if (w->generation != (uint32_t)(events[i].data.u64 >> 32) || w->registered == 0)
            continue;
        if (w->watcher != NULL) {
            w->watcher->ready(w->watcher, events[i].events);
        } else {
            on_curl_event(s, fd, events[i].events, act);
            acted = true;
        }
    }
    return acted;
}
