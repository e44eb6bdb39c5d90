/*
 * TLS of the listeners: one context, TLS 1.2 and up, replaced as a whole on reload.
 *
 * A new pair is loaded and checked completely before it takes the old one's place, so that no handshake sees a
 * certificate of one file with the key of another, and a broken file changes nothing.
 */
#include <http/http_impl.h>

#include <openssl/err.h>

static bool fail(char why[HTTP_ERRBUF], const char *what, const char *path)
{
    unsigned long code = ERR_peek_error(); /* the first says most; those after it say where it passed through */
    const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    snprintf(why, HTTP_ERRBUF, "%s %s: %s", what, path, reason != NULL ? reason : "refused");
    ERR_clear_error();
    return false;
}

static void set_rules(SSL_CTX *ctx, bool http2)
{
    static const h2o_iovec_t both[] = {{H2O_STRLIT("h2")}, {H2O_STRLIT("http/1.1")}, {NULL, 0}};
    static const unsigned char context_id[] = "ccproxy";
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384"); /* finite fields cost us milliseconds and the client nothing */
    SSL_CTX_set_session_id_context(ctx, context_id, sizeof(context_id) - 1);
    h2o_ssl_register_alpn_protocols(ctx, http2 ? both : both + 1);
}

/* A server cannot ask for a passphrase; without this OpenSSL would, on the terminal, and wait. */
static int no_passphrase(char *out, int size, int writing, void *asked)
{
    *(bool *)asked = true;
    return -1;
}

static bool load_key(SSL_CTX *ctx, const char *path, char why[HTTP_ERRBUF])
{
    bool asked = false;
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
    bool ok = SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1 || fail(why, "key", path);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (asked)
        snprintf(why, HTTP_ERRBUF, "key %s: has a passphrase, and a server has nobody to ask for it", path);
    return ok;
}

static SSL_CTX *load(const struct tls *t, char why[HTTP_ERRBUF])
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL) {
        fail(why, "TLS", "context");
        return NULL;
    }
    set_rules(ctx, t->http2);
    bool ok = SSL_CTX_use_certificate_chain_file(ctx, t->cert) == 1 || fail(why, "certificate", t->cert);
    ok = ok && load_key(ctx, t->key, why);
    ok = ok && (SSL_CTX_check_private_key(ctx) == 1 || fail(why, "key does not match the certificate:", t->key));
    if (!ok) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

bool tls_init(struct tls *t, const struct http_options *options, char why[HTTP_ERRBUF])
{
    *t = (struct tls){.http2 = options->http2};
    pthread_mutex_init(&t->lock, NULL);
    if (options->tls_cert == NULL && options->tls_key == NULL)
        return true;
    if (options->tls_cert == NULL || options->tls_key == NULL) {
        snprintf(why, HTTP_ERRBUF, "tls_cert and tls_key belong together: one of them is missing");
        return false;
    }
    t->cert = strdup(options->tls_cert);
    t->key = strdup(options->tls_key);
    if (t->cert == NULL || t->key == NULL) {
        snprintf(why, HTTP_ERRBUF, "no memory");
        return false;
    }
    t->ctx = load(t, why);
    return t->ctx != NULL;
}

void tls_release(struct tls *t)
{
    SSL_CTX_free(t->ctx);
    free(t->cert);
    free(t->key);
    pthread_mutex_destroy(&t->lock);
}

SSL_CTX *tls_ref(struct tls *t)
{
    if (t->cert == NULL)
        return NULL;
    pthread_mutex_lock(&t->lock);
    SSL_CTX *ctx = t->ctx;
    SSL_CTX_up_ref(ctx);
    pthread_mutex_unlock(&t->lock);
    return ctx;
}

bool http_tls_reload(struct http_listeners *l, const struct http_options *options, char why[HTTP_ERRBUF])
{
    struct tls *t = &l->tls, fresh;
    if ((t->cert == NULL) != (options->tls_cert == NULL)) {
        snprintf(why, HTTP_ERRBUF, "tls_cert and tls_key: to start or to stop TLS needs a restart");
        return false;
    }
    if (!tls_init(&fresh, options, why)) {
        tls_release(&fresh);
        return false;
    }
    pthread_mutex_lock(&t->lock);
    SSL_CTX *old = t->ctx;
    t->ctx = fresh.ctx;
    fresh.ctx = old;
    pthread_mutex_unlock(&t->lock);
    tls_release(&fresh);
    return true;
}
