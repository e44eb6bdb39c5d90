/*
 * The load of the benchmark over HTTP/1.1: one thread, epoll, any number of kept connections, plain TCP.
 *
 * Closed loop: `-c` connections, of which at most `-a` have a request out, for a warm-up and a window, or `-n` requests
 * in all; the window is longer when less than `-m` requests fit into it. Streams are read event by event; an event
 * carries the time it was sent at ("t":nanoseconds of the monotonic clock, upstream.c writes it), so the way of each
 * event through a proxy is measured (`delay`), and how much longer the gap between two events is here than it was there
 * (`gap`, 0 when shorter). Probes (`-P` a second) are short requests beside the load, on connections of their own: the
 * time to first byte under load comes from them alone.
 *
 * It prints `open` when every connection has had its first byte, `mark` when the window begins and when it ends (the
 * caller reads the proxy's CPU clock then), and one line of JSON at the end. What counts as failed: a status other
 * than 200, a cut answer, a stream with fewer events than `-e` says, whatever has not ended `-g` seconds after its
 * time. It understands the answers that proxies give here and is no example of a client.
 */
#include "histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

enum { HEAD_MAX = 4096, PROBES = 16, READ_MAX = 65536 };

enum state { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, LAST_LINE };

struct connection {
    int fd;
    bool probe, busy, writing, opened;
    enum state state;
    char head[HEAD_MAX + 1];
    size_t used;      /* bytes in head */
    uint64_t left;    /* bytes of the body, or of the chunk, still to come */
    size_t out_at;    /* bytes of the request that are written */
    uint64_t sent;    /* when the request began, ns */
    uint64_t last;    /* when the latest event came, ns */
    uint64_t left_at; /* when the upstream sent it, ns */
    uint64_t stamp;   /* time in the event being read, or 0 */
    unsigned match;   /* letters of "t": seen so far; 4 = digits follow */
    bool stream;      /* event-stream: look at the bytes */
    bool first_byte;  /* seen in this answer */
    long events;      /* in this answer */
};

struct request {
    char *bytes;
    size_t size;
};

static struct {
    int port, connections, active, probes_per_second;
    const char *path;
    double warm, window, spread, grace;
    long total, expected_events, minimum;
} option = {.connections = 1, .window = 1, .grace = 20, .path = "/"};

static struct request load_request, probe_request;
static struct connection *pool, probes[PROBES];
static struct histogram ttfb, latency, gap, delay;
static long done, failed, events, opened, started, in_flight;
static bool measuring; /* inside the window */
static int loop;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void watch(struct connection *c, bool writing, int operation)
{
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
    if (operation == EPOLL_CTL_ADD || c->writing != writing)
        epoll_ctl(loop, operation, c->fd, &e);
    c->writing = writing;
}

static void close_connection(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static void end_request(struct connection *c, bool good)
{
    c->busy = false;
    if (!good) {
        failed++;
        close_connection(c);
    }
    if (c->probe)
        return;
    in_flight--;
    done += good;
    if (good && measuring)
        note(&latency, now_ns() - c->sent);
}

static void write_more(struct connection *c)
{
    const struct request *r = c->probe ? &probe_request : &load_request;
    while (c->out_at < r->size) {
        ssize_t n = send(c->fd, r->bytes + c->out_at, r->size - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN || errno == EINPROGRESS))
            break;
        if (n < 0) {
            end_request(c, false);
            return;
        }
        c->out_at += (size_t)n;
    }
    watch(c, c->out_at < r->size, EPOLL_CTL_MOD);
}

static bool connect_to(struct connection *c)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)option.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close_connection(c);
        return false;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    watch(c, false, EPOLL_CTL_ADD);
    return true;
}

static void begin_request(struct connection *c)
{
    c->busy = true;
    in_flight += !c->probe;
    started += !c->probe;
    c->state = HEAD;
    c->used = c->out_at = 0;
    c->match = 0;
    c->first_byte = false;
    c->events = 0;
    if (c->fd < 0 && !connect_to(c)) {
        end_request(c, false);
        return;
    }
    c->sent = now_ns();
    c->last = 0;
    write_more(c);
}

static void event_seen(struct connection *c, uint64_t now)
{
    c->events++;
    if (!c->probe) {
        events++;
        if (measuring && c->last && c->stamp > c->left_at) {
            uint64_t here = now - c->last, there = c->stamp - c->left_at;
            note(&gap, here > there ? here - there : 0);
        }
        if (measuring && now > c->stamp)
            note(&delay, now - c->stamp);
        c->left_at = c->stamp;
    }
    c->last = now;
}

static void scan_events(struct connection *c, const char *p, size_t n, uint64_t now)
{
    static const char wanted[] = "\"t\":\"";
    for (size_t i = 0; i < n; i++) {
        if (c->match == 5 && p[i] >= '0' && p[i] <= '9') {
            c->stamp = c->stamp * 10 + (uint64_t)(p[i] - '0');
        } else if (c->match == 5) {
            event_seen(c, now);
            c->match = 0;
        } else {
            c->match = p[i] == wanted[c->match] ? c->match + 1 : p[i] == '"';
            c->stamp = 0;
        }
    }
}

static void body_bytes(struct connection *c, const char *p, size_t n, uint64_t now)
{
    if (!c->first_byte) {
        c->first_byte = true;
        if (c->probe && measuring)
            note(&ttfb, now - c->sent);
        if (!c->probe && !c->opened && ++opened == option.connections) {
            printf("open\n");
            fflush(stdout);
        }
        c->opened = true;
    }
    if (c->stream)
        scan_events(c, p, n, now);
}

/* Reads the head; false when the answer is not one we accept. */
static bool read_head(struct connection *c)
{
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->stream = strcasestr(c->head, "\r\ncontent-type: text/event-stream") != NULL;
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0)
        return false;
    if (length != NULL) {
        c->left = strtoull(length + 17, NULL, 10);
        c->state = LENGTH;
        return true;
    }
    c->state = CHUNK_SIZE;
    c->used = 0;
    return strcasestr(c->head, "\r\ntransfer-encoding: chunked") != NULL;
}

/* One line of the chunk framing, gathered in head; true when it is whole. *at moves on. */
static bool take_line(struct connection *c, const char *data, size_t n, size_t *at)
{
    while (*at < n && c->used < 64) {
        char byte = data[(*at)++];
        c->head[c->used++] = byte;
        c->head[c->used] = '\0';
        if (byte == '\n')
            return true;
    }
    return false;
}

enum progress { MORE, WHOLE, BROKEN };

static enum progress take_framing(struct connection *c, const char *data, size_t n, size_t *at)
{
    if (!take_line(c, data, n, at))
        return c->used < 64 ? MORE : BROKEN;
    bool empty = c->head[0] == '\r' || c->head[0] == '\n';
    c->used = 0;
    if (c->state == LAST_LINE)
        return empty ? WHOLE : MORE;
    if (c->state == CHUNK_END) {
        c->state = CHUNK_SIZE;
        return empty ? MORE : BROKEN;
    }
    c->left = strtoull(c->head, NULL, 16);
    c->state = c->left > 0 ? CHUNK_DATA : LAST_LINE;
    return MORE;
}

static enum progress take_head(struct connection *c, const char *data, size_t n, size_t *at)
{
    while (*at < n && c->used < HEAD_MAX) {
        c->head[c->used++] = data[(*at)++];
        c->head[c->used] = '\0';
        if (c->used >= 4 && memcmp(c->head + c->used - 4, "\r\n\r\n", 4) == 0) {
            if (!read_head(c))
                return BROKEN;
            return c->state == LENGTH && c->left == 0 ? WHOLE : MORE;
        }
    }
    return c->used < HEAD_MAX ? MORE : BROKEN;
}

static enum progress take(struct connection *c, const char *data, size_t n, uint64_t now)
{
    enum progress so_far = MORE;
    for (size_t at = 0; at < n && so_far == MORE;) {
        if (c->state == HEAD) {
            so_far = take_head(c, data, n, &at);
        } else if (c->state == LENGTH || c->state == CHUNK_DATA) {
            size_t step = c->left < n - at ? (size_t)c->left : n - at;
            body_bytes(c, data + at, step, now);
            at += step;
            c->left -= step;
            if (c->left == 0 && c->state == LENGTH)
                so_far = WHOLE;
            else if (c->left == 0)
                c->state = CHUNK_END;
        } else {
            so_far = take_framing(c, data, n, &at);
        }
    }
    return so_far;
}

static void readable(struct connection *c)
{
    static char data[READ_MAX];
    ssize_t n = recv(c->fd, data, sizeof(data), 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || !c->busy) {
        if (c->busy)
            end_request(c, false);
        close_connection(c); /* an idle one closed by the server is opened again when it is needed */
        return;
    }
    enum progress got = take(c, data, (size_t)n, now_ns());
    if (got == BROKEN)
        end_request(c, false);
    else if (got == WHOLE)
        end_request(c, !c->stream || c->probe || c->events >= option.expected_events);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    char *text = NULL;
    *size = 0;
    if (in == NULL || fseek(in, 0, SEEK_END) != 0)
        exit(2);
    *size = (size_t)ftell(in);
    rewind(in);
    text = malloc(*size + 1);
    if (text == NULL || fread(text, 1, *size, in) != *size)
        exit(2);
    fclose(in);
    return text;
}

static void prepare(struct request *r, const char *file)
{
    size_t size;
    char *body = read_file(file, &size);
    r->bytes = malloc(size + 1024);
    if (r->bytes == NULL)
        exit(2);
    int n = snprintf(r->bytes, 1024,
                     "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench/1\r\nAccept: */*\r\n"
                     "Authorization: Bearer bench\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                     option.path, option.port, size);
    memcpy(r->bytes + n, body, size);
    r->size = (size_t)n + size;
    free(body);
}

static void read_options(int argc, char **argv)
{
    for (int flag; (flag = getopt(argc, argv, "p:u:c:a:w:d:n:m:s:g:e:P:b:q:")) != -1;) {
        switch (flag) {
        case 'p':
            option.port = atoi(optarg);
            break;
        case 'u':
            option.path = optarg;
            break;
        case 'c':
            option.connections = atoi(optarg);
            break;
        case 'a':
            option.active = atoi(optarg);
            break;
        case 'w':
            option.warm = atof(optarg);
            break;
        case 'd':
            option.window = atof(optarg);
            break;
        case 'n':
            option.total = atol(optarg);
            break;
        case 'm':
            option.minimum = atol(optarg);
            break;
        case 's':
            option.spread = atof(optarg);
            break;
        case 'g':
            option.grace = atof(optarg);
            break;
        case 'e':
            option.expected_events = atol(optarg);
            break;
        case 'P':
            option.probes_per_second = atoi(optarg);
            break;
        case 'b':
            prepare(&load_request, optarg);
            break;
        case 'q':
            prepare(&probe_request, optarg);
            break;
        default:
            exit(2);
        }
    }
    if (option.active == 0)
        option.active = option.connections;
}

static void send_probe(uint64_t now)
{
    static uint64_t due;
    static unsigned turn;
    if (option.probes_per_second == 0 || now < due)
        return;
    due = (due ? due : now) + 1000000000u / (unsigned)option.probes_per_second;
    if (due < now)
        due = now; /* no burst after a stall */
    struct connection *c = &probes[turn++ % PROBES];
    if (!c->busy)
        begin_request(c);
}

/* Starts what may start: in turn over all connections, so that each of them is used. */
static void send_load(double elapsed, bool over)
{
    static int turn;
    int allowed = option.connections;
    if (option.spread > 0 && elapsed < option.spread)
        allowed = (int)(option.connections * elapsed / option.spread);
    for (int tried = 0; !over && tried < option.connections && in_flight < option.active; tried++) {
        if (option.total > 0 && started >= option.total)
            return;
        struct connection *c = &pool[turn++ % option.connections];
        if (!c->busy && (int)(c - pool) < allowed)
            begin_request(c);
    }
}

static void turn_once(void)
{
    struct epoll_event ready[512];
    int n = epoll_wait(loop, ready, 512, 1);
    for (int i = 0; i < n; i++) {
        struct connection *c = ready[i].data.ptr;
        if (c->fd >= 0 && (ready[i].events & EPOLLOUT))
            write_more(c);
        if (c->fd >= 0 && (ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            readable(c);
    }
}

static void mark(long at[2])
{
    at[0] = done;
    at[1] = events;
    printf("mark\n");
    fflush(stdout);
}

static void report(double seconds, const long begin[2], const long end[2])
{
    printf(
        "{\"seconds\":%.6f,\"done\":%ld,\"events\":%ld,\"all_done\":%ld,\"all_events\":%ld,\"failed\":%ld,\"lost\":%ld",
        seconds, end[0] - begin[0], end[1] - begin[1], done, events, failed, in_flight);
    print_histogram("ttfb_us", &ttfb);
    print_histogram("latency_us", &latency);
    print_histogram("gap_us", &gap);
    print_histogram("delay_us", &delay);
    printf("}\n");
}

int main(int argc, char **argv)
{
    long begin[2] = {0}, end[2] = {0};
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    loop = epoll_create1(0);
    pool = calloc((size_t)option.connections, sizeof(*pool));
    if (pool == NULL || load_request.bytes == NULL || (option.probes_per_second && probe_request.bytes == NULL))
        return 2;
    for (int i = 0; i < option.connections; i++)
        pool[i].fd = -1;
    for (int i = 0; i < PROBES; i++)
        probes[i] = (struct connection){.fd = -1, .probe = true};

    const uint64_t start = now_ns();
    uint64_t from = 0, to = 0;
    while (to == 0 || in_flight > 0) {
        uint64_t now = now_ns();
        double elapsed = (double)(now - start) / 1e9;
        if (from == 0 && (elapsed >= option.warm || option.total > 0)) {
            from = now;
            measuring = true;
            mark(begin);
        }
        bool counted = option.total > 0 && started >= option.total && in_flight == 0;
        bool enough = done - begin[0] >= option.minimum || elapsed >= option.warm + option.window + option.grace;
        bool timed = option.total == 0 && from && elapsed >= option.warm + option.window && enough;
        if (to == 0 && (counted || timed)) {
            to = now;
            measuring = false;
            mark(end);
        }
        if (to && (double)(now - to) / 1e9 > option.grace)
            break;
        if (option.total > 0 && elapsed > option.warm + option.window + option.grace) {
            to = to ? to : now;
            break;
        }
        if (to == 0)
            send_probe(now);
        send_load(elapsed, to != 0);
        turn_once();
    }
    failed += in_flight;
    report((double)(to - from) / 1e9, begin, end);
    return 0;
}
