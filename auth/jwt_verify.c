/*
 * An id_token that is believed: signature by a published key, then issuer, audience, nonce and times (OpenID Connect
 * Core section 3.1.3.7; RFC 8725).
 *
 * The algorithm is one of four, each bound to one type of key: "none" and HMAC do not exist here. Key material in the
 * token's own header (jwk, jku, x5u, x5c) is not looked at; `kid` is compared and nothing else.
 */
#include <auth/jwt_impl.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

enum { KEYS_MAX = 64, TRIED_MAX = 8, AUDIENCES_MAX = 32, VERIFY_ARENA = 8 * 1024 * 1024, P256_PART = 32 };

struct algorithm {
    const char *name, *type;
    bool digest; /* SHA-256 first */
    int padding; /* RSA */
};

static const struct algorithm algorithms[] = {
    {"RS256", "RSA", true, RSA_PKCS1_PADDING},
    {"PS256", "RSA", true, RSA_PKCS1_PSS_PADDING},
    {"ES256", "EC", true, 0},
    {"EdDSA", "OKP", false, 0},
};

static const struct algorithm *algorithm_of(struct ccp_span name)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (ccp_span_is(name, algorithms[i].name))
            return &algorithms[i];
    return NULL;
}

/* ---- signature ----------------------------------------------------------------------------------------------------
 */

/* r and s side by side (RFC 7518 section 3.4) as the DER that OpenSSL wants; length, 0 = not a signature. */
static int to_der(struct ccp_span signature, unsigned char out[80])
{
    int n = 0;

    if (signature.n != 2 * P256_PART)
        return 0;
    const unsigned char *p = (const unsigned char *)signature.p;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(p, P256_PART, NULL), *s = BN_bin2bn(p + P256_PART, P256_PART, NULL);
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* sig's now */
        n = i2d_ECDSA_SIG(sig, NULL) <= 80 ? i2d_ECDSA_SIG(sig, &out) : 0;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n > 0 ? n : 0;
}

static bool set_padding(EVP_PKEY_CTX *ctx, int padding)
{
    if (padding == 0)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1 &&
           (padding != RSA_PKCS1_PSS_PADDING || (EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
                                                 EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1));
}

static bool signed_by(EVP_PKEY *key, const struct algorithm *alg, const struct jwt *jwt)
{
    unsigned char der[80];
    struct ccp_span signature = jwt->signature;
    EVP_PKEY_CTX *ctx = NULL;
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    if (strcmp(alg->type, "EC") == 0)
        signature = ccp_span_of((const char *)der, (size_t)to_der(signature, der));
    bool good = md != NULL && signature.n != 0 &&
                EVP_DigestVerifyInit(md, &ctx, alg->digest ? EVP_sha256() : NULL, NULL, key) == 1 &&
                set_padding(ctx, alg->padding) &&
                EVP_DigestVerify(md, (const unsigned char *)signature.p, signature.n,
                                 (const unsigned char *)jwt->signed_text.p, jwt->signed_text.n) == 1;
    EVP_MD_CTX_free(md);
    ERR_clear_error();
    return good;
}

/* A key says what it is for in four ways; all that are there must agree. */
static bool suits(struct arena *a, const struct ccp_json *jwk, const struct algorithm *alg, const struct ccp_json *kid)
{
    const struct ccp_json *use = ccp_json_get(jwk, "use"), *for_alg = ccp_json_get(jwk, "alg");

    if (!ccp_span_is(oauth_text(a, ccp_json_get(jwk, "kty")), alg->type) ||
        (use != NULL && !ccp_span_is(oauth_text(a, use), "sig")) ||
        (for_alg != NULL && !ccp_span_is(oauth_text(a, for_alg), alg->name)))
        return false;
    return kid == NULL ||
           (kid->type == CCP_JSON_STRING && ccp_span_eq(oauth_text(a, kid), oauth_text(a, ccp_json_get(jwk, "kid"))));
}

static const char *verify_signature(struct arena *a, const struct jwt *jwt, const struct algorithm *alg,
                                    const struct ccp_json *kid, const struct ccp_json *set)
{
    const struct ccp_json *keys = ccp_json_get(set, "keys");
    size_t seen = 0, tried = 0;

    if (keys == NULL || keys->type != CCP_JSON_ARRAY)
        return "the server's key set is malformed";
    for (const struct ccp_json *k = keys->child; k != NULL && seen < KEYS_MAX && tried < TRIED_MAX;
         k = k->next, seen++) {
        if (!suits(a, k, alg, kid))
            continue;
        EVP_PKEY *key = jwt_key(a, k, alg->type);
        if (key == NULL)
            continue;
        tried++;
        bool good = signed_by(key, alg, jwt);
        EVP_PKEY_free(key);
        if (good)
            return NULL;
    }
    return tried != 0 ? "its signature is wrong" : "the server publishes no key for it";
}

/* ---- claims -------------------------------------------------------------------------------------------------------
 */

static bool is_text(struct arena *a, const struct ccp_json *value, struct ccp_span wanted)
{
    return value != NULL && value->type == CCP_JSON_STRING && ccp_span_eq(oauth_text(a, value), wanted);
}

static const char *check_audience(struct arena *a, const struct ccp_json *claims, struct ccp_span wanted)
{
    const struct ccp_json *aud = ccp_json_get(claims, "aud"), *azp = ccp_json_get(claims, "azp");
    bool found = is_text(a, aud, wanted);
    size_t n = 0;

    if (aud != NULL && aud->type == CCP_JSON_ARRAY && aud->count <= AUDIENCES_MAX)
        for (const struct ccp_json *one = aud->child; one != NULL; one = one->next, n++)
            found |= is_text(a, one, wanted);
    if (!found)
        return "it is for another client (aud)";
    if (azp != NULL ? !is_text(a, azp, wanted) : n > 1)
        return "it is for another client (azp)";
    return NULL;
}

static const char *check_claims(struct arena *a, const struct ccp_json *claims, const struct jwt_expect *expect)
{
    const char *why = jwt_times(claims, expect->now);

    if (why != NULL)
        return why;
    if (expect->issuer.n != 0 && !is_text(a, ccp_json_get(claims, "iss"), expect->issuer))
        return "it is of another issuer (iss)";
    if (expect->audience.n != 0 && (why = check_audience(a, claims, expect->audience)) != NULL)
        return why;
    if (expect->nonce.n != 0 && !pkce_same(oauth_text(a, ccp_json_get(claims, "nonce")), expect->nonce))
        return "it belongs to another login (nonce)";
    return NULL;
}

static const char *verify(struct arena *a, struct ccp_span token, struct ccp_span jwks, const struct jwt_expect *expect)
{
    struct jwt jwt;
    struct ccp_json *header, *claims, *set;
    const char *why = jwt_split(a, token, &jwt);

    if (why != NULL)
        return why;
    if (oauth_json(a, jwt.header, &header) != CCP_OK || oauth_json(a, jwt.payload, &claims) != CCP_OK)
        return "its header or payload is malformed";
    if (oauth_json(a, jwks, &set) != CCP_OK)
        return "the server's key set is malformed";
    const struct algorithm *alg = algorithm_of(oauth_text(a, ccp_json_get(header, "alg")));
    if (alg == NULL)
        return "its algorithm is not RS256, PS256, ES256 or EdDSA";
    if (ccp_json_get(header, "crit") != NULL) /* extensions that must be understood: none is (RFC 7515 4.1.11) */
        return "its header asks for extensions";
    why = verify_signature(a, &jwt, alg, ccp_json_get(header, "kid"), set);
    return why != NULL ? why : check_claims(a, claims, expect);
}

const char *jwt_verify(struct ccp_span token, struct ccp_span jwks, const struct jwt_expect *expect)
{
    struct arena a;

    arena_init_secret(&a, VERIFY_ARENA);
    const char *why = verify(&a, token, jwks, expect);
    arena_end(&a);
    return why;
}
