/*
 * curl's sockets in one private epoll set, whose descriptor the worker's loop watches.
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

    if ((size_t)fd < s->cap)
        return true;
    while (cap <= (size_t)fd)
        cap *= 2;
    struct watched *table = CCP_FAULT("upstream.sockets") ? NULL : realloc(s->table, cap * sizeof(*table));
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

void sockets_close(struct sockets *s, int fd)
{
    if ((size_t)fd < s->cap && s->table[fd].own) {
        set_registered(s, fd, 0);
        s->table[fd] = (struct watched){.generation = s->table[fd].generation + 1};
    }
    close(fd);
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

static void on_event(struct sockets *s, const struct epoll_event *e, void (*act)(struct shard *, int, int))
{
    int fd = (int)(e->data.u64 & UINT32_MAX), flags = 0;
    struct watched *w = &s->table[fd];

    if (w->generation != (uint32_t)(e->data.u64 >> 32) || w->registered == 0)
        return;
    /* An error or hang-up shows up in whatever curl does next: reading or writing, as it wishes. */
    uint32_t happened = (e->events & (EPOLLERR | EPOLLHUP)) != 0 ? EPOLLIN | EPOLLOUT : e->events;
    if ((happened & w->wanted) == 0) {
        set_registered(s, fd, w->wanted);
        return;
    }
    flags |= (happened & w->wanted & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (happened & w->wanted & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0;
    act(w->shard, fd, flags);
}

void sockets_poll(struct sockets *s, void (*act)(struct shard *shard, int fd, int curl_flags))
{
    struct epoll_event events[BATCH];
    int n = epoll_wait(s->epoll, events, BATCH, 0);

    for (int i = 0; i < n; i++)
        on_event(s, &events[i], act);
}
