/*
 * Binding the loopback listener: 127.0.0.1 and ::1 on one port, both or none (RFC 8252 section 7.3: the name
 * "localhost" may mean either, and whoever held the other half would receive codes meant for us).
 *
 * Never another address, and never SO_REUSEPORT, with which a second process could share the port. SO_REUSEADDR only
 * lets a registered port be used again while connections of the previous login linger; it does not share a listener.
 */
#include <auth/callback_impl.h>

#include <base/fault.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG   128
#define ANY_TRIES 16

enum bound { BOUND, ABSENT, TAKEN };

static enum bound listen_at(const struct sockaddr *at, socklen_t size, int *out)
{
    int on = 1, fd = CCP_FAULT("callback.socket")
                         ? (errno = EMFILE, -1)
                         : socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno == EAFNOSUPPORT ? ABSENT : TAKEN;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, at, size) == 0 && listen(fd, BACKLOG) == 0) {
        *out = fd;
        return BOUND;
    }
    int error = errno;
    close(fd);
    errno = error;
    return error == EADDRNOTAVAIL ? ABSENT : TAKEN;
}

static enum bound listen_v4(struct callback_sockets *s, uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    enum bound bound = listen_at((const struct sockaddr *)&at, sizeof(at), &s->fds[0]);
    if (bound != BOUND)
        return bound;
    s->n = 1;
    if (getsockname(s->fds[0], (struct sockaddr *)&at, &size) != 0)
        return TAKEN;
    s->port = ntohs(at.sin_port);
    return BOUND;
}

static enum bound listen_v6(struct callback_sockets *s)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(s->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    enum bound bound = listen_at((const struct sockaddr *)&at, sizeof(at), &s->fds[s->n]);
    s->n += bound == BOUND;
    return bound;
}

/* A machine without IPv6 has one listener; one whose ::1 half is taken by somebody has none. */
static bool listen_both(struct callback_sockets *s, uint16_t port)
{
    *s = (struct callback_sockets){.n = 0};
    if (listen_v4(s, port) == BOUND && listen_v6(s) != TAKEN)
        return true;
    int error = errno;
    for (size_t i = 0; i < s->n; i++)
        close(s->fds[i]);
    s->n = 0;
    errno = error;
    return false;
}

static void name_ports(const uint16_t *ports, char why[256])
{
    int error = errno;
    size_t n = 0;
    char list[96] = "";
    for (size_t i = 0; ports[i] != 0 && n < sizeof(list) - 12; i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%u", i != 0 ? ", " : "", ports[i]);
    bool one = ports[0] != 0 && ports[1] == 0;
    snprintf(why, 256,
             "the login's callback %s %s cannot be used on 127.0.0.1 and ::1 (%s): end the program that listens there, "
             "or log in with --manual",
             one ? "port" : "ports", list, strerror(error));
}

bool callback_bind(struct callback_sockets *s, const uint16_t *ports, char why[256])
{
    for (size_t i = 0; ports != NULL && ports[i] != 0; i++)
        if (listen_both(s, ports[i]))
            return true;
    /* Any port: one that is free on 127.0.0.1 may be taken on ::1. */
    for (int i = 0; ports == NULL && i < ANY_TRIES; i++)
        if (listen_both(s, 0))
            return true;
    if (ports != NULL)
        name_ports(ports, why);
    else
        snprintf(why, 256, "no port of 127.0.0.1 could be opened for the login's callback: %s", strerror(errno));
    return false;
}
