/*
 * The interposed functions themselves; see guard_impl.h. Each calls the real one through RTLD_NEXT (but for the
 * chunk decoder, which is replaced whole in guard_chunk.c). Rules about heads live in guard_head.c, budgets of
 * HTTP/2 frames in guard_frame.c, header blocks in guard_hpack.c, ends of streams in guard_stream.c; this file ties
 * them in.
 *
 * What must stay true: the real function's contract towards h2o. A refusal is always one of the results h2o
 * itself could have produced.
 */
#include <http/guard_impl.h>

#include <base/assert.h>

#include <dlfcn.h>
#include <h2o.h>
#include <pthread.h>

/* The real functions; looked up once by guard_init, read-only afterwards. */
static struct {
    int (*parse_request)(const char *, size_t, const char **, size_t *, const char **, size_t *, int *,
                         struct phr_header *, size_t *, size_t);
    void (*read_start)(h2o_socket_t *, h2o_socket_cb);
    void (*write)(h2o_socket_t *, h2o_iovec_t *, size_t, h2o_socket_cb);
} real;

/* h2o gives its parsers no connection: the thread remembers which one is being served. */
static __thread struct guard *current;

struct guard *guard_current(void)
{
    return current;
}

void guard_set_current(struct guard *g)
{
    current = g;
}

/* Naming every function here also makes the linker take its file out of the static library. */
const struct guard_symbol guard_symbols[] = {
    {"phr_parse_request", (void *)phr_parse_request},
    {"phr_decode_chunked", (void *)phr_decode_chunked},
    {"h2o_hpack_parse_headers", (void *)h2o_hpack_parse_headers},
    {"h2o_http2_decode_frame", (void *)h2o_http2_decode_frame},
    {"h2o_http2_stream_reset", (void *)h2o_http2_stream_reset},
    {"h2o_http2__encode_rst_stream_frame", (void *)h2o_http2__encode_rst_stream_frame},
    {"h2o_socket_read_start", (void *)h2o_socket_read_start},
    {"h2o_socket_write", (void *)h2o_socket_write},
    {"h2o_socket_ssl_handshake", (void *)h2o_socket_ssl_handshake},
    {"h2o_buffer_reserve", (void *)h2o_buffer_reserve},
    {"h2o_buffer__do_free", (void *)h2o_buffer__do_free},
    {NULL, NULL},
};

static void *next_symbol(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    CCP_ASSERT(p != NULL);
    return p;
}

void *guard_next_symbol(_Atomic(void *) *slot, const char *name)
{
    if (*slot == NULL)
        *slot = next_symbol(name);
    return *slot;
}

static void init_once(void)
{
    real.parse_request = next_symbol("phr_parse_request");
    real.read_start = next_symbol("h2o_socket_read_start");
    real.write = next_symbol("h2o_socket_write");
    /* Without this h2o drops a Host field of HTTP/2 and nobody could see that it contradicts :authority. */
    H2O_TOKEN_HOST->http2_should_reject = 0;
}

void guard_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* the tables above belong to the process, like h2o's own */
    pthread_once(&once, init_once);
}

static void guarded_read(h2o_socket_t *sock, const char *err)
{
    struct guard *g = guard_of(sock);
    CCP_ASSERT(g != NULL && g->read != NULL);
    g->bytes_in += sock->bytes_read;
    guard_enter(g);
    g->read(sock, err);
    guard_leave(g);
}

static void guarded_write(h2o_socket_t *sock, const char *err)
{
    struct guard *g = guard_of(sock);
    CCP_ASSERT(g != NULL && g->write != NULL);
    g->write_began = 0;
    guard_enter(g);
    g->write(sock, err);
    guard_leave(g);
}

GUARD_EXPORT void h2o_socket_read_start(h2o_socket_t *sock, h2o_socket_cb cb)
{
    struct guard *g = guard_of(sock);
    if (g != NULL) {
        g->read = cb;
        cb = guarded_read;
    }
    real.read_start(sock, cb);
}

GUARD_EXPORT void h2o_socket_write(h2o_socket_t *sock, h2o_iovec_t *bufs, size_t n, h2o_socket_cb cb)
{
    struct guard *g = guard_of(sock);
    if (g != NULL) {
        g->write = cb;
        g->write_began = guard_now(g);
        cb = guarded_write;
    }
    real.write(sock, bufs, n, cb);
}

/* "PRI * HTTP/2" makes the real parser fail, and h2o then looks at the bytes itself. Where HTTP/2 is not to be
 * had, the first byte is spoilt, so that h2o answers 400 like to any other bad head. */
static int refuse_preface(struct guard *g, const char *buf, size_t len)
{
    static const char sig[] = "PRI * HTTP/2";
    if (len >= sizeof(sig) - 1 && memcmp(buf, sig, sizeof(sig) - 1) == 0) {
        if (g != NULL && g->allow_preface)
            g->h2 = true;
        else
            *(char *)buf = '\0';
    }
    return -1;
}

GUARD_EXPORT int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                                   const char **path, size_t *path_len, int *minor_version, struct phr_header *headers,
                                   size_t *header_count, size_t last_len)
{
    int n = real.parse_request(buf, len, method, method_len, path, path_len, minor_version, headers, header_count,
                               last_len);
    struct guard *g = current;
    if (n == -1)
        return refuse_preface(g, buf, len);
    if (n == -2) {
        if (g != NULL)
            guard_head_seen(g, GUARD_HEAD_PARTIAL);
        return len > GUARD_HEAD_MAX ? -1 : -2;
    }
    struct guard_head_parts parts = {
        .raw = {buf, (size_t)n},
        .method = {*method, *method_len},
        .path = {*path, *path_len},
        .minor_version = *minor_version,
        .headers = headers,
        .header_count = header_count,
    };
    if (!guard_head_ok(&parts))
        return -1;
    if (g != NULL) {
        guard_body_expected(g, (size_t)n, headers, *header_count);
        guard_head_seen(g, GUARD_HEAD_COMPLETE);
    }
    return n;
}
