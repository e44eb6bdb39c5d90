/*
 * TLS: protocols, ALPN, reloading the certificate, a client that leaves behind TLS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server.c.inc"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

struct files {
    char dir[64], cert[96], key[96];
};

static void write_pair(const struct files *f, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *cert = fopen(f->cert, "w"), *pem = fopen(f->key, "w");
    assert_true(cert != NULL && pem != NULL);
    assert_int_equal(PEM_write_X509(cert, x), 1);
    assert_int_equal(PEM_write_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(cert);
    fclose(pem);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void files_open(struct files *f)
{
    snprintf(f->dir, sizeof(f->dir), "/tmp/ccp-tls-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->cert, sizeof(f->cert), "%s/cert.pem", f->dir);
    snprintf(f->key, sizeof(f->key), "%s/key.pem", f->dir);
    write_pair(f, "first");
}

static void files_close(const struct files *f)
{
    unlink(f->cert);
    unlink(f->key);
    rmdir(f->dir);
}

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd, result;
    char name[64], alpn[16];
};

static struct client client_open(struct server *s, const char *alpn, int max_version)
{
    struct client c = {.ctx = SSL_CTX_new(TLS_client_method()), .fd = dial(s)};
    SSL_CTX_set_min_proto_version(c.ctx, TLS1_VERSION);
    SSL_CTX_set_security_level(c.ctx, 0);
    if (max_version != 0)
        SSL_CTX_set_max_proto_version(c.ctx, max_version);
    c.ssl = SSL_new(c.ctx);
    if (alpn != NULL)
        SSL_set_alpn_protos(c.ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    SSL_set_fd(c.ssl, c.fd);
    c.result = SSL_connect(c.ssl);
    const unsigned char *chosen = NULL;
    unsigned n = 0;
    X509 *cert = c.result == 1 ? SSL_get1_peer_certificate(c.ssl) : NULL;
    if (cert != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, c.name, sizeof(c.name));
    X509_free(cert);
    SSL_get0_alpn_selected(c.ssl, &chosen, &n);
    copy(c.alpn, sizeof(c.alpn), ccp_span_of((const char *)chosen, n));
    return c;
}

static void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
    ERR_clear_error();
}

static void client_ask(struct client *c, const char *text, char *out, size_t max, const char *until)
{
    size_t n = 0;
    assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), (int)strlen(text));
    out[0] = '\0';
    while (strstr(out, until) == NULL) {
        int got = SSL_read(c->ssl, out + n, (int)(max - 1 - n));
        if (got <= 0)
            fail_msg("ended after: %s", out);
        n += (size_t)got;
        out[n] = '\0';
    }
}

static void tls_server(struct server *s, struct files *f)
{
    files_open(f);
    defaults(s);
    s->options.tls_cert = f->cert;
    s->options.tls_key = f->key;
    up(s);
}

static void protocols_and_alpn(void **state)
{
    static const struct {
        const char *offer, *chosen;
        int max;
        bool ok;
    } cases[] = {{"\2h2\10http/1.1", "h2", 0, true},
                 {"\10http/1.1", "http/1.1", 0, true},
                 {NULL, "", 0, true},
                 {"\3foo", "", 0, true},
                 {NULL, "", TLS1_2_VERSION, true},
                 {NULL, "", TLS1_1_VERSION, false}};
    struct server s;
    struct files f;
    tls_server(&s, &f);
    for (size_t i = 0; i < 6; i++) {
        struct client c = client_open(&s, cases[i].offer, cases[i].max);
        assert_int_equal(c.result == 1, cases[i].ok);
        assert_string_equal(c.alpn, cases[i].chosen);
        client_close(&c);
    }
    down(&s);
    files_close(&f);
}

static void requests_over_tls(void **state)
{
    struct server s;
    struct files f;
    char got[4096];
    tls_server(&s, &f);
    struct client c = client_open(&s, NULL, 0);
    client_ask(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", got, sizeof(got), "hello\n");
    assert_true(look(&s)->tls);
    client_ask(&c, "GET /stream/3/5 HTTP/1.1\r\nHost: a\r\n\r\n", got, sizeof(got), "0\r\n\r\n");
    assert_non_null(strstr(got, "data: 2\n\n"));
    assert_int_equal(SSL_write(c.ssl, "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n", 32), 32);
    WAIT_FOR(&s, s.seen.begun == 3);
    client_close(&c);
    WAIT_FOR(&s, s.seen.gone == 1 && s.conns == 0);
    c = client_open(&s, NULL, 0); /* HTTP/2 comes by ALPN only */
    client_ask(&c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", got, sizeof(got), "400 Bad Request");
    client_close(&c);
    down(&s);
    files_close(&f);
}

static void reload_takes_a_whole_pair_or_nothing(void **state)
{
    struct server s;
    struct files f, other;
    char why[HTTP_ERRBUF];
    tls_server(&s, &f);
    struct client c = client_open(&s, NULL, 0);
    assert_string_equal(c.name, "first");
    client_close(&c);
    files_open(&other);
    assert_int_equal(rename(other.key, f.key), 0); /* a key of another certificate */
    assert_false(http_tls_reload(s.listeners, &s.options, why));
    assert_non_null(strstr(why, f.key));
    c = client_open(&s, NULL, 0);
    assert_string_equal(c.name, "first");
    client_close(&c);
    write_pair(&f, "second");
    assert_true(http_tls_reload(s.listeners, &s.options, why));
    c = client_open(&s, NULL, 0);
    assert_string_equal(c.name, "second");
    client_close(&c);
    s.options.tls_cert = other.cert; /* other files */
    s.options.tls_key = other.key;
    write_pair(&other, "third");
    assert_true(http_tls_reload(s.listeners, &s.options, why));
    c = client_open(&s, NULL, 0);
    assert_string_equal(c.name, "third");
    client_close(&c);
    s.options.tls_cert = s.options.tls_key = NULL;
    assert_false(http_tls_reload(s.listeners, &s.options, why));
    assert_non_null(strstr(why, "restart"));
    down(&s);
    files_close(&other);
    files_close(&f);
}

/* OpenSSL would ask for the passphrase on the terminal, and the server would wait for ever. */
static void a_key_with_a_passphrase_is_refused(void **state)
{
    struct files f;
    struct server s;
    char why[HTTP_ERRBUF], word[] = "word";
    files_open(&f);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *pem = fopen(f.key, "w");
    assert_true(key != NULL && pem != NULL);
    assert_int_equal(PEM_write_PrivateKey(pem, key, EVP_aes_128_cbc(), (unsigned char *)word, 4, NULL, NULL), 1);
    fclose(pem);
    EVP_PKEY_free(key);
    defaults(&s);
    s.options.tls_cert = f.cert;
    s.options.tls_key = f.key;
    alarm(5); /* stands for "it waits" */
    assert_false(http_bind(&s.options, &s.listeners, why));
    alarm(0);
    assert_non_null(strstr(why, "passphrase"));
    files_close(&f);
}

static void a_broken_pair_is_refused_at_the_start(void **state)
{
    struct files f;
    struct server s;
    char why[HTTP_ERRBUF];
    files_open(&f);
    defaults(&s);
    s.options.tls_cert = f.cert;
    assert_false(http_bind(&s.options, &s.listeners, why));
    assert_non_null(strstr(why, "belong together"));
    s.options.tls_key = f.cert;
    assert_false(http_bind(&s.options, &s.listeners, why));
    assert_non_null(strstr(why, "key"));
    s.options.tls_cert = "/nonexistent";
    assert_false(http_bind(&s.options, &s.listeners, why));
    assert_non_null(strstr(why, "/nonexistent"));
    files_close(&f);
}

static void a_stopped_handshake_is_cut(void **state)
{
    struct server s;
    struct files f;
    char got[128];
    files_open(&f);
    defaults(&s);
    s.options.tls_cert = f.cert;
    s.options.tls_key = f.key;
    s.options.header_timeout_ms = 150;
    up(&s);
    int fd = dial(&s);
    assert_int_equal(write(fd, "\x16\x03\x01", 3), 3);
    assert_true(hear(fd, got, sizeof(got), NULL));
    close(fd);
    WAIT_FOR(&s, s.conns == 0);
    down(&s);
    files_close(&f);
}

int main(void)
{
    http_process_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocols_and_alpn),
        cmocka_unit_test(requests_over_tls),
        cmocka_unit_test(reload_takes_a_whole_pair_or_nothing),
        cmocka_unit_test(a_broken_pair_is_refused_at_the_start),
        cmocka_unit_test(a_key_with_a_passphrase_is_refused),
        cmocka_unit_test(a_stopped_handshake_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
