/*
 * doctor: the addresses of [server] and the callback ports of logins. Each is bound for a moment and let go, the way
 * http/listener.c and auth/callback.c bind them; what is taken is asked whether it is a ccproxy.
 */
#include <app/doctor.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ADDRESS_TEXT = 80 };

int doctor_try_bind(const struct sockaddr *address, unsigned size)
{
    int on = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* an old connection's port is free */
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    int error = bind(fd, address, size) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static void print_address(const struct addrinfo *a, char out[ADDRESS_TEXT])
{
    char host[INET6_ADDRSTRLEN + 1] = "?", port[8] = "?";
    getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(out, ADDRESS_TEXT, a->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* `told`: has a server of ours already said how it is? */
static void look_at_address(struct doctor *d, const struct addrinfo *a, bool *told)
{
    char text[ADDRESS_TEXT];
    print_address(a, text);
    int error = doctor_try_bind(a->ai_addr, a->ai_addrlen);
    if (error == 0)
        doctor_ok(d, "%s is free", text);
    else if (error == EADDRINUSE && doctor_running(d, text, false, !*told))
        *told = true;
    else if (error == EADDRINUSE)
        doctor_fail(d, EXIT_UNAVAILABLE, "stop that program (ss -ltnp shows it), or set server.port",
                    "%s is in use, and not by a ccproxy that answers", text);
    else if (error == EACCES)
        doctor_fail(d, EXIT_UNAVAILABLE, "set server.port to 1024 or more, or give ccproxy CAP_NET_BIND_SERVICE",
                    "%s: no right to listen here", text);
    else if (a->ai_family == AF_INET6 && (error == EADDRNOTAVAIL || error == EAFNOSUPPORT))
        doctor_ok(d, "%s is left out: this machine does not have it", text);
    else
        doctor_fail(d, EXIT_UNAVAILABLE, "set server.host to an address of this machine", "%s: %s", text,
                    strerrordesc_np(error));
}

static void look_at_host(struct doctor *d, struct ccp_span host, int port, bool *told)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *all = NULL;
    char service[8];
    const char *name = doctor_text(d, "%.*s", CCP_FMT(host));
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        name = doctor_text(d, "%.*s", (int)host.n - 2, host.p + 1);
    snprintf(service, sizeof(service), "%d", port);
    int code = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, service, &hints, &all);
    if (code != 0)
        doctor_fail(d, EXIT_UNAVAILABLE, "set server.host to an address of this machine", "%s: %s", name,
                    gai_strerror(code));
    for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
        look_at_address(d, a, told);
    if (all != NULL)
        freeaddrinfo(all);
}

/* errno of a connect; 0 = somebody answers. */
static int try_connect(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int error = connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static void look_at_socket(struct doctor *d, const char *path, bool told)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof(a.sun_path)) {
        doctor_fail(d, EXIT_CONFIG, "choose a shorter path", "%s: longer than the path of a socket may be", path);
        return;
    }
    memcpy(a.sun_path, path, strlen(path));
    int error = lstat(path, &st) == 0 ? 0 : errno;
    if (error == ENOENT)
        doctor_ok(d, "unix socket %s is free", path);
    else if (error != 0)
        doctor_fail(d, EXIT_UNAVAILABLE, NULL, "unix socket %s: %s", path, strerrordesc_np(error));
    else if (!S_ISSOCK(st.st_mode))
        doctor_fail(d, EXIT_UNAVAILABLE, "remove it, or set server.unix_socket", "%s exists and is not a socket", path);
    else if ((error = try_connect(&a)) == ECONNREFUSED)
        doctor_ok(d, "unix socket %s was left behind; the next start replaces it", path);
    else if (error != 0)
        doctor_fail(d, EXIT_UNAVAILABLE, NULL, "unix socket %s: %s", path, strerrordesc_np(error));
    else if (!doctor_running(d, path, true, !told))
        doctor_fail(d, EXIT_UNAVAILABLE, "stop that program, or set server.unix_socket",
                    "unix socket %s is in use, and not by a ccproxy that answers", path);
}

void doctor_ports(struct doctor *d)
{
    const struct server_settings *s = &d->rt->settings.server;
    bool told = false;
    if (s->port == 0 && s->host.n != 0)
        doctor_ok(d, "server.port is 0: a free port is chosen at each start");
    for (size_t i = 0; i < s->host.n && s->port != 0; i++)
        look_at_host(d, s->host.v[i], (int)s->port, &told);
    if (s->unix_socket.n != 0)
        look_at_socket(d, s->unix_socket.p, told);
}

/* As the login itself does it: both loopback addresses, where the machine has both. */
static bool callback_is_free(uint16_t port)
{
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int error = doctor_try_bind((const struct sockaddr *)&v6, sizeof(v6));
    return doctor_try_bind((const struct sockaddr *)&v4, sizeof(v4)) == 0 &&
           (error == 0 || error == EADDRNOTAVAIL || error == EAFNOSUPPORT);
}

static void look_at_login(struct doctor *d, const struct oauth_provider *p)
{
    const char *ports = "";
    for (const uint16_t *port = p->ports; *port != 0; port++) {
        if (callback_is_free(*port)) {
            doctor_ok(d, "login %.*s: callback port %u is free", CCP_FMT(p->name), (unsigned)*port);
            return;
        }
        ports = doctor_text(d, "%s%s%u", ports, *ports != '\0' ? ", " : "", (unsigned)*port);
    }
    doctor_warn(
        d,
        (p->flags & CCP_OAUTH_DEVICE) != 0
            ? doctor_text(d, "free the port, or log in with: ccproxy auth login %.*s --device", CCP_FMT(p->name))
            : doctor_text(d, "free the port, or log in with: ccproxy auth login %.*s --manual", CCP_FMT(p->name)),
        "login %.*s: its callback port is in use (%s)", CCP_FMT(p->name), ports);
}

void doctor_callbacks(struct doctor *d)
{
    for (size_t i = 0; i < d->rt->login_count; i++)
        if ((d->rt->logins[i].flags & CCP_OAUTH_BROWSER) != 0 && d->rt->logins[i].ports != NULL &&
            d->rt->logins[i].ports[0] != 0)
            look_at_login(d, &d->rt->logins[i]);
}
