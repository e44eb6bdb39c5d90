/*
 * A tiny upstream for tests: one thread per connection on 127.0.0.1, behaviour chosen by the path.
 *
 * Keep-alive, plain or TLS. It knows how to misbehave: cut, stall, stay silent, send odd heads.
 */
#ifndef TEST_UPSTREAM_SERVER_H
#define TEST_UPSTREAM_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SERVER_CONNECTIONS = 1024 };

struct server {
    int fd;
    unsigned port;
    SSL_CTX *tls; /* NULL = plain */
    pthread_t thread;
    pthread_mutex_t lock;
    int fds[SERVER_CONNECTIONS];
    pthread_t threads[SERVER_CONNECTIONS];
    size_t n; /* connections ever accepted */
    atomic_size_t requests, at_once, most_at_once, resumed;
    atomic_ullong sent;
};

struct peer {
    struct server *server;
    size_t index;
    int fd;
    SSL *ssl;
    char head[128 * 1024];
    size_t have, requests;
};

static bool peer_write(struct peer *p, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n != 0) {
        ssize_t done =
            p->ssl != NULL ? SSL_write(p->ssl, at, n > 16384 ? 16384 : (int)n) : send(p->fd, at, n, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        at += done;
        n -= (size_t)done;
        atomic_fetch_add(&p->server->sent, (unsigned long long)done);
    }
    return true;
}

static bool peer_text(struct peer *p, const char *z)
{
    return peer_write(p, z, strlen(z));
}

static ssize_t peer_read(struct peer *p, void *out, size_t n)
{
    return p->ssl != NULL ? SSL_read(p->ssl, out, (int)n) : recv(p->fd, out, n, 0);
}

static void peer_wait_for_end(struct peer *p)
{
    char sink[1024];

    while (peer_read(p, sink, sizeof(sink)) > 0)
        ;
}

/* The byte at position i of every generated body. */
static inline char body_byte(unsigned long long i)
{
    return (char)('a' + (i * 7 + i / 4096) % 26);
}

static bool peer_big(struct peer *p, unsigned long long total)
{
    char piece[32768], head[128];

    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", total);
    if (!peer_text(p, head))
        return false;
    for (unsigned long long at = 0; at < total;) {
        size_t n = total - at < sizeof(piece) ? (size_t)(total - at) : sizeof(piece);
        for (size_t i = 0; i < n; i++)
            piece[i] = body_byte(at + i);
        if (!peer_write(p, piece, n))
            return false;
        at += n;
    }
    return true;
}

static bool peer_echo(struct peer *p, size_t length)
{
    char head[128];

    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    return peer_text(p, head) && peer_write(p, p->head, length);
}

static bool peer_many_headers(struct peer *p, size_t n)
{
    char line[256];

    if (!peer_text(p, "HTTP/1.1 200 OK\r\n"))
        return false;
    for (size_t i = 0; i < n; i++) {
        snprintf(line, sizeof(line), "X-Filler-%zu: %0150d\r\n", i, 0);
        if (!peer_text(p, line))
            return false;
    }
    return peer_text(p, "Content-Length: 0\r\n\r\n");
}

static bool peer_long_line(struct peer *p)
{
    char filler[1024];

    memset(filler, 'x', sizeof(filler));
    if (!peer_text(p, "HTTP/1.1 200 OK\r\nX-Long: "))
        return false;
    for (int i = 0; i < 150; i++)
        if (!peer_write(p, filler, sizeof(filler)))
            return false;
    return peer_text(p, "\r\nContent-Length: 0\r\n\r\n");
}

/* Two chunks too large to be moved together, then the text; all in one segment. */
static bool peer_two_chunks(struct peer *p, const char *then)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    char text[sizeof(head) + 2 * 3010 + 64];
    int n = snprintf(text, sizeof(text), "%sbb8\r\n%03000d\r\nbb8\r\n%03000d\r\n%s", head, 1, 2, then);

    return peer_write(p, text, (size_t)n);
}

/* Returns whether the connection goes on. */
static bool peer_answer(struct peer *p, const char *path, size_t length)
{
    if (strncmp(p->head, "CONNECT ", 8) == 0)
        return peer_text(p, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n");
    if (strncmp(path, "http://name.invalid/", 20) == 0) /* as a proxy */
        path += 19;
    if (strncmp(path, "/hello", 6) == 0)
        return peer_text(p, "HTTP/1.1 200 OK\r\nX-Thing:  Some Value \r\nContent-Length: 5\r\n\r\nhello");
    if (strncmp(path, "/extra", 6) == 0)
        return peer_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n");
    if (strncmp(path, "/two-extra", 10) == 0)
        return peer_two_chunks(p, "0\r\n\r\nHTTP/1.1 200 OK\r\n");
    if (strncmp(path, "/two-broken", 11) == 0)
        return peer_two_chunks(p, "not a size\r\n");
    if (strncmp(path, "/no-content", 11) == 0)
        return peer_text(p, "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n");
    if (strncmp(path, "/late", 5) == 0)
        return peer_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") && usleep(30000) == 0 &&
               peer_text(p, "HTTP/1.1 408 Late\r\n");
    if (strncmp(path, "/one-zero", 9) == 0)
        return peer_text(p, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (strncmp(path, "/last", 5) == 0)
        return peer_text(p, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    if (strncmp(path, "/folded", 7) == 0)
        return peer_text(p, "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n");
    if (strncmp(path, "/echo", 5) == 0)
        return peer_echo(p, length);
    if (strncmp(path, "/slow", 5) == 0) {
        usleep(30000);
        return peer_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    }
    if (strncmp(path, "/chunked", 8) == 0)
        return peer_text(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n") &&
               usleep(20000) == 0 && peer_text(p, "7\r\n second\r\n0\r\nX-Trailer: late\r\n\r\n");
    if (strncmp(path, "/big/", 5) == 0)
        return peer_big(p, strtoull(path + 5, NULL, 10));
    if (strncmp(path, "/early", 6) == 0)
        return peer_text(p, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") && usleep(20000) == 0 &&
               peer_text(p, "HTTP/1.1 201 Created\r\nX-Final: yes\r\nContent-Length: 2\r\n\r\nok");
    if (strncmp(path, "/once", 5) == 0) /* the second request on a connection finds it dead */
        return p->requests == 1 && peer_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nonce");
    if (strncmp(path, "/die-slowly", 11) == 0)
        usleep(30000);
    else if (strncmp(path, "/cut-chunk", 10) == 0)
        peer_text(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nonly this");
    else if (strncmp(path, "/cut", 4) == 0)
        peer_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    else if (strncmp(path, "/garbage", 8) == 0)
        peer_text(p, "I am not a web server\r\n\r\n");
    else if (strncmp(path, "/ctl-header", 11) == 0)
        peer_text(p, "HTTP/1.1 200 OK\r\nX-Bad: a\x01"
                     "b\r\nContent-Length: 0\r\n\r\n");
    else if (strncmp(path, "/many", 5) == 0)
        peer_many_headers(p, 600);
    else if (strncmp(path, "/fat-head", 9) == 0)
        peer_many_headers(p, 450);
    else if (strncmp(path, "/long-line", 10) == 0)
        peer_long_line(p);
    else if (strncmp(path, "/switch", 7) == 0)
        peer_text(p, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
    else if (strncmp(path, "/redirect", 9) == 0)
        return peer_text(p, "HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n");
    else if (strncmp(path, "/head", 5) == 0)
        return peer_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    else if (strncmp(path, "/stall", 6) == 0 && peer_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nstart"))
        peer_wait_for_end(p);
    else if (strncmp(path, "/drip", 5) == 0 && peer_text(p, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"))
        while (usleep(20000) == 0 && peer_text(p, "."))
            ;
    else if (strncmp(path, "/silent", 7) == 0)
        peer_wait_for_end(p);
    else if (strncmp(path, "/to-the-", 8) == 0 && peer_text(p, "HTTP/1.1 200 OK\r\n\r\nall of it") && path[8] == 'e' &&
             p->ssl != NULL)
        SSL_shutdown(p->ssl);
    return false;
}

/* Reads one request into p->head; its whole length, or 0 at the end of the connection. */
static size_t peer_request(struct peer *p)
{
    for (;;) {
        p->head[p->have] = 0;
        char *end = strstr(p->head, "\r\n\r\n");
        if (end != NULL) {
            char *cl = strcasestr(p->head, "\r\ncontent-length:");
            size_t length = (size_t)(end + 4 - p->head) + (cl != NULL && cl < end ? strtoull(cl + 17, NULL, 10) : 0);
            if (p->have >= length)
                return length;
        }
        if (p->have >= sizeof(p->head) - 1)
            return 0;
        ssize_t n = peer_read(p, p->head + p->have, sizeof(p->head) - 1 - p->have);
        if (n <= 0)
            return 0;
        p->have += (size_t)n;
    }
}

static void peer_serve(struct peer *p)
{
    struct server *s = p->server;
    size_t length;
    bool go_on = true;

    if (p->ssl != NULL && SSL_session_reused(p->ssl))
        atomic_fetch_add(&s->resumed, 1);

    while (go_on && (length = peer_request(p)) != 0) {
        const char *path = strchr(p->head, ' ');
        p->requests++;
        atomic_fetch_add(&s->requests, 1);
        size_t now = atomic_fetch_add(&s->at_once, 1) + 1, most = atomic_load(&s->most_at_once);
        while (now > most && !atomic_compare_exchange_weak(&s->most_at_once, &most, now))
            ;
        go_on = path != NULL && peer_answer(p, path + 1, length);
        atomic_fetch_sub(&s->at_once, 1);
        memmove(p->head, p->head + length, p->have - length);
        p->have -= length;
    }
}

static void *peer_main(void *arg)
{
    struct peer *p = arg;
    struct server *s = p->server;

    if (s->tls == NULL ||
        ((p->ssl = SSL_new(s->tls)) != NULL && SSL_set_fd(p->ssl, p->fd) == 1 && SSL_accept(p->ssl) == 1))
        peer_serve(p);
    SSL_free(p->ssl);
    pthread_mutex_lock(&s->lock);
    s->fds[p->index] = -1;
    close(p->fd);
    pthread_mutex_unlock(&s->lock);
    free(p);
    return NULL;
}

static void *server_main(void *arg)
{
    struct server *s = arg;
    pthread_attr_t attr;
    int fd;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    while ((fd = accept(s->fd, NULL, NULL)) >= 0 && s->n < SERVER_CONNECTIONS) {
        struct peer *p = calloc(1, sizeof(*p));
        pthread_mutex_lock(&s->lock);
        *p = (struct peer){.server = s, .index = s->n, .fd = fd};
        s->fds[s->n] = fd;
        if (pthread_create(&s->threads[s->n++], &attr, peer_main, p) != 0)
            abort();
        pthread_mutex_unlock(&s->lock);
    }
    pthread_attr_destroy(&attr);
    return NULL;
}

static void server_listen(struct server *s, int fd)
{
    s->fd = fd;
    pthread_mutex_init(&s->lock, NULL);
    if (listen(fd, 1024) != 0 || pthread_create(&s->thread, NULL, server_main, s) != 0)
        abort();
}

static struct server *server_start(SSL_CTX *tls)
{
    struct server *s = calloc(1, sizeof(*s));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    s->tls = tls;
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        abort();
    s->port = ntohs(a.sin_port);
    server_listen(s, fd);
    return s;
}

static size_t server_connections(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->n;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void server_stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n; i++)
        if (s->fds[i] >= 0)
            shutdown(s->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->n; i++)
        pthread_join(s->threads[i], NULL);
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

#endif
