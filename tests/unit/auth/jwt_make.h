/*
 * Keys and signed tokens for tests, made with OpenSSL: what an identity provider does, right and wrong.
 */
#ifndef TEST_AUTH_JWT_MAKE_H
#define TEST_AUTH_JWT_MAKE_H

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include <base/arena.h>

static struct ccp_span b64(struct arena *a, const void *bytes, size_t n)
{
    char *out = arena_alloc(a, n / 3 * 4 + 8);
    int length = EVP_EncodeBlock((unsigned char *)out, bytes, (int)n);

    while (length != 0 && out[length - 1] == '=')
        length--;
    for (int i = 0; i < length; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    out[length] = '\0';
    return ccp_span_of(out, (size_t)length);
}

static struct ccp_span b64_bn(struct arena *a, const EVP_PKEY *key, const char *name, int width)
{
    unsigned char raw[1024];
    BIGNUM *n = NULL;

    if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
        abort();
    int length = width != 0 ? BN_bn2binpad(n, raw, width) : BN_bn2bin(n, raw);
    BN_free(n);
    return b64(a, raw, (size_t)length);
}

enum key_kind { KEY_RSA, KEY_EC, KEY_ED };

static EVP_PKEY *key_make(enum key_kind kind, unsigned bits)
{
    EVP_PKEY *key = kind == KEY_RSA  ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
                    : kind == KEY_EC ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", bits == 384 ? "P-384" : "P-256")
                                     : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (key == NULL)
        abort();
    return key;
}

/* `more`: further members with a comma in front. */
static struct ccp_span jwk_make(struct arena *a, const EVP_PKEY *key, enum key_kind kind, const char *kid,
                                const char *more)
{
    unsigned char raw[32];
    size_t n = sizeof(raw);

    if (kind == KEY_RSA)
        return arena_printf(a, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"%s}", kid,
                            b64_bn(a, key, OSSL_PKEY_PARAM_RSA_N, 0).p, b64_bn(a, key, OSSL_PKEY_PARAM_RSA_E, 0).p,
                            more);
    if (kind == KEY_EC)
        return arena_printf(a, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"%s}", kid,
                            b64_bn(a, key, OSSL_PKEY_PARAM_EC_PUB_X, 32).p,
                            b64_bn(a, key, OSSL_PKEY_PARAM_EC_PUB_Y, 32).p, more);
    if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
        abort();
    return arena_printf(a, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"x\":\"%s\"%s}", kid, b64(a, raw, n).p,
                        more);
}

static struct ccp_span jwks_make(struct arena *a, struct ccp_span key)
{
    return arena_printf(a, "{\"keys\":[%.*s]}", CCP_FMT(key));
}

/* r and s side by side. */
static size_t ec_raw(unsigned char *signature, size_t n)
{
    const unsigned char *at = signature;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)n);
    unsigned char raw[64];

    if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) != 32 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) != 32)
        abort();
    ECDSA_SIG_free(sig);
    memcpy(signature, raw, 64);
    return 64;
}

/* header.payload.signature; alg only decides how it is signed: "RS256", "PS256", "ES256", "EdDSA". */
static struct ccp_span jwt_make(struct arena *a, EVP_PKEY *key, const char *alg, const char *header,
                                const char *payload)
{
    struct ccp_span text =
        arena_printf(a, "%s.%s", b64(a, header, strlen(header)).p, b64(a, payload, strlen(payload)).p);
    unsigned char signature[1024];
    size_t n = sizeof(signature);
    EVP_PKEY_CTX *ctx = NULL;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ed = strcmp(alg, "EdDSA") == 0;

    if (EVP_DigestSignInit(md, &ctx, ed ? NULL : EVP_sha256(), NULL, key) != 1 ||
        (strcmp(alg, "PS256") == 0 && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
                                       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) != 1)) ||
        EVP_DigestSign(md, signature, &n, (const unsigned char *)text.p, text.n) != 1)
        abort();
    EVP_MD_CTX_free(md);
    if (strcmp(alg, "ES256") == 0)
        n = ec_raw(signature, n);
    return arena_printf(a, "%s.%s", text.p, b64(a, signature, n).p);
}

#endif
