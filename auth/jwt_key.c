/*
 * Public keys of a JSON Web Key Set (RFC 7517, 7518, 8037) as OpenSSL wants them.
 *
 * A key serves one algorithm family by its type, so a public RSA key can never become an HMAC secret. Sizes are bounded
 * both ways: weak keys prove nothing, and giant ones are a way to keep a processor busy.
 */
#include <auth/jwt_impl.h>
#include <wire/base64.h>

#include <openssl/core_names.h>
#include <openssl/param_build.h>

enum { RSA_MIN = 2048 / 8, RSA_MAX = 8192 / 8, EXPONENT_MAX = 8, P256 = 32, ED25519 = 32 };

/* A base64url member's bytes; empty when there is none. */
static struct ccp_span member(struct arena *a, const struct ccp_json *key, const char *name)
{
    struct ccp_span bytes, text = oauth_text(a, ccp_json_get(key, name));
    return text.n != 0 && base64_decode(a, text, &bytes) == CCP_OK ? bytes : CCP_SPAN("");
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = params != NULL ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;

    if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static struct ccp_span without_zeros(struct ccp_span s)
{
    while (s.n != 0 && s.p[0] == '\0')
        s = ccp_span_skip(s, 1);
    return s;
}

static EVP_PKEY *rsa_key(struct arena *a, const struct ccp_json *jwk)
{
    struct ccp_span n = without_zeros(member(a, jwk, "n")), e = without_zeros(member(a, jwk, "e"));

    if (n.n < RSA_MIN || n.n > RSA_MAX || e.n == 0 || e.n > EXPONENT_MAX || (e.p[e.n - 1] & 1) == 0 ||
        (e.n == 1 && e.p[0] == 1))
        return NULL;
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (modulus != NULL && exponent != NULL && build != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = from_params("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

/* OpenSSL checks that the point is on the curve. */
static EVP_PKEY *p256_key(struct arena *a, const struct ccp_json *jwk)
{
    struct ccp_span x = member(a, jwk, "x"), y = member(a, jwk, "y");
    unsigned char point[1 + 2 * P256] = {4}; /* uncompressed (SEC 1 section 2.3.3) */

    if (!ccp_span_is(oauth_text(a, ccp_json_get(jwk, "crv")), "P-256") || x.n != P256 || y.n != P256)
        return NULL;
    memcpy(point + 1, x.p, P256);
    memcpy(point + 1 + P256, y.p, P256);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (build != NULL && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1)
        key = from_params("EC", build);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static EVP_PKEY *ed25519_key(struct arena *a, const struct ccp_json *jwk)
{
    struct ccp_span x = member(a, jwk, "x");

    if (!ccp_span_is(oauth_text(a, ccp_json_get(jwk, "crv")), "Ed25519") || x.n != ED25519)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n);
}

EVP_PKEY *jwt_key(struct arena *a, const struct ccp_json *jwk, const char *type)
{
    if (strcmp(type, "RSA") == 0)
        return rsa_key(a, jwk);
    return strcmp(type, "EC") == 0 ? p256_key(a, jwk) : ed25519_key(a, jwk);
}
