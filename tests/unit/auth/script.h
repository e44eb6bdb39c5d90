/*
 * An HTTP server that says what a test wrote down: one thread on 127.0.0.1, one connection at a time, the n-th request
 * gets the n-th reply. It keeps every request, whole, for the test to read.
 */
#ifndef TEST_AUTH_SCRIPT_H
#define TEST_AUTH_SCRIPT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <auth/protocol_impl.h>
#include <base/secret.h>

enum { SCRIPT_MAX = 256, SCRIPT_REQUEST = 16 * 1024 };

struct script_reply {
    char *bytes; /* raw; NULL = the connection is closed without a word */
    size_t n;
    bool hang; /* after the bytes the connection stays open until the client goes */
};

struct script {
    int fd;
    unsigned port;
    pthread_t thread;
    struct script_reply replies[SCRIPT_MAX];
    size_t planned, served;
    char *requests[SCRIPT_MAX];
    int stop[2];
};

static size_t script_read(int fd, char *out)
{
    size_t have = 0;

    for (;;) {
        ssize_t n = recv(fd, out + have, SCRIPT_REQUEST - 1 - have, 0);
        if (n <= 0)
            return 0;
        out[have += (size_t)n] = '\0';
        char *end = strstr(out, "\r\n\r\n"), *length = strcasestr(out, "\r\ncontent-length:");
        if (end != NULL &&
            have >= (size_t)(end + 4 - out) + (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0))
            return have;
    }
}

static void script_serve(struct script *s, int fd)
{
    if (s->served == s->planned || script_read(fd, s->requests[s->served]) == 0)
        return;
    const struct script_reply *r = &s->replies[s->served++];
    for (size_t at = 0; at < r->n;) {
        ssize_t n = send(fd, r->bytes + at, r->n - at, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += (size_t)n;
    }
    if (r->hang)
        poll((struct pollfd[]){{s->stop[0], POLLIN, 0}, {fd, POLLRDHUP, 0}}, 2, -1);
}

static void *script_main(void *arg)
{
    struct script *s = arg;
    int fd;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        script_serve(s, fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

static struct script *script_start(void)
{
    struct script *s = calloc(1, sizeof(*s));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, (struct sockaddr *)&a, sizeof(a)) != 0 || getsockname(s->fd, (struct sockaddr *)&a, &n) != 0 ||
        listen(s->fd, 16) != 0 || pipe(s->stop) != 0 || pthread_create(&s->thread, NULL, script_main, s) != 0)
        abort();
    s->port = ntohs(a.sin_port);
    return s;
}

static void script_stop(struct script *s)
{
    close(s->stop[1]);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->fd);
    for (size_t i = 0; i < s->planned; i++) {
        free(s->replies[i].bytes);
        free(s->requests[i]);
    }
    free(s);
}

/* The plan grows only while no request is under way. */
static inline void script_raw(struct script *s, const void *bytes, size_t n, bool hang)
{
    char *copy = malloc(n + 1);

    if (s->planned == SCRIPT_MAX)
        abort();
    if (n != 0)
        memcpy(copy, bytes, n);
    s->requests[s->planned] = calloc(1, SCRIPT_REQUEST); /* here: the server's thread takes no memory of its own */
    s->replies[s->planned++] = (struct script_reply){copy, n, hang};
}

static inline void script_close(struct script *s)
{
    script_raw(s, "", 0, false);
}

/* `extra`: further header lines with their CR LF. */
static inline void script_bytes(struct script *s, int status, const char *type, const char *extra, const void *body,
                                size_t n)
{
    char *whole = malloc(n + 512);
    int head = snprintf(whole, 512, "HTTP/1.1 %d X\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n", status, type,
                        extra, n);

    if (n != 0)
        memcpy(whole + head, body, n);
    script_raw(s, whole, (size_t)head + n, false);
    free(whole);
}

static inline void script_json(struct script *s, int status, const char *body)
{
    script_bytes(s, status, "application/json", "", body, strlen(body));
}

/* Body of the i-th request. */
static inline const char *script_body(const struct script *s, size_t i)
{
    const char *end = i < s->served ? strstr(s->requests[i], "\r\n\r\n") : NULL;
    return end != NULL ? end + 4 : "(no request)";
}

/* ---- a login at that server ----------------------------------------------------------------------------------------
 */

struct party {
    struct script *server;
    struct oauth_provider p;
    struct ccp_oauth_provider def;
    struct arena arena;
};

static struct ccp_span party_url(struct party *t, const char *path)
{
    return arena_printf(&t->arena, "http://127.0.0.1:%u%s", t->server->port, path);
}

static inline void party_init(struct party *t, unsigned flags)
{
    *t = (struct party){.server = script_start(), .def = {.name = "test"}};
    arena_init(&t->arena, NULL, 0);
    t->p = (struct oauth_provider){
        .name = CCP_SPAN("test"),
        .label = CCP_SPAN("Test login"),
        .def = &t->def,
        .flags = flags,
        .client_id = CCP_SPAN("client-1"),
        .scopes = CCP_SPAN("a b"),
        .connect_ms = 2000,
        .total_ms = 5000,
    };
    t->p.authorize_url = party_url(t, "/authorize");
    t->p.token_url = party_url(t, "/token");
    t->p.device_url = party_url(t, "/device");
    t->p.revoke_url = party_url(t, "/revoke");
    t->p.session_url = party_url(t, "/session");
}

static inline void party_end(struct party *t)
{
    script_stop(t->server);
    secret_unref(t->p.client_secret);
    arena_end(&t->arena);
}

#endif
