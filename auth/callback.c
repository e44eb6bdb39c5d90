/*
 * The loopback listener of a browser login (RFC 8252 section 7.3): a small HTTP/1.1 server on poll(2).
 *
 * It takes one answer: the first GET of the callback path whose `state` is the one that was sent. All else gets a page
 * and changes nothing, so whoever guesses or floods cannot end a login, only wait for it. Each connection has one
 * request, 10 s and 8 KiB; at most 32 are open, and a silent one makes room for the next. All memory is taken at the
 * start. The browser is redirected to an address without the code, whose page is shown when the login's end is known.
 */
#include <auth/callback_impl.h>
#include <auth/login.h>

#include <base/assert.h>
#include <base/clock.h>
#include <base/fault.h>
#include <base/log.h>
#include <base/secret.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS      32
#define REQUEST_MS 10000
#define SILENT_MS  500 /* after this a connection without a request may be dropped for another */
#define DRAIN_MS   1000
#define SHOW_MS    900 /* callback_close: closed within a second */
#define FULL_MS    50

enum peer_state { PEER_FREE, PEER_READS, PEER_WRITES, PEER_DRAINS };

struct peer {
    enum peer_state state;
    int fd;
    uint64_t since;
    size_t in_n, out_n, out_at;
    bool outcome; /* shows how the login ended */
    char in[CALLBACK_HEAD_MAX], out[CALLBACK_PAGE_MAX];
};

/* What is waited for. */
struct wanted {
    struct ccp_span path, state;
    struct arena *arena;
    struct pasted *out;
};

struct callback {
    struct callback_sockets sockets;
    const struct wanted *wanted; /* NULL: nothing, any more */
    bool answered;               /* the answer has come */
    bool ended, good, shown;     /* callback_close: how, and the browser has seen it */
    char note[CALLBACK_NOTE_MAX];
    const char *clean; /* path of the page at the end */
    struct peer peers[PEERS];
};

struct callback *callback_open(const uint16_t *ports, char why[256])
{
    struct callback *c = CCP_FAULT("callback.open") ? NULL : calloc(1, sizeof(*c));
    if (c == NULL) {
        snprintf(why, 256, "out of memory");
        return NULL;
    }
    if (!callback_bind(&c->sockets, ports, why)) {
        free(c);
        return NULL;
    }
    c->clean = "/done";
    return c;
}

uint16_t callback_port(const struct callback *c)
{
    return c->sockets.port;
}

static void drop(struct peer *p)
{
    close(p->fd);
    secret_wipe(p->in, p->in_n); /* may hold a code */
    p->state = PEER_FREE;
}

/* ---- one request ------------------------------------------------------------------------------------------------- */

static void note_error(struct callback *c, const struct pasted *answer)
{
    bool both = answer->error_description.n != 0;
    size_t n = log_escape(c->note, sizeof(c->note) / 4, answer->error, false);
    n += both ? (size_t)snprintf(c->note + n, sizeof(c->note) - n, ": ") : 0;
    if (both)
        n += log_escape(c->note + n, sizeof(c->note) - n - 1, answer->error_description, false);
    c->note[n] = '\0';
}

/* Is this query the answer? What others bring is forgotten again. */
static bool take_answer(struct callback *c, struct ccp_span query)
{
    const struct wanted *w = c->wanted;
    struct pasted got = {.code = {NULL, 0}};
    struct arena_mark mark = arena_mark(w->arena);
    if (paste_read_query(w->arena, query, &got) != NULL || !pkce_same(got.state, w->state) ||
        (got.code.n == 0 && got.error.n == 0)) {
        arena_rewind(w->arena, mark);
        return false;
    }
    *w->out = got;
    c->answered = true;
    c->wanted = NULL;
    if (got.error.n != 0)
        note_error(c, &got);
    return true;
}

static size_t answer(struct callback *c, struct peer *p, struct ccp_span path, struct ccp_span query)
{
    if (c->wanted != NULL && ccp_span_eq(path, c->wanted->path))
        return take_answer(c, query) ? callback_redirect(p->out, c->clean) : callback_refusal(p->out, 400, false);
    if (c->ended && ccp_span_is(path, c->clean)) {
        p->outcome = true;
        return callback_outcome(p->out, c->good, c->note);
    }
    /* A second answer comes too late; anything else was never here. */
    return callback_refusal(p->out, c->answered && query.n != 0 ? 400 : 404, false);
}

static void write_more(struct callback *c, struct peer *p)
{
    ssize_t n = CCP_FAULT("callback.send") ? (errno = EPIPE, -1)
                                           : send(p->fd, p->out + p->out_at, p->out_n - p->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        drop(p);
        return;
    }
    p->out_at += n > 0 ? (size_t)n : 0;
    if (p->out_at < p->out_n)
        return;
    c->shown |= p->outcome;
    /* Unread bytes at close would reset the connection and take the answer with them. */
    shutdown(p->fd, SHUT_WR);
    p->state = PEER_DRAINS;
    p->since = clock_ms();
}

static void judge(struct callback *c, struct peer *p)
{
    struct ccp_span path = {"", 0}, query = {"", 0}, text = ccp_span_of(p->in, p->in_n);
    int status = callback_head(text, c->sockets.port, &path, &query);
    if (status == 0)
        return;
    p->out_n = status == 200 ? answer(c, p, path, query)
                             : callback_refusal(p->out, status, ccp_span_starts(text, CCP_SPAN("HEAD ")));
    CCP_ASSERT(p->out_n < sizeof(p->out));
    p->state = PEER_WRITES;
    write_more(c, p);
}

static void read_more(struct callback *c, struct peer *p)
{
    ssize_t n = recv(p->fd, p->in + p->in_n, sizeof(p->in) - p->in_n, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(p);
        return;
    }
    p->in_n += (size_t)n;
    judge(c, p);
}

static void drain(struct peer *p)
{
    char waste[16 * 1024];
    ssize_t n = recv(p->fd, waste, sizeof(waste), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        drop(p);
    secret_wipe(waste, n > 0 ? (size_t)n : 0);
}

static void progress(struct callback *c, struct peer *p)
{
    if (p->state == PEER_READS)
        read_more(c, p);
    else if (p->state == PEER_WRITES)
        write_more(c, p);
    else if (p->state == PEER_DRAINS)
        drain(p);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* A free place, or that of the one who has been silent for longest; NULL = all are busy. */
static struct peer *place(struct callback *c, uint64_t now)
{
    struct peer *oldest = NULL;
    for (struct peer *p = c->peers; p < c->peers + PEERS; p++) {
        if (p->state == PEER_FREE)
            return p;
        if (p->state != PEER_WRITES && now - p->since >= SILENT_MS && (oldest == NULL || p->since < oldest->since))
            oldest = p;
    }
    return oldest;
}

static void take_in(struct callback *c, int listener)
{
    uint64_t now = clock_ms();
    struct peer *p;
    while ((p = place(c, now)) != NULL) {
        int fd = CCP_FAULT("callback.accept") ? (errno = EMFILE, -1)
                                              : accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            /* Without descriptors the listener stays ready: not a reason to spin. */
            if (errno != EAGAIN && errno != ECONNABORTED)
                poll(NULL, 0, FULL_MS);
            return;
        }
        if (p->state != PEER_FREE)
            drop(p);
        p->state = PEER_READS;
        p->fd = fd;
        p->since = now;
        p->in_n = p->out_n = p->out_at = 0;
        p->outcome = false;
    }
}

static void drop_late(struct callback *c, uint64_t now)
{
    for (struct peer *p = c->peers; p < c->peers + PEERS; p++)
        if (p->state != PEER_FREE && now - p->since >= (p->state == PEER_DRAINS ? DRAIN_MS : REQUEST_MS))
            drop(p);
}

static size_t list_peers(struct callback *c, struct pollfd *list, struct peer **who)
{
    size_t n = 0;
    for (struct peer *p = c->peers; p < c->peers + PEERS; p++) {
        if (p->state == PEER_FREE)
            continue;
        who[n] = p;
        list[n++] = (struct pollfd){.fd = p->fd, .events = p->state == PEER_WRITES ? POLLOUT : POLLIN};
    }
    return n;
}

/* One round of up to ms. False = a signal came. */
static bool turn(struct callback *c, uint64_t ms)
{
    struct pollfd list[PEERS + 2];
    struct peer *who[PEERS];
    drop_late(c, clock_ms());
    size_t n = list_peers(c, list, who), all = n;
    bool room = place(c, clock_ms()) != NULL;
    for (size_t i = 0; room && i < c->sockets.n; i++)
        list[all++] = (struct pollfd){.fd = c->sockets.fds[i], .events = POLLIN};
    int ready = poll(list, all, (int)(!room && ms > FULL_MS ? FULL_MS : ms));
    if (ready < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (list[i].revents != 0)
            progress(c, who[i]);
    for (size_t i = n; i < all; i++)
        if (list[i].revents != 0)
            take_in(c, list[i].fd);
    return true;
}

bool callback_wait(struct callback *c, struct ccp_span path, struct ccp_span state, uint64_t ms, struct arena *a,
                   struct pasted *out)
{
    struct wanted wanted = {path, state, a, out};
    uint64_t now = clock_ms(), end = now + ms;
    CCP_ASSERT(!c->answered && state.n != 0);
    c->wanted = &wanted;
    c->clean = ccp_span_is(path, "/done") ? "/finished" : "/done";
    while (!c->answered && now < end && turn(c, end - now))
        now = clock_ms();
    c->wanted = NULL;
    return c->answered;
}

static bool busy(const struct callback *c)
{
    for (const struct peer *p = c->peers; p < c->peers + PEERS; p++)
        if (p->state == PEER_WRITES || (p->state == PEER_DRAINS && p->outcome))
            return true;
    return false;
}

static void show(struct callback *c)
{
    uint64_t now = clock_ms(), end = now + SHOW_MS;
    while (now < end && (!c->shown || busy(c)) && turn(c, end - now))
        now = clock_ms();
}

void callback_close(struct callback *c, bool good)
{
    if (c == NULL)
        return;
    c->ended = true;
    c->good = good;
    if (c->answered)
        show(c);
    for (struct peer *p = c->peers; p < c->peers + PEERS; p++)
        if (p->state != PEER_FREE)
            drop(p);
    for (size_t i = 0; i < c->sockets.n; i++)
        close(c->sockets.fds[i]);
    free(c);
}
