/*
 * TLS for the direct engine: OpenSSL on a non-blocking socket (RFC 8446, RFC 5246; names: RFC 9525).
 *
 * The peer is always verified against the trust store of the request and the name in its URL; there is no switch.
 * A session is resumed only for the same host under the same trust, since a resumed one is not verified anew. An
 * end without close_notify is a failure: a body that ends with its connection could have been cut.
 */
#include <upstream/direct_impl.h>

#include <base/fault.h>
#include <base/secret.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

/* Set for every session that may be resumed; with TLS 1.3 after the handshake, once or more. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct connection *c = SSL_get_app_data(ssl);

    if (c->era != c->u->era)
        return 0;
    SSL_SESSION_free(c->pool->session);
    c->pool->session = session;
    return 1; /* the reference is ours now */
}

SSL_CTX *tls_context(void *store)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL_CTX *ctx = CCP_FAULT("upstream.tls_context") ? NULL : SSL_CTX_new(TLS_client_method());

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set1_cert_store(ctx, store);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_read_ahead(ctx, 1); /* one system call for a record instead of two */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    if (SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) == 0)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* Whom the certificate must name. */
static bool set_peer(SSL *ssl, struct ccp_span host)
{
    char name[256];

    if (host.n != 0 && host.p[host.n - 1] == '.') /* certificates and SNI know no final dot */
        host.n--;
    if (host.n == 0 || host.n >= sizeof(name))
        return false;
    memcpy(name, host.p, host.n);
    name[host.n] = 0;
    if (url_is_ip(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

/* OpenSSL reads ahead; a read that did not fill its buffer took all that the socket had. */
static long on_bio(BIO *bio, int what, const char *p, size_t n, int i, long l, int result, size_t *done)
{
    (void)p, (void)i, (void)l;
    if (what == (BIO_CB_READ | BIO_CB_RETURN) && done != NULL)
        ((struct connection *)(void *)BIO_get_callback_arg(bio))->drained = result <= 0 || *done < n;
    return result;
}

bool tls_attach(struct connection *c, const struct ccp_transfer *t)
{
    struct trust *trust = t->trust;
    struct pool *pool = c->pool;

    if (trust == NULL && c->u->nobody == NULL)
        c->u->nobody = trust_nobody();
    if (trust == NULL)
        trust = c->u->nobody;
    c->secured = false;
    if (trust != NULL && !CCP_FAULT("upstream.tls"))
        c->ssl = SSL_new(trust_context(trust));
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 || !set_peer(c->ssl, t->url.host))
        return false;
    SSL_set_app_data(c->ssl, c);
    BIO_set_callback_arg(SSL_get_rbio(c->ssl), (char *)c);
    BIO_set_callback_ex(SSL_get_rbio(c->ssl), on_bio);
    SSL_set_connect_state(c->ssl);
    if (pool->session != NULL) { /* a ticket is for one use (RFC 8446 appendix C.4) */
        SSL_set_session(c->ssl, pool->session);
        SSL_SESSION_free(pool->session);
        pool->session = NULL;
    }
    return true;
}

static void explain(const struct connection *c, const char **why, char *text, size_t n)
{
    long verdict = SSL_get_verify_result(c->ssl);
    unsigned long error = ERR_peek_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

    *why = "TLS handshake failed";
    if (verdict != X509_V_OK) {
        *why = "TLS verification failed";
        reason = X509_verify_cert_error_string(verdict);
    } else if (reason == NULL || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        reason = "the connection was closed";
    }
    snprintf(text, n, "%s", reason);
}

enum io tls_handshake(struct connection *c, const char **why, char *text, size_t n)
{
    ERR_clear_error();
    int rc = CCP_FAULT("upstream.handshake") ? -1 : SSL_do_handshake(c->ssl);
    if (rc == 1) {
        c->secured = true;
        c->readable = true; /* bytes may be waiting inside */
        return IO_DONE;
    }
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return IO_AGAIN;
    default:
        c->broken = true;
        explain(c, why, text, n);
        ERR_clear_error();
        return IO_FAILED;
    }
}

static enum io read_error(struct connection *c, int rc)
{
    switch (SSL_get_error(c->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        c->readable = false;
        return IO_AGAIN;
    case SSL_ERROR_WANT_WRITE: /* a key update waits for room; the next event tries again */
        return IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return IO_END;
    default:
        c->broken = true;
        ERR_clear_error();
        return IO_FAILED;
    }
}

/* Takes record after record until the room is full or the socket empty. An end is found again by the next call. */
enum io tls_read(struct connection *c, char *p, size_t room, size_t *n)
{
    enum io result = c->broken ? IO_FAILED : IO_DONE;

    *n = 0;
    while (result == IO_DONE && *n < room) {
        if (*n != 0 && c->drained && !c->hup && SSL_has_pending(c->ssl) == 0) {
            c->readable = false;
            break;
        }
        size_t got = 0;
        ERR_clear_error();
        int rc = CCP_FAULT("upstream.tls_read") ? 0 : SSL_read_ex(c->ssl, p + *n, room - *n, &got);
        if (rc == 1)
            *n += got;
        else
            result = read_error(c, rc);
    }
    return *n != 0 ? IO_DONE : result;
}

/* Small pieces become one record. After AGAIN the caller comes back with the same bytes, as OpenSSL demands. */
enum io tls_write(struct connection *c, const struct iovec *v, int pieces, size_t *n)
{
    char *together = c->u->out + WRITE_BYTES;
    size_t have = 0, first = v[0].iov_len;
    const char *bytes = v[0].iov_base;

    if (first < WRITE_BYTES && pieces > 1) {
        for (int i = 0; i < pieces && have < WRITE_BYTES; i++) {
            size_t take = v[i].iov_len < WRITE_BYTES - have ? v[i].iov_len : WRITE_BYTES - have;
            memcpy(together + have, v[i].iov_base, take);
            have += take;
        }
        bytes = together;
    }
    ERR_clear_error();
    int rc = CCP_FAULT("upstream.tls_write") ? 0 : SSL_write_ex(c->ssl, bytes, have != 0 ? have : first, n);
    int error = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, rc);
    if (have != 0)
        secret_wipe(together, first); /* the head, with the credential in it */
    if (rc == 1)
        return IO_DONE;
    if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
        return IO_AGAIN;
    ERR_clear_error();
    return IO_FAILED;
}

bool tls_idle_ok(struct connection *c)
{
    size_t n;
    char byte;

    return tls_read(c, &byte, 1, &n) == IO_AGAIN;
}

void tls_detach(struct connection *c)
{
    if (c->ssl == NULL)
        return;
    if (c->secured && !c->broken) {
        (void)SSL_shutdown(c->ssl); /* close_notify, if it can leave at once */
        ERR_clear_error();
    }
    SSL_free(c->ssl);
    c->ssl = NULL;
}
