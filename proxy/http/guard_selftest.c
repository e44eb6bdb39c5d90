/*
 * The start-up check of the guard: that our functions are the ones h2o's calls resolve to, and that four attacks
 * which plain h2o 2.2.5 lets through are refused by a real worker over a socket pair. Should the library ever be
 * built in another way, the server refuses to start instead of running unguarded.
 */
#include <http/http_impl.h>

#include <dlfcn.h>
#include <errno.h>

#define TURNS   500
#define TURN_MS 1 /* h2o finishes a write in the turn after it: longer ones would only wait */

static bool fail(char why[HTTP_ERRBUF], const char *what)
{
    snprintf(why, HTTP_ERRBUF, "guard self-test: %s", what);
    return false;
}

static bool names_are_ours(char why[HTTP_ERRBUF])
{
    for (const struct guard_symbol *s = guard_symbols; s->name != NULL; s++) {
        void *next = dlsym(RTLD_NEXT, s->name);
        if (next == NULL || next == s->ours || dlsym(RTLD_DEFAULT, s->name) != s->ours) {
            snprintf(why, HTTP_ERRBUF, "guard self-test: %s is not replaced", s->name);
            return false;
        }
    }
    return true;
}

/* A backend that must never be reached; counts. */
static struct exchange *count_begin(struct chain_worker *chain, const struct chain_request *request,
                                    const struct chain_responder *responder, void *self)
{
    ++*(unsigned *)chain;
    return NULL;
}

static void never(struct exchange *x)
{
}

struct probe {
    struct http_worker *w;
    int fd;
    char got[32768]; /* the answers to those requests of a burst that came through */
    size_t n;
    bool closed;
};

static bool probe_open(struct probe *p)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    p->fd = pair[0];
    return http_worker_adopt(p->w, pair[1]);
}

static void listen_in(struct probe *p)
{
    ssize_t n = read(p->fd, p->got + p->n, sizeof(p->got) - p->n);
    if (n > 0)
        p->n += (size_t)n;
    p->closed = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* Writes the attack and runs the worker until it closes the connection. */
static bool attack(struct probe *p, const char *bytes, size_t n)
{
    if (!probe_open(p) || write(p->fd, bytes, n) != (ssize_t)n)
        return false;
    for (int i = 0; i < TURNS && !p->closed; i++) {
        http_worker_turn(p->w, TURN_MS);
        listen_in(p);
    }
    close(p->fd);
    return p->closed;
}

static bool smuggling_refused(struct http_worker *w)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct probe p = {.w = w};
    return attack(&p, head, sizeof(head) - 1) && p.n > 12 && memcmp(p.got, "HTTP/1.1 400", 12) == 0;
}

static bool bad_chunk_refused(struct http_worker *w)
{
    static const char bytes[] =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n";
    struct probe p = {.w = w};
    return attack(&p, bytes, sizeof(bytes) - 1) && p.n > 12 && memcmp(p.got, "HTTP/1.1 400", 12) == 0;
}

#define OPENING "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
enum { OPENING_N = sizeof(OPENING) - 1, FRAME_N = 9, PSEUDO_N = 4 };

/* GET, http, / and one field more, all from the static table. */
static void put_headers(char *at, uint32_t stream, unsigned fields)
{
    unsigned n = PSEUDO_N + fields;
    const char frame[FRAME_N + 3] = {0, (char)(n >> 8),      (char)n,      1,      5,      0,
                                     0, (char)(stream >> 8), (char)stream, '\x82', '\x84', '\x86'};
    memcpy(at, frame, sizeof(frame));
    memset(at + sizeof(frame), '\x90', fields + 1); /* accept-encoding: gzip, deflate */
}

/* A header block that refers to one indexed field 400 times. */
static bool bomb_refused(struct http_worker *w)
{
    enum { FIELDS = 400 };
    char bytes[OPENING_N + FRAME_N + PSEUDO_N + FIELDS];
    struct probe p = {.w = w};
    memcpy(bytes, OPENING, OPENING_N);
    put_headers(bytes + OPENING_N, 1, FIELDS);
    bool ended = attack(&p, bytes, sizeof(bytes));
    return ended && memmem(p.got, p.n, "too many or too large", 21) != NULL;
}

/* Requests that are reset in the same write (CVE-2023-44487); `begun` counts those that came through. */
static bool resets_refused(struct http_worker *w, const unsigned *begun)
{
    enum { N = 400, PAIR = FRAME_N + PSEUDO_N + FRAME_N + 4, BEGUN_MAX = 250 };
    char bytes[OPENING_N + N * PAIR];
    struct probe p = {.w = w};
    memcpy(bytes, OPENING, OPENING_N);
    for (unsigned i = 0; i < N; i++) {
        char *at = bytes + OPENING_N + i * PAIR;
        uint32_t stream = 2 * i + 1;
        const char reset[FRAME_N + 4] = {0, 0, 4, 3, 0, 0, 0, (char)(stream >> 8), (char)stream, 0, 0, 0, 8};
        put_headers(at, stream, 0);
        memcpy(at + FRAME_N + PSEUDO_N, reset, sizeof(reset));
    }
    bool ended = attack(&p, bytes, sizeof(bytes));
    return ended && *begun <= BEGUN_MAX && memmem(p.got, p.n, "too many resets", 15) != NULL;
}

bool http_guard_check(char why[HTTP_ERRBUF])
{
    struct http_options options;
    unsigned begun = 0;
    static const struct http_backend backend = {.begin = count_begin, .client_gone = never, .writable = never};
    guard_init();
    if (!names_are_ours(why))
        return false;
    if (!guard_memory_check())
        return fail(why, "h2o frees its buffers by itself");
    http_options_init(&options);
    struct http_worker *w = http_worker_new(&options, NULL);
    if (w == NULL)
        return fail(why, "no memory");
    http_worker_set_backend(w, &backend, (struct chain_worker *)&begun);
    bool ok = smuggling_refused(w) || fail(why, "a smuggled request was not refused");
    ok = ok && (bomb_refused(w) || fail(why, "an HTTP/2 header bomb was not refused"));
    ok = ok && (bad_chunk_refused(w) || fail(why, "a malformed chunk was not refused"));
    ok = ok && (begun == 0 || fail(why, "a refused request was served"));
    ok = ok && (resets_refused(w, &begun) || fail(why, "a burst of HTTP/2 resets was not refused"));
    http_worker_free(w);
    if (ok)
        guard_version_check();
    return ok;
}
