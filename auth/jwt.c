/*
 * JSON Web Tokens (RFC 7519) in compact form, taken apart. Nothing is verified here: what comes out names an account
 * for people, or says when a token ends; jwt_verify.c is what believes.
 */
#include <auth/protocol_impl.h>
#include <wire/base64.h>

enum { SKEW_S = 300, JWT_ARENA = 4 * 1024 * 1024 };

/* base64url without padding (RFC 7515 section 2); the decoder alone would take more. */
static bool is_base64url(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], low = (char)(c | 0x20);
        if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

const char *jwt_split(struct arena *a, struct ccp_span token, struct jwt *out)
{
    struct ccp_span *parts[] = {&out->header, &out->payload, &out->signature};
    struct ccp_span rest = token;

    if (token.n == 0 || token.n > JWT_MAX)
        return "it is longer than 64 KiB";
    for (size_t i = 0; i < 3; i++) {
        struct ccp_span one = ccp_span_of(rest.p, ccp_span_find(rest, '.'));
        if ((one.n == rest.n) != (i == 2) || !is_base64url(one))
            return "it is not a signed JWT in compact form";
        if (i == 2)
            out->signed_text = ccp_span_of(token.p, (size_t)(one.p - token.p) - 1);
        enum ccp_status status = base64_decode(a, one, parts[i]);
        if (status != CCP_OK)
            return status == CCP_OVERLOADED ? "out of memory" : "it is not a signed JWT in compact form";
        rest = ccp_span_skip(rest, one.n + 1);
    }
    return NULL;
}

struct ccp_json *jwt_claims(struct arena *a, struct ccp_span token)
{
    struct jwt jwt;
    struct ccp_json *claims;

    if (jwt_split(a, token, &jwt) != NULL || oauth_json(a, jwt.payload, &claims) != CCP_OK)
        return NULL;
    return claims;
}

bool jwt_expiry(struct ccp_span token, int64_t *exp)
{
    struct arena a;

    *exp = 0;
    arena_init_secret(&a, JWT_ARENA);
    bool known = oauth_integer(ccp_json_get(jwt_claims(&a, token), "exp"), exp) && *exp > 0;
    arena_end(&a);
    return known;
}

const char *jwt_times(const struct ccp_json *claims, int64_t now)
{
    const struct ccp_json *nbf = ccp_json_get(claims, "nbf"), *iat = ccp_json_get(claims, "iat");
    double exp, from;

    if (!oauth_number(ccp_json_get(claims, "exp"), &exp))
        return "it does not say when it ends (exp)";
    if (exp <= (double)now - SKEW_S)
        return "it has expired (exp)";
    if (nbf != NULL && (!oauth_number(nbf, &from) || from > (double)now + SKEW_S))
        return "it is not valid yet (nbf)";
    if (iat != NULL && (!oauth_number(iat, &from) || from > (double)now + SKEW_S))
        return "it was issued in the future (iat)";
    return NULL;
}
