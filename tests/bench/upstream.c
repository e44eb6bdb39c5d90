/*
 * The fast upstream of the benchmark: one thread, epoll, HTTP/1.1 with keep-alive, no allocation per request; plain
 * TCP on one port and TLS (OpenSSL) on another, which both print at start.
 *
 *     upstream [CERTIFICATE KEY]
 *
 * The beginning of the request's body says what comes back: "size":N a JSON answer of N bytes, "events":N an SSE
 * stream of N events of about 150 bytes, each in a write of its own; with "gap_ms":N one every so often, else as fast
 * as they go; "wait_ms":N nothing before that time; "hold":1 a stream of one event that stays open until /release is
 * asked for. A proxy that translates keeps no such members: then the model's name says size=N, events=N, gap_ms=N.
 * All answers are Chat Completions. /held answers the number of streams that are held. Every event carries the time it
 * was sent at, in nanoseconds of the monotonic clock ("t":N), so that a client on the same machine sees how long each
 * was on its way. It trusts its client (the benchmark) and is no example of a server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 4096, BODY_KEPT = 512, ANSWER_MAX = 4 << 20, CONNECTIONS = 32768, SLOTS = 4096 };
enum { EVENT_MAX = 256, EVENT_ROOM = 512 /* an event, its framing and the head of the answer */ };

struct connection {
    SSL *ssl;                       /* NULL on the plain port */
    struct connection *next, *prev; /* in a slot of the wheel or in the list of held ones; NULL: in neither */
    int fd;
    bool answering, waiting, held; /* between request and end of answer; socket buffer full; until /release */
    bool head_sent, paced;
    uint64_t due;            /* paced: when the next event goes out, ns */
    uint64_t gap;            /* ns */
    size_t used, kept;       /* bytes in head, in body */
    size_t body_left;        /* bytes of the body still to come */
    size_t out_left, out_at; /* rest of a plain answer */
    long events;             /* rest of a stream, the end marker included */
    size_t rest_at, rest;    /* of an event that went out in part */
    char event[EVENT_ROOM];
    char body[BODY_KEPT + 1];
    char head[HEAD_MAX + 1];
};

static struct connection *connections[CONNECTIONS];
static struct connection wheel[SLOTS], held; /* rings of milliseconds and of held streams; the entries are list heads */
static char answer[ANSWER_MAX];
static long held_count;
static uint64_t wheel_at; /* milliseconds up to which the wheel is done */
static int loop, listeners[2];
static SSL_CTX *tls;

static const char event_format[] = "data: "
                                   "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                                   "\"model\":\"bench\",\"t\":\"%016llu\","
                                   "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n";
static const char stream_end[] =
    "67\r\ndata: {\"id\":\"chatcmpl-bench\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: [DONE]\n\n\r\n0\r\n\r\n";
/* Padded with spaces, which JSON allows at the end, to the size that is asked for. */
static const char whole[] = "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1,\"model\":"
                            "\"bench\",\"choices\":[{\"index\":0,"
                            "\"message\":{\"role\":\"assistant\",\"content\":\"A short answer, as agents get "
                            "them.\"},\"finish_reason\":\"stop\"}],"
                            "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":8,\"total_tokens\":18}}";
static const char stream_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void ring_init(struct connection *ring)
{
    ring->next = ring->prev = ring;
}

static void ring_add(struct connection *ring, struct connection *c)
{
    c->next = ring;
    c->prev = ring->prev;
    ring->prev->next = c;
    ring->prev = c;
}

static void ring_take(struct connection *c)
{
    if (c->next == NULL)
        return;
    c->prev->next = c->next;
    c->next->prev = c->prev;
    c->next = c->prev = NULL;
}

static void drop(struct connection *c)
{
    ring_take(c);
    held_count -= c->held;
    connections[c->fd] = NULL;
    if (c->ssl != NULL)
        SSL_free(c->ssl);
    close(c->fd);
    free(c);
}

static void watch(struct connection *c, bool writing)
{
    struct epoll_event e = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (c->waiting != writing)
        epoll_ctl(loop, EPOLL_CTL_MOD, c->fd, &e);
    c->waiting = writing;
}

/* As send(2) and recv(2): -1 with errno EAGAIN when nothing moves. */
static ssize_t tls_result(struct connection *c, int n)
{
    if (n > 0)
        return n;
    int error = SSL_get_error(c->ssl, n);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    ERR_clear_error();
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t put(struct connection *c, const char *data, size_t n, bool more)
{
    if (c->ssl == NULL)
        return send(c->fd, data, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    return tls_result(c, SSL_write(c->ssl, data, (int)n));
}

static ssize_t get(struct connection *c, char *to, size_t room)
{
    if (c->ssl == NULL)
        return recv(c->fd, to, room, 0);
    return tls_result(c, SSL_read(c->ssl, to, (int)room));
}

static long number_after(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    return found != NULL ? strtol(found + strlen(name), NULL, 10) : 0;
}

/* "name":N, or name=N in the model's name. */
static long asked(const char *body, const char *member, const char *in_model)
{
    long value = number_after(body, member);
    return value != 0 ? value : number_after(body, in_model);
}

/* One event with its chunk framing. */
static size_t event_write(char *to)
{
    char text[EVENT_MAX];
    int n = snprintf(text, sizeof(text), event_format, (unsigned long long)now_ns());
    return (size_t)snprintf(to, EVENT_MAX + 16, "%x\r\n%s\r\n", (unsigned)n, text);
}

/* What is left of an event that did not fit; false when the connection broke. */
static bool rest_send(struct connection *c)
{
    ssize_t n = put(c, c->event + c->rest_at, c->rest, false);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->rest_at += (size_t)n;
    c->rest -= (size_t)n;
    return true;
}

/* Sends the next event, the first one with the head; false when the connection broke. */
static bool event_send(struct connection *c)
{
    if (c->rest > 0)
        return rest_send(c);
    size_t n = 0;
    if (!c->head_sent) {
        memcpy(c->event, stream_head, sizeof(stream_head) - 1);
        n = sizeof(stream_head) - 1;
    }
    if (c->events == 1) {
        memcpy(c->event + n, stream_end, sizeof(stream_end) - 1);
        n += sizeof(stream_end) - 1;
    } else {
        n += event_write(c->event + n);
    }
    c->rest = n;
    c->rest_at = 0;
    c->head_sent = true;
    c->events--;
    return rest_send(c);
}

static void wheel_add(struct connection *c)
{
    uint64_t at = c->due / 1000000;
    ring_add(&wheel[(at > wheel_at ? at : wheel_at + 1) % SLOTS], c);
}

static bool plain_send(struct connection *c)
{
    while (c->out_left > 0) {
        ssize_t n = put(c, answer + c->out_at, c->out_left < 65536 || !c->ssl ? c->out_left : 65536, false);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n <= 0)
            break;
        c->out_at += (size_t)n;
        c->out_left -= (size_t)n;
    }
    return true;
}

/* Continues the answer; false when the connection broke. One event a turn, so that streams take turns. */
static bool answer_more(struct connection *c)
{
    if ((c->events > 0 || c->rest > 0) && !c->held && !event_send(c))
        return false;
    if (!plain_send(c))
        return false;
    c->answering = c->events > 0 || c->rest > 0 || c->out_left > 0;
    watch(c, c->rest > 0 || (c->answering && !c->paced && !c->held));
    if (c->events > 0 && c->paced && !c->held && c->next == NULL) {
        c->due += c->gap;
        wheel_add(c);
    }
    return true;
}

static bool answer_begin(struct connection *c)
{
    char head[160];
    if (c->held) {
        ring_add(&held, c);
        held_count++;
        return event_send(c);
    }
    if (c->events > 0)
        return answer_more(c);
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", c->out_left);
    return put(c, head, (size_t)n, true) == n && answer_more(c);
}

static bool control(struct connection *c)
{
    char out[200], text[32];
    bool release = strncmp(c->head, "GET /release", 12) == 0;
    int n = snprintf(text, sizeof(text), "%ld\n", held_count);
    n = snprintf(out, sizeof(out), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, text);
    c->used = 0;
    while (release && held.next != &held) {
        struct connection *one = held.next;
        ring_take(one);
        one->held = false;
        held_count--;
        if (!answer_more(one))
            shutdown(one->fd, SHUT_RDWR); /* dropped in a turn of its own */
    }
    return put(c, out, (size_t)n, false) == n;
}

static bool answer_start(struct connection *c)
{
    if (strncmp(c->head, "GET /", 5) == 0)
        return control(c);
    long size = asked(c->body, "\"size\":", "size="), wait = number_after(c->body, "\"wait_ms\":");
    c->gap = (uint64_t)asked(c->body, "\"gap_ms\":", "gap_ms=") * 1000000;
    c->events = asked(c->body, "\"events\":", "events=");
    c->held = number_after(c->body, "\"hold\":") != 0;
    c->paced = c->gap > 0;
    c->answering = true;
    c->head_sent = false;
    c->used = c->kept = c->out_at = c->out_left = 0;
    if (c->held)
        c->events = 1;
    if (c->events > 0)
        c->events++; /* the end marker */
    else
        c->out_left = (size_t)(size > 2 && size < ANSWER_MAX ? size : 2);
    c->due = now_ns() + (uint64_t)wait * 1000000;
    if (wait == 0)
        return answer_begin(c);
    wheel_add(c);
    return true;
}

/* Takes in what has come: the head, the first bytes of the body, and only the count of the rest. */
static bool take(struct connection *c)
{
    static char scrap[262144];
    bool in_body = c->body_left > 0;
    char *to = in_body ? scrap : c->head + c->used;
    size_t room = in_body ? (c->body_left < sizeof(scrap) ? c->body_left : sizeof(scrap)) : HEAD_MAX - c->used;
    ssize_t n = get(c, to, room);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    size_t have = (size_t)n;
    if (!in_body) {
        c->used += have;
        c->head[c->used] = '\0';
        char *end = strstr(c->head, "\r\n\r\n");
        if (end == NULL)
            return c->used < HEAD_MAX;
        char *length = strcasestr(c->head, "\r\ncontent-length:");
        c->body_left = length != NULL && length < end ? (size_t)strtol(length + 17, NULL, 10) : 0;
        to = end + 4;
        have = c->used - (size_t)(to - c->head);
    }
    size_t keep = have < BODY_KEPT - c->kept ? have : BODY_KEPT - c->kept;
    memcpy(c->body + c->kept, to, keep);
    c->kept += keep;
    c->body[c->kept] = '\0';
    c->body_left -= have < c->body_left ? have : c->body_left;
    return c->body_left > 0 || answer_start(c);
}

/* OpenSSL may hold bytes that epoll does not tell of: read until it has none. */
static bool take_all(struct connection *c)
{
    do {
        if (!take(c))
            return false;
    } while (c->ssl != NULL && !c->answering && SSL_pending(c->ssl) > 0);
    return true;
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *c = fd < CONNECTIONS ? calloc(1, sizeof(*c)) : NULL;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (c == NULL) {
            close(fd);
            continue;
        }
        c->fd = fd;
        connections[fd] = c;
        if (listener == listeners[1]) {
            c->ssl = SSL_new(tls);
            SSL_set_fd(c->ssl, fd);
            SSL_set_accept_state(c->ssl);
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_on_any(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4096) != 0)
        exit(1);
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    return fd;
}

static void tls_init(const char *certificate, const char *key)
{
    tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        exit(1);
    SSL_CTX_set_mode(tls,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

/* Sends what is due, slot by slot; a slot may be emptied while its connections go into later ones. */
static void wheel_turn(void)
{
    for (uint64_t until = now_ns() / 1000000; wheel_at < until;) {
        struct connection due, *slot = &wheel[++wheel_at % SLOTS];
        ring_init(&due);
        while (slot->next != slot) {
            struct connection *c = slot->next;
            ring_take(c);
            ring_add(&due, c);
        }
        while (due.next != &due) {
            struct connection *c = due.next;
            bool first = !c->head_sent && c->out_at == 0;
            ring_take(c);
            if (c->due / 1000000 > until)
                wheel_add(c); /* more than one round of the wheel away */
            else if (!(first ? answer_begin(c) : answer_more(c)))
                drop(c);
        }
    }
}

/* Nobody sends while an answer is under way: what comes is the end of the connection. */
static bool still_there(struct connection *c)
{
    char scrap[256];
    return get(c, scrap, sizeof(scrap)) < 0 && errno == EAGAIN;
}

static void one_event(struct epoll_event *e)
{
    struct connection *c = e->data.ptr;
    bool good;
    if (c->waiting)
        good = answer_more(c);
    else if (c->answering)
        good = still_there(c);
    else
        good = take_all(c);
    if (!good)
        drop(c);
}

int main(int argc, char **argv)
{
    struct epoll_event ready[256];
    memset(answer, ' ', sizeof(answer));
    memcpy(answer, whole, sizeof(whole) - 1);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < SLOTS; i++)
        ring_init(&wheel[i]);
    ring_init(&held);
    loop = epoll_create1(0);
    if (argc > 2)
        tls_init(argv[1], argv[2]);
    for (int i = 0; i < (argc > 2 ? 2 : 1); i++) {
        listeners[i] = listen_on_any();
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listeners[i]};
        epoll_ctl(loop, EPOLL_CTL_ADD, listeners[i], &e);
    }
    fflush(stdout);
    for (wheel_at = now_ns() / 1000000;; wheel_turn()) {
        int n = epoll_wait(loop, ready, 256, 1);
        for (int i = 0; i < n; i++) {
            int *listener = ready[i].data.ptr;
            if (listener == &listeners[0] || listener == &listeners[1])
                accept_all(*listener);
            else
                one_event(&ready[i]);
        }
    }
}
