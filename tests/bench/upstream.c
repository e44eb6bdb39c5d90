/*
 * The fast upstream of the benchmark: one thread, epoll, HTTP/1.1 with keep-alive, no allocation per request.
 *
 * The request's body says what comes back: "size":N gives a JSON answer of N bytes, "events":N an SSE stream of N
 * events of about 150 bytes, each in a write of its own. It trusts its client (the benchmark) and is no example of a
 * server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, ANSWER_MAX = 4 << 20, CONNECTIONS = 8192 };

struct connection {
    char head[HEAD_MAX + 1];
    size_t used, body_left;  /* bytes in head; bytes of the body still to come */
    size_t out_left, out_at; /* rest of a plain answer */
    long events;             /* rest of a stream */
    bool answering, waiting; /* between request and end of answer; socket buffer full */
};

static struct connection *connections[CONNECTIONS];
static char answer[ANSWER_MAX];
static const char event_chunk[] =
    "92\r\ndata: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\","
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}  \n\n\r\n";
static const char stream_end[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
static int loop;

static void drop(int fd)
{
    free(connections[fd]);
    connections[fd] = NULL;
    close(fd);
}

static void watch(int fd, struct connection *c, bool writing)
{
    struct epoll_event e = {.events = writing ? EPOLLOUT : EPOLLIN, .data.fd = fd};
    if (c->waiting != writing)
        epoll_ctl(loop, EPOLL_CTL_MOD, fd, &e);
    c->waiting = writing;
}

static long number_after(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    return found != NULL ? strtol(found + strlen(name), NULL, 10) : 0;
}

/* Continues the answer; false when the connection broke. One event a turn, so that streams take turns. */
static bool answer_more(int fd, struct connection *c)
{
    if (c->events > 0) {
        bool last = c->events == 1;
        const char *data = last ? stream_end : event_chunk;
        size_t n = last ? sizeof(stream_end) - 1 : sizeof(event_chunk) - 1;
        if (send(fd, data, n, MSG_NOSIGNAL) != (ssize_t)n)
            return errno == EAGAIN;
        c->events--;
    }
    while (c->out_left > 0) {
        ssize_t n = send(fd, answer + c->out_at, c->out_left, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            break;
        c->out_at += (size_t)n;
        c->out_left -= (size_t)n;
    }
    c->answering = c->events > 0 || c->out_left > 0;
    watch(fd, c, c->answering);
    return true;
}

static bool answer_start(int fd, struct connection *c, const char *body)
{
    char head[160];
    long size = number_after(body, "\"size\":");
    int n;
    c->events = number_after(body, "\"events\":");
    c->answering = true;
    c->used = 0;
    if (c->events > 0) {
        c->events++; /* the end marker */
        n = snprintf(head, sizeof(head),
                     "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n");
    } else {
        c->out_left = (size_t)(size > 2 && size < ANSWER_MAX ? size : 2);
        c->out_at = 0;
        n = snprintf(head, sizeof(head),
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", c->out_left);
    }
    return send(fd, head, (size_t)n, MSG_NOSIGNAL | MSG_MORE) == n && answer_more(fd, c);
}

/* Takes in what has come; the first bytes of the body stay behind the head, the rest is only counted. */
static bool take(int fd, struct connection *c)
{
    static char scrap[262144];
    bool in_body = c->body_left > 0;
    char *to = in_body ? scrap : c->head + c->used;
    size_t room = in_body ? (c->body_left < sizeof(scrap) ? c->body_left : sizeof(scrap)) : HEAD_MAX - c->used;
    ssize_t n = recv(fd, to, room, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    if (in_body) {
        c->body_left -= (size_t)n;
    } else {
        c->used += (size_t)n;
        c->head[c->used] = '\0';
        char *end = strstr(c->head, "\r\n\r\n");
        if (end == NULL)
            return c->used < HEAD_MAX;
        char *length = strcasestr(c->head, "\r\ncontent-length:");
        size_t whole = length != NULL && length < end ? (size_t)strtol(length + 17, NULL, 10) : 0;
        size_t have = c->used - (size_t)(end + 4 - c->head);
        c->body_left = whole > have ? whole - have : 0;
    }
    if (c->body_left > 0)
        return true;
    char *body = strstr(c->head, "\r\n\r\n");
    return answer_start(fd, c, body);
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= CONNECTIONS || (connections[fd] = calloc(1, sizeof(struct connection))) == NULL) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    memset(answer, 'x', sizeof(answer));
    answer[0] = '"';
    signal(SIGPIPE, SIG_IGN);
    loop = epoll_create1(0);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 1024) != 0)
        return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(loop, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener)
                accept_all(listener);
            else if (connections[fd] != NULL &&
                     !(connections[fd]->answering ? answer_more(fd, connections[fd]) : take(fd, connections[fd])))
                drop(fd);
        }
    }
}
