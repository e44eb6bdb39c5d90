/*
 * Binding: every address is bound before anything is served, without SO_REUSEPORT, so that a second server on
 * the same port is an error and not a silent partner. Workers share the sockets (accept.c).
 */
#include <http/http_impl.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG      1024
#define PORT_RETRIES 16

static bool fail(char why[HTTP_ERRBUF], const char *where, const char *what)
{
    snprintf(why, HTTP_ERRBUF, "%s: %s", where, what);
    return false;
}

static const char *reason(int error)
{
    if (error == EADDRINUSE)
        return "address already in use (is another server running?)";
    if (error == EACCES)
        return "no right to listen here (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
    return strerror(error);
}

/* False with errno. */
static bool listen_at(struct listener *l, const struct addrinfo *a)
{
    int on = 1;
    l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return false;
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6)
        setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(l->fd, a->ai_addr, a->ai_addrlen) == 0 && listen(l->fd, BACKLOG) == 0)
        return true;
    int saved = errno;
    close(l->fd);
    l->fd = -1;
    errno = saved;
    return false;
}

static void note_address(struct http_listeners *all, struct listener *l)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    getsockname(l->fd, (struct sockaddr *)&a, &len);
    peer_print(l->text, sizeof(l->text), (struct sockaddr *)&a);
    l->loopback = peer_is_loopback((struct sockaddr *)&a);
    if (all->port == 0)
        all->port = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                                  : ((struct sockaddr_in *)&a)->sin_port);
}

enum bound { BOUND, ABSENT, TAKEN, BROKEN };

/* Two names may stand for one address, as "127.0.0.1" and "localhost". */
static bool bound_before(const struct http_listeners *all, const char *text)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->list[i].text, text) == 0)
            return true;
    return false;
}

static enum bound bind_one(struct http_listeners *all, const struct addrinfo *a, char why[HTTP_ERRBUF])
{
    char text[HTTP_PEER_TEXT];
    peer_print(text, sizeof(text), a->ai_addr);
    if (bound_before(all, text))
        return BOUND;
    if (all->n == HTTP_MAX_LISTENERS)
        return fail(why, text, "too many addresses to listen on"), BROKEN;
    struct listener *l = &all->list[all->n];
    *l = (struct listener){.fd = -1};
    if (listen_at(l, a)) {
        note_address(all, l);
        all->n++;
        return BOUND;
    }
    int error = errno;
    fail(why, text, reason(error));
    if (a->ai_family == AF_INET6 && (error == EADDRNOTAVAIL || error == EAFNOSUPPORT))
        return ABSENT; /* a machine without IPv6 */
    return error == EADDRINUSE ? TAKEN : BROKEN;
}

static enum bound bind_host(struct http_listeners *all, struct ccp_span host, char why[HTTP_ERRBUF])
{
    char name[256], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = ccp_span_of(host.p + 1, host.n - 2);
    if (host.n == 0 || host.n >= sizeof(name))
        return fail(why, "server.host", "empty or too long"), BROKEN;
    memcpy(name, host.p, host.n);
    name[host.n] = '\0';
    snprintf(port, sizeof(port), "%d", all->port != 0 ? all->port : all->options.port);
    int code = getaddrinfo(ccp_span_is(host, "*") ? NULL : name, port, &hints, &found);
    if (code != 0)
        return fail(why, name, gai_strerror(code)), BROKEN;
    enum bound result = ABSENT;
    for (struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        enum bound one = bind_one(all, a, why);
        if (one != ABSENT)
            result = one;
        if (one == TAKEN || one == BROKEN)
            break;
        if (all->port != 0 && a->ai_next != NULL) { /* the others take the port the first one got */
            struct sockaddr *next = a->ai_next->ai_addr;
            if (next->sa_family == AF_INET6)
                ((struct sockaddr_in6 *)next)->sin6_port = htons(all->port);
            else
                ((struct sockaddr_in *)next)->sin_port = htons(all->port);
        }
    }
    freeaddrinfo(found);
    return result;
}

void http_listeners_close(struct http_listeners *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->list[i].fd >= 0)
            close(l->list[i].fd);
        l->list[i].fd = -1;
    }
}

static void close_all(struct http_listeners *l)
{
    http_listeners_close(l);
    l->n = 0;
    l->port = 0;
}

static enum bound bind_hosts(struct http_listeners *all, char why[HTTP_ERRBUF])
{
    for (size_t i = 0; i < all->options.host_count; i++) {
        enum bound result = bind_host(all, all->options.hosts[i], why);
        if (result == TAKEN || result == BROKEN)
            return result;
    }
    return all->n != 0 || all->options.host_count == 0 ? BOUND : ABSENT;
}

static bool bind_tcp(struct http_listeners *all, char why[HTTP_ERRBUF])
{
    enum bound result = bind_hosts(all, why);
    /* A port picked for the first address may be taken on the next one: pick again. */
    for (int i = 0; result == TAKEN && all->options.port == 0 && i < PORT_RETRIES; i++) {
        close_all(all);
        result = bind_hosts(all, why);
    }
    return result == BOUND;
}

/* May the path be replaced? Only a socket on which nobody answers. */
static bool clear_stale(const struct sockaddr_un *a, char why[HTTP_ERRBUF])
{
    struct stat st;
    if (lstat(a->sun_path, &st) != 0)
        return errno == ENOENT || fail(why, a->sun_path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return fail(why, a->sun_path, "exists and is not a socket");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(why, a->sun_path, strerror(errno));
    bool refused = connect(fd, (const struct sockaddr *)a, sizeof(*a)) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!refused)
        return fail(why, a->sun_path, "another server answers on this socket");
    return unlink(a->sun_path) == 0 || fail(why, a->sun_path, strerror(errno));
}

static bool bind_unix(struct http_listeners *all, char why[HTTP_ERRBUF])
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct listener *l = &all->list[all->n];
    unsigned mode = all->options.unix_socket_mode & 0777;
    struct stat st;
    if (strlen(all->options.unix_socket) >= sizeof(a.sun_path) || all->n == HTTP_MAX_LISTENERS)
        return fail(why, all->options.unix_socket, "path too long for a socket");
    memcpy(a.sun_path, all->options.unix_socket, strlen(all->options.unix_socket));
    if (!clear_stale(&a, why))
        return false;
    *l = (struct listener){.unix_socket = true, .loopback = true};
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return fail(why, a.sun_path, strerror(errno));
    mode_t old = umask(~mode & 0777); /* never wider than asked for, not even for a moment */
    bool ok = bind(l->fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    umask(old);
    if (!ok || chmod(a.sun_path, mode) != 0 || listen(l->fd, BACKLOG) != 0 || stat(a.sun_path, &st) != 0) {
        fail(why, a.sun_path, strerror(errno));
        close(l->fd);
        return false;
    }
    all->unix_dev = st.st_dev;
    all->unix_ino = st.st_ino;
    snprintf(l->text, sizeof(l->text), "unix:%s", a.sun_path);
    all->n++;
    return true;
}

static bool take_trusted(struct http_listeners *l, char why[HTTP_ERRBUF])
{
    size_t n = l->options.trusted_proxy_count;
    l->trusted = n != 0 ? calloc(n, sizeof(*l->trusted)) : NULL;
    if (n != 0 && l->trusted == NULL)
        return fail(why, "server.trusted_proxies", "no memory");
    for (size_t i = 0; i < n; i++) {
        if (!peer_net_parse(l->options.trusted_proxies[i], &l->trusted[i]))
            return fail(why, "server.trusted_proxies", "an entry is neither an address, a network nor \"unix\"");
        l->trusted_count++;
    }
    return true;
}

bool http_bind(const struct http_options *options, struct http_listeners **out, char why[HTTP_ERRBUF])
{
    struct http_listeners *l = calloc(1, sizeof(*l));
    *out = NULL;
    if (l == NULL)
        return fail(why, "listeners", "no memory");
    l->options = *options;
    bool ok = tls_init(&l->tls, options, why) && take_trusted(l, why) && bind_tcp(l, why) &&
              (options->unix_socket == NULL || bind_unix(l, why));
    if (!ok) {
        http_listeners_free(l);
        return false;
    }
    *out = l;
    return true;
}

void http_listeners_free(struct http_listeners *l)
{
    struct stat st;
    if (l == NULL)
        return;
    close_all(l);
    const char *path = l->options.unix_socket;
    if (l->unix_ino != 0 && lstat(path, &st) == 0 && st.st_dev == l->unix_dev && st.st_ino == l->unix_ino)
        unlink(path); /* still ours, not a successor's */
    tls_release(&l->tls);
    free(l->trusted);
    free(l);
}

size_t http_bound_count(const struct http_listeners *l)
{
    return l->n;
}

struct ccp_span http_bound(const struct http_listeners *l, size_t i)
{
    return ccp_span_z(l->list[i].text);
}

uint16_t http_port(const struct http_listeners *l)
{
    return l->port;
}

bool http_has_tls(const struct http_listeners *l)
{
    return l->tls.cert != NULL;
}

bool http_beyond_loopback(const struct http_listeners *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (!l->list[i].loopback)
            return true;
    return false;
}
