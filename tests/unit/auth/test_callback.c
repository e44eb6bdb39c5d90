/*
 * The loopback listener against everything that is not the browser it waits for: states that differ by one bit, other
 * methods, hosts and origins, floods, silent connections, taken ports. Each time the right answer still gets through,
 * once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <auth/login.h>
#include <base/clock.h>
#include <base/fault.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATE "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

/* ---- the listener on a thread ------------------------------------------------------------------------------------ */

struct play {
    struct callback *c;
    pthread_t thread;
    struct arena arena;
    struct pasted got;
    const char *path;
    atomic_bool answered;
    uint64_t ms;
    bool good;
    uint64_t closed_ms; /* how long callback_close took */
};

static void *serve(void *arg)
{
    struct play *p = arg;
    p->answered = callback_wait(p->c, ccp_span_z(p->path), CCP_SPAN(STATE), p->ms, &p->arena, &p->got);
    uint64_t start = clock_ms();
    callback_close(p->c, p->good);
    p->closed_ms = clock_ms() - start;
    return NULL;
}

static uint16_t begin_at(struct play *p, const char *path, uint64_t ms)
{
    char why[256];
    *p = (struct play){.path = path, .ms = ms, .good = true};
    arena_init_secret(&p->arena, 1u << 20);
    p->c = callback_open(NULL, why);
    assert_non_null(p->c);
    uint16_t port = callback_port(p->c);
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
    return port;
}

static uint16_t begin(struct play *p)
{
    return begin_at(p, "/callback", 20000);
}

static void end(struct play *p)
{
    pthread_join(p->thread, NULL);
}

static int dial(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {15, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool push(int fd, const char *p, size_t n)
{
    while (n != 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Reads to the end; the status, 0 = closed without one. */
static int pull(int fd, char *out, size_t max)
{
    size_t n = 0;
    ssize_t got;
    int status = 0;
    while (n + 1 < max && (got = recv(fd, out + n, max - 1 - n, 0)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    close(fd);
    return sscanf(out, "HTTP/1.1 %d ", &status) == 1 ? status : 0;
}

static int ask_raw(uint16_t port, const char *text, size_t n, char *out, size_t max)
{
    int fd = dial(port);
    out[0] = '\0';
    if (fd < 0)
        return -1;
    push(fd, text, n);
    return pull(fd, out, max);
}

static int ask(uint16_t port, const char *method, const char *target, const char *more)
{
    char text[4096], answer[16384];
    int n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", method, target, port, more);
    return ask_raw(port, text, (size_t)n, answer, sizeof(answer));
}

static int ask_state(uint16_t port, const char *state)
{
    char target[512];
    snprintf(target, sizeof(target), "/callback?code=SplxlOBe&state=%s", state);
    return ask(port, "GET", target, "");
}

/* The browser: right answer, redirect, clean page. */
static void finish(struct play *p, uint16_t port)
{
    assert_int_equal(ask_state(port, STATE), 302);
    assert_int_equal(ask(port, "GET", "/done", ""), 200);
    end(p);
    assert_true(p->answered);
    assert_true(ccp_span_is(p->got.code, "SplxlOBe"));
    arena_end(&p->arena);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

/* Each bit of the state, flipped: 43 characters of 6 bits. */
static size_t flipped_states(uint16_t port, size_t *refused)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[] = STATE;
    size_t asked = 0;
    for (size_t i = 0; text[i] != '\0'; i++)
        for (size_t bit = 0; bit < 6; bit++, asked++) {
            size_t value = (size_t)(strchr(alphabet, STATE[i]) - alphabet);
            text[i] = alphabet[value ^ (size_t)1 << bit];
            *refused += ask_state(port, text) == 400;
            text[i] = STATE[i];
        }
    return asked;
}

static void test_states(void **state)
{
    static const char *const wrong[] = {
        "/callback",
        "/callback?",
        "/callback?code=x",
        "/callback?code=x&state=",
        "/callback?code=x&state=" STATE "A",
        "/callback?code=x&state=AAECAwQF",
        "/callback?state=" STATE,
        "/callback?code=&state=" STATE,
        "/callback?code=x&state=" STATE "&state=" STATE,
        "/callback?code=x&code=y&state=" STATE,
        "/callback?code=x&STATE=" STATE,
        "/callback?code=%zz&state=" STATE,
        "/callback?error=access_denied",
        "/callback?error=access_denied&state=wrong",
    };
    struct play p;
    uint16_t port = begin(&p);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (ask(port, "GET", wrong[i], "") != 400)
            fail_msg("not refused: %s", wrong[i]);
    size_t refused = 0, flipped = flipped_states(port, &refused);
    assert_true(flipped >= 256);
    assert_int_equal(refused, flipped);
    finish(&p, port);
    printf("figure OAU-02 %zu of %zu one-bit-off and %zu of %zu other states refused, then the right one taken\n",
           refused, flipped, sizeof(wrong) / sizeof(wrong[0]), sizeof(wrong) / sizeof(wrong[0]));
}

/* A second answer with the right state, before and after the redirect was followed. */
static void test_reused(void **state)
{
    struct play p;
    uint16_t port = begin(&p);
    assert_int_equal(ask_state(port, STATE), 302);
    assert_int_equal(ask_state(port, STATE), 400);
    assert_int_equal(ask(port, "GET", "/done", ""), 200);
    end(&p);
    assert_true(p.answered);
    arena_end(&p.arena);
}

static void test_requests(void **state)
{
    struct play p;
    uint16_t port = begin(&p);
    const char *good = "/callback?code=x&state=" STATE;
    assert_int_equal(ask(port, "POST", good, "Content-Length: 3\r\n"), 405);
    assert_int_equal(ask(port, "HEAD", good, ""), 405);
    assert_int_equal(ask(port, "OPTIONS", good, ""), 405);
    assert_int_equal(ask(port, "GET", good, "Origin: https://evil.example\r\n"), 400);
    assert_int_equal(ask(port, "GET", "/favicon.ico", ""), 404);
    assert_int_equal(ask(port, "GET", "/", ""), 404);
    assert_int_equal(ask(port, "GET", "/done", ""), 404);
    assert_int_equal(ask(port, "GET", "/callback/?code=x&state=" STATE, ""), 404);
    assert_int_equal(ask(port, "GET", "/%63allback?code=x&state=" STATE, ""), 404);
    char text[200], answer[16384];
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: rebind.example:%u\r\n\r\n", good, port);
    assert_int_equal(ask_raw(port, text, (size_t)n, answer, sizeof(answer)), 421);
    finish(&p, port);
}

/* The whole megabyte is taken, so that the answer is not lost in a reset. */
static void test_large(void **state)
{
    size_t n = 1 << 20;
    char *text = malloc(n), answer[16384];
    struct play p;
    uint16_t port = begin(&p);
    memset(text, 'a', n);
    memcpy(text, "GET /callback?", 14);
    assert_int_equal(ask_raw(port, text, n, answer, sizeof(answer)), 414);
    int head = snprintf(text, n, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX: ", port);
    text[head] = 'a';
    assert_int_equal(ask_raw(port, text, n, answer, sizeof(answer)), 431);
    free(text);
    finish(&p, port);
}

static void test_headers(void **state)
{
    static const char *const wanted[] = {"\r\nCache-Control: no-store\r\n", "\r\nReferrer-Policy: no-referrer\r\n",
                                         "\r\nContent-Security-Policy: default-src 'none'; ",
                                         "\r\nX-Content-Type-Options: nosniff\r\n"};
    char answer[2][16384], text[300];
    struct play p;
    uint16_t port = begin(&p);
    int n = snprintf(text, sizeof(text),
                     "GET /callback?code=SplxlOBe&state=" STATE " HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", port);
    assert_int_equal(ask_raw(port, text, (size_t)n, answer[0], sizeof(answer[0])), 302);
    assert_non_null(strstr(answer[0], "\r\nLocation: /done\r\n"));
    n = snprintf(text, sizeof(text), "GET /done HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", port);
    assert_int_equal(ask_raw(port, text, (size_t)n, answer[1], sizeof(answer[1])), 200);
    end(&p);
    for (size_t i = 0; i < 8; i++) {
        assert_non_null(strstr(answer[i / 4], wanted[i % 4]));
        assert_null(strstr(answer[i / 4], "SplxlOBe"));
        assert_null(strstr(answer[i / 4], STATE));
    }
    assert_true(p.closed_ms < 1000);
    arena_end(&p.arena);
}

static void test_server_error(void **state)
{
    char answer[16384], text[700];
    struct play p;
    uint16_t port = begin(&p);
    p.good = false;
    assert_int_equal(ask(port, "GET",
                         "/callback?error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E%1b%5B31m"
                         "&state=" STATE,
                         ""),
                     302);
    int n = snprintf(text, sizeof(text), "GET /done HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", port);
    assert_int_equal(ask_raw(port, text, (size_t)n, answer, sizeof(answer)), 200);
    end(&p);
    assert_true(p.answered);
    assert_true(ccp_span_is(p.got.error, "access_denied"));
    assert_non_null(strstr(answer, "access_denied: &lt;script&gt;"));
    assert_null(strstr(answer, "<script"));
    assert_null(strchr(answer, '\x1b'));
    arena_end(&p.arena);
}

/* Nobody follows the redirect: closed within a second all the same. Nobody comes at all: at once. */
static void test_life_span(void **state)
{
    struct play p;
    uint16_t port = begin(&p);
    assert_int_equal(ask_state(port, STATE), 302);
    end(&p);
    assert_true(p.answered && p.closed_ms >= 500 && p.closed_ms <= 1000);
    assert_int_equal(dial(port), -1);
    arena_end(&p.arena);
    uint64_t unseen = p.closed_ms;
    port = begin_at(&p, "/callback", 300);
    end(&p);
    assert_false(p.answered);
    assert_true(p.closed_ms < 100);
    assert_int_equal(dial(port), -1);
    arena_end(&p.arena);
    printf("figure OAU-04 closed %llu ms after a login whose page nobody fetched, %llu ms after none\n",
           (unsigned long long)unseen, (unsigned long long)p.closed_ms);
}

/* Where the callback's own path is the usual one of the clean page. */
static void test_clean_path(void **state)
{
    struct play p;
    uint16_t port = begin_at(&p, "/done", 20000);
    assert_int_equal(ask(port, "GET", "/done?code=x&state=" STATE, ""), 302);
    assert_int_equal(ask(port, "GET", "/finished", ""), 200);
    end(&p);
    assert_true(p.answered);
    arena_end(&p.arena);
}

static struct {
    uint16_t port;
    atomic_size_t sent, redirects, refused, other;
    size_t each;
} flood;

static void *flood_some(void *arg)
{
    for (size_t i = 0; i < flood.each; i++) {
        int status = ask_state(flood.port, i == flood.each / 2 ? STATE : "other");
        atomic_fetch_add(&flood.sent, 1);
        atomic_fetch_add(status == 302 ? &flood.redirects : status == 400 ? &flood.refused : &flood.other, 1);
    }
    return NULL;
}

/* 16 of them bring the right state: one is taken. Whoever comes after the end finds nobody. */
static void test_flood(void **state)
{
    bool long_run = getenv("TEST_LONG") != NULL;
    pthread_t threads[16];
    struct play p;
    flood.port = begin(&p);
    flood.each = long_run ? 625 : 125;
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, flood_some, NULL), 0);
    for (size_t i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    end(&p);
    assert_true(p.answered);
    assert_int_equal(flood.redirects, 1);
    assert_int_equal(flood.sent, 16 * flood.each);
    arena_end(&p.arena);
    printf("figure OAU-06 %zu hits by 16 at once, 16 with the right state: %zu taken; POST 405, Host 421, Origin 400, "
           "1 MiB 414\n",
           (size_t)flood.sent, (size_t)flood.redirects);
}

/* 100 connections that say nothing, and half a request on some: the browser gets through in their midst. */
static void test_silent(void **state)
{
    int fds[100];
    struct play p;
    uint16_t port = begin(&p);
    for (size_t i = 0; i < 100; i++) {
        fds[i] = dial(port);
        assert_true(fds[i] >= 0);
        if (i % 2 == 0)
            push(fds[i], "GET /callback?code=", 19);
    }
    uint64_t start = clock_ms();
    finish(&p, port);
    assert_true(clock_ms() - start < 5000);
    for (size_t i = 0; i < 100; i++)
        close(fds[i]);
}

static void test_byte_by_byte(void **state)
{
    char text[300], answer[16384];
    struct play p;
    uint16_t port = begin(&p);
    int n = snprintf(text, sizeof(text),
                     "GET /callback?code=SplxlOBe&state=" STATE " HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", port),
        fd = dial(port);
    for (int i = 0; i < n; i++) {
        assert_true(push(fd, text + i, 1));
        usleep(500);
    }
    assert_int_equal(pull(fd, answer, sizeof(answer)), 302);
    assert_int_equal(ask(port, "GET", "/done", ""), 200);
    end(&p);
    assert_true(p.answered);
    arena_end(&p.arena);
}

/* ---- ports ------------------------------------------------------------------------------------------------------- */

/* A listener of somebody else's on 127.0.0.1, 0.0.0.0 or ::1; with SO_REUSEPORT, so that it would share. */
static int occupy(int family, bool any, uint16_t *port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(*port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET,
                               .sin_port = htons(*port),
                               .sin_addr = {.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK)}};
    struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    socklen_t size = family == AF_INET ? sizeof(four) : sizeof(six);
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(fd, at, size) != 0 || listen(fd, 1) != 0) {
        close(fd);
        return -1;
    }
    getsockname(fd, at, &size);
    *port = ntohs(family == AF_INET ? four.sin_port : six.sin6_port);
    return fd;
}

static void test_taken(void **state)
{
    uint16_t taken = 0, free_port = 0, ports[3] = {0};
    char why[256] = "";
    size_t refused = 0;
    for (int i = 0; i < 3; i++) {
        taken = 0;
        int fd = occupy(i == 2 ? AF_INET6 : AF_INET, i == 1, &taken);
        if (fd < 0)
            continue; /* a machine without IPv6 */
        ports[0] = taken;
        ports[1] = 0;
        assert_null(callback_open(ports, why));
        char number[8];
        snprintf(number, sizeof(number), "%u", taken);
        assert_non_null(strstr(why, number));
        refused++;
        free_port = 0;
        close(occupy(AF_INET, false, &free_port));
        ports[1] = free_port;
        struct callback *c = callback_open(ports, why);
        assert_non_null(c);
        assert_int_equal(callback_port(c), free_port);
        callback_close(c, false);
        close(fd);
    }
    assert_true(refused >= 2);
    printf("figure OAU-05 port taken on 127.0.0.1, 0.0.0.0 or ::1: %zu of %zu refused by name, next one used\n",
           refused, refused);
}

/* Nobody can join us on the port, not even with SO_REUSEPORT; and the same port opens again at once. */
static void test_not_shared(void **state)
{
    char why[256];
    struct play p;
    uint16_t port = begin(&p), ports[2] = {port, 0};
    assert_int_equal(occupy(AF_INET, false, &port), -1);
    assert_int_equal(occupy(AF_INET, true, &port), -1);
    assert_null(callback_open(ports, why));
    finish(&p, port);
    struct callback *c = callback_open(ports, why);
    assert_non_null(c);
    callback_close(c, false);
}

static void test_faults(void **state)
{
#ifdef CCP_FAULTS
    static const char *const points[] = {"callback.open:1", "callback.socket:*"};
    char why[256];
    for (size_t i = 0; i < 2; i++) {
        why[0] = '\0';
        fault_arm(points[i]);
        assert_null(callback_open(NULL, why));
        assert_true(why[0] != '\0');
        fault_arm(NULL);
    }
    /* The second half of the pair is refused: the first one goes, too, and the next port gets both. */
    uint16_t ports[3] = {0};
    for (size_t i = 0; i < 2; i++)
        close(occupy(AF_INET, false, &ports[i]));
    fault_arm("callback.socket:2");
    struct callback *c = callback_open(ports, why);
    fault_arm(NULL);
    assert_non_null(c);
    assert_int_equal(callback_port(c), ports[1]);
    assert_int_equal(dial(ports[0]), -1);
    callback_close(c, false);
    struct play p;
    fault_arm("callback.send:1,callback.accept:1");
    uint16_t port = begin(&p);
    assert_int_equal(ask(port, "GET", "/", ""), 0);
    fault_arm(NULL);
    finish(&p, port);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),     cmocka_unit_test(test_reused),       cmocka_unit_test(test_requests),
        cmocka_unit_test(test_large),      cmocka_unit_test(test_headers),      cmocka_unit_test(test_server_error),
        cmocka_unit_test(test_life_span),  cmocka_unit_test(test_clean_path),   cmocka_unit_test(test_flood),
        cmocka_unit_test(test_silent),     cmocka_unit_test(test_byte_by_byte), cmocka_unit_test(test_taken),
        cmocka_unit_test(test_not_shared), cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
