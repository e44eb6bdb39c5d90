/*
 * Trust stores: the certificate authorities an upstream's certificate may come from.
 *
 * The system's bundle takes some 35 ms to parse, so it is parsed once and the store is shared, read-only, by
 * all threads and connections (OpenSSL counts and locks it). The environment (SSL_CERT_FILE) has no say.
 */
#include <upstream/direct_impl.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

struct trust {
    atomic_size_t references;
    X509_STORE *store;
    SSL_CTX *context; /* made with the store, so that no lock is needed later */
};

static bool add_certificate(X509_STORE *store, X509 *certificate)
{
    bool added = X509_STORE_add_cert(store, certificate) == 1;

    X509_free(certificate);
    return added;
}

/* Number of certificates read, -1 = a malformed one or no memory. */
static int read_bundle(X509_STORE *store, BIO *in)
{
    int n = 0;

    for (X509 *certificate; (certificate = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL)) != NULL; n++)
        if (!add_certificate(store, certificate))
            return -1;
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return at_end ? n : -1;
}

static const char *load_file(X509_STORE *store, const char *file)
{
    BIO *in = BIO_new_file(file, "r");

    ERR_clear_error();
    if (in == NULL)
        return "the CA file cannot be read";
    int n = read_bundle(store, in);
    BIO_free(in);
    if (n < 0)
        return "the CA file holds a malformed certificate";
    return n == 0 ? "the CA file holds no PEM certificate" : NULL;
}

static const char *fill(X509_STORE *store, const char *ca_file)
{
    if (load_file(store, SYSTEM_BUNDLE) != NULL && ca_file == NULL)
        return "no usable CA bundle in " SYSTEM_BUNDLE " (Debian package ca-certificates)";
    /* A listed certificate is trusted as it stands, also an intermediate one: what libcurl does by itself. */
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    return ca_file != NULL ? load_file(store, ca_file) : NULL;
}

struct trust *trust_nobody(void)
{
    struct trust *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    atomic_init(&t->references, 1);
    t->store = X509_STORE_new();
    t->context = t->store != NULL ? tls_context(t->store) : NULL;
    if (t->context != NULL)
        return t;
    trust_unref(t);
    return NULL;
}

struct trust *trust_load(const char *ca_file, const char **why)
{
    struct trust *t = trust_nobody();

    *why = "out of memory";
    if (t == NULL)
        return NULL;
    *why = fill(t->store, ca_file);
    if (*why == NULL)
        return t;
    trust_unref(t);
    return NULL;
}

struct trust *trust_ref(struct trust *trust)
{
    if (trust != NULL)
        atomic_fetch_add(&trust->references, 1);
    return trust;
}

void trust_unref(struct trust *trust)
{
    if (trust == NULL || atomic_fetch_sub(&trust->references, 1) != 1)
        return;
    SSL_CTX_free(trust->context);
    X509_STORE_free(trust->store);
    free(trust);
}

size_t trust_count(struct trust *trust)
{
    int n = sk_X509_OBJECT_num(X509_STORE_get0_objects(trust->store));

    return n > 0 ? (size_t)n : 0;
}

void *trust_context(struct trust *trust)
{
    return trust->context;
}

void trust_apply(const struct trust *trust, void *ssl_ctx)
{
    SSL_CTX_set1_cert_store(ssl_ctx, trust->store);
}
