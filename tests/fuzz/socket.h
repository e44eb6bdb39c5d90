/*
 * A worker without listeners, with the fake chain of tests/unit/http, and one connection at a time on a socket pair:
 * what fuzz_http1 and fuzz_http2 have in common. Guard and h2o are the real ones, in the order the server uses them.
 *
 * What must hold for any bytes: no more requests than bytes can spell, never more open ones than the limit allows, and
 * when the client closes, the connection and all its requests end without waiting for a deadline.
 */
#ifndef TESTS_FUZZ_SOCKET_H
#define TESTS_FUZZ_SOCKET_H

#include "fuzz.h"

#include "../unit/http/fake.c.inc"

#include <base/buf.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET_END_TURNS = 200, SOCKET_STREAMS = 100 };

static struct http_worker *socket_worker; /* one for the whole run: libFuzzer has no place to carry it */
static struct fake socket_fake;
static struct http_backend socket_backend;

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}

/* The fake trusts its paths; ours come from anywhere. Statuses and streams that it cannot make become "/". */
static struct exchange *socket_begin(struct chain_worker *w, const struct chain_request *r,
                                     const struct chain_responder *to, void *self)
{
    static const char *const fine[] = {"/status/200", "/status/204", "/status/404", "/status/503",
                                       "/stream/1",   "/stream/9",   "/stream/2/1", NULL};
    struct chain_request request = *r;
    bool odd = ccp_span_starts(r->target, CCP_SPAN("/status")) || ccp_span_starts(r->target, CCP_SPAN("/stream"));
    for (int i = 0; odd && fine[i] != NULL; i++)
        odd = !ccp_span_is(r->target, fine[i]);
    if (odd)
        request.target = CCP_SPAN("/");
    for (size_t i = 0; i < r->header_count; i++) {
        MUST(memchr(r->headers[i].value.p, '\n', r->headers[i].value.n) == NULL);
        MUST(memchr(r->headers[i].value.p, '\0', r->headers[i].value.n) == NULL);
        MUST(r->headers[i].name.n != 0 || r->refusal != CCP_OK);
    }
    return fake_begin(w, &request, to, self);
}

static void socket_start(void)
{
    struct http_options options;
    char why[HTTP_ERRBUF];
    http_process_init();
    if (!http_guard_check(why)) { /* else the fuzzer would look at h2o without the guard */
        fprintf(stderr, "%s\n", why);
        abort();
    }
    http_options_init(&options);
    options.h2c = HTTP_H2C_ON;
    options.max_streams_per_connection = SOCKET_STREAMS;
    options.max_body_bytes = 65536;
    socket_worker = http_worker_new(&options, NULL);
    MUST(socket_worker != NULL);
    fake_init(&socket_fake, http_worker_loop(socket_worker));
    socket_backend = fake_backend;
    socket_backend.begin = socket_begin;
    http_worker_set_backend(socket_worker, &socket_backend, (struct chain_worker *)&socket_fake);
}

/* One turn, and what came of it into `out`; false = the server closed. */
static bool socket_turn(int fd, struct ccp_buf *out, uint64_t wait_ms)
{
    char more[65536];
    http_worker_turn(socket_worker, wait_ms);
    MUST(socket_fake.open <= SOCKET_STREAMS);
    for (;;) {
        ssize_t n = recv(fd, more, sizeof(more), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (n < 0)
            return true;
        if (out->n < 1 << 20)
            buf_add(out, ccp_span_of(more, (size_t)n));
    }
}

static void socket_end(void)
{
    for (int i = 0; i < SOCKET_END_TURNS && http_worker_connections(socket_worker) != 0; i++)
        http_worker_turn(socket_worker, i < 20 ? 0 : 1);
    MUST(http_worker_connections(socket_worker) == 0);
    MUST(http_worker_requests(socket_worker) == 0 && socket_fake.open == 0);
}

/* Sends the bytes in pieces that `seed` chooses (0 = all at once), hears the answers, then closes: first its sending
 * side when `half`, so that what runs may end. */
static void socket_talk(struct ccp_span in, unsigned seed, bool half, struct ccp_buf *out)
{
    int pair[2];
    bool open = true;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    fake_init(&socket_fake, socket_fake.loop);
    MUST(http_worker_adopt(socket_worker, pair[1]));
    for (int stuck = 0; open && in.n != 0 && stuck < 50;) {
        uint32_t step = seed == 0 ? 65536 : 1 + (seed = seed * 1664525u + 1013904223u) / 65536 % 97;
        ssize_t n = send(pair[0], in.p, in.n < step ? in.n : step, MSG_DONTWAIT | MSG_NOSIGNAL);
        stuck = n > 0 ? 0 : stuck + 1;
        in = ccp_span_skip(in, n > 0 ? (size_t)n : 0);
        open = socket_turn(pair[0], out, 0);
    }
    for (int i = 0; i < 4 && open; i++)
        open = socket_turn(pair[0], out, 0);
    if (half && open)
        shutdown(pair[0], SHUT_WR);
    for (int i = 0; half && i < 6 && open; i++)
        open = socket_turn(pair[0], out, 0);
    close(pair[0]);
    socket_end();
}

#endif
