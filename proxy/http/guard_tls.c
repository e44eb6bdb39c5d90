/*
 * The first request over TLS may arrive with the client's last flight. h2o then handles it from the end of the
 * handshake, which can be a write callback of its own that the guard never sees: h2o_socket_ssl_handshake is replaced
 * so that this step, too, knows which connection is being served.
 */
#include <http/guard_impl.h>

#include <base/assert.h>

#include <h2o.h>

typedef void handshake_fn(h2o_socket_t *, SSL_CTX *, const char *, h2o_socket_cb);

static void guarded_handshake(h2o_socket_t *sock, const char *err)
{
    struct guard *g = guard_of(sock);
    CCP_ASSERT(g != NULL && g->handshake != NULL);
    if (guard_current() != NULL) { /* it ended in a read */
        g->handshake(sock, err);
        return;
    }
    guard_enter(g);
    g->handshake(sock, err);
    guard_leave(g);
}

GUARD_EXPORT void h2o_socket_ssl_handshake(h2o_socket_t *sock, SSL_CTX *ctx, const char *server_name, h2o_socket_cb cb)
{
    static _Atomic(void *) real; /* see guard_next_symbol */
    struct guard *g = guard_of(sock);
    if (g != NULL) {
        g->handshake = cb;
        cb = guarded_handshake;
    }
    ((handshake_fn *)guard_next_symbol(&real, "h2o_socket_ssl_handshake"))(sock, ctx, server_name, cb);
}
