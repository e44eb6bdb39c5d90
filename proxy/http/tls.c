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
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
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
    SSL_CTX_set_session_id_context(ctx, context_id, sizeof(context_id) - 1);
    h2o_ssl_register_alpn_protocols(ctx, http2 ? both : both + 1);
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
    ok = ok && (SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM) == 1 || fail(why, "key", t->key));
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

bool http_tls_reload(struct http_listeners *l, char why[HTTP_ERRBUF])
{
    struct tls *t = &l->tls;
    if (t->cert == NULL)
        return true;
    SSL_CTX *fresh = load(t, why);
    if (fresh == NULL)
        return false;
    pthread_mutex_lock(&t->lock);
    SSL_CTX *old = t->ctx;
    t->ctx = fresh;
    pthread_mutex_unlock(&t->lock);
    SSL_CTX_free(old);
    return true;
}
