/*
 * id_tokens: no text at all verifies with a key whose private half nobody has, nothing verifies without the claims it
 * was asked for, and what is only read for display is an object of bounded depth.
 *
 * First byte: bit 0 = the rest is header, payload and signature in the clear, separated by line feeds, and is encoded
 * here; else it is the token, a line feed, and a key set.
 */
#include "fuzz.h"

#include <auth/protocol.h>

static const char keys[] =
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k1\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86"
    "zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FD"
    "W2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"
    "bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPks"
    "INHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\"},"
    "{\"kty\":\"EC\",\"kid\":\"k1\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\",\"y\":"
    "\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"},"
    "{\"kty\":\"OKP\",\"kid\":\"k1\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static struct ccp_span encode(struct arena *a, struct ccp_span s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *out = arena_alloc(a, s.n / 3 * 4 + 4);
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bits = bits << 8 | (unsigned char)s.p[i];
        for (have += 8; have >= 6; have -= 6)
            out[n++] = digits[bits >> (have - 6) & 63];
    }
    if (have != 0)
        out[n++] = digits[bits << (6 - have) & 63];
    return ccp_span_of(out, n);
}

static struct ccp_span line(struct ccp_span *rest)
{
    struct ccp_span one = ccp_span_of(rest->p, ccp_span_find(*rest, '\n'));
    *rest = ccp_span_skip(*rest, one.n + 1);
    return one;
}

static size_t depth_of(const struct ccp_json *v)
{
    size_t most = 0;
    for (const struct ccp_json *c = v->child; c != NULL; c = c->next) {
        size_t d = depth_of(c);
        most = d > most ? d : most;
    }
    return most + (v->type == CCP_JSON_ARRAY || v->type == CCP_JSON_OBJECT);
}

static void displayed(struct arena *a, struct ccp_span token)
{
    int64_t exp;
    struct ccp_json *claims = jwt_claims(a, token);
    bool known = jwt_expiry(token, &exp);

    MUST(claims == NULL || (claims->type == CCP_JSON_OBJECT && depth_of(claims) <= 32));
    MUST(known == (exp != 0) && exp >= 0);
    MUST(!known || (claims != NULL && ccp_json_get(claims, "exp") != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct jwt_expect expect = {CCP_LIT("https://i.example"), CCP_LIT("client-1"), CCP_LIT("n-1"), 1760000000};
    const struct jwt_expect another = {CCP_LIT("https://i.example"), CCP_LIT("client-1"), CCP_LIT("n-2"), 1760000000};
    struct arena a;
    struct ccp_span token, set = ccp_span_z(keys);

    if (size == 0)
        return 0;
    struct ccp_span rest = {(const char *)data + 1, size - 1};
    arena_init(&a, NULL, 0);
    if ((data[0] & 1) != 0) {
        const struct ccp_span parts[] = {encode(&a, line(&rest)), CCP_SPAN("."), encode(&a, line(&rest)), CCP_SPAN("."),
                                         encode(&a, rest)};
        token = arena_cat(&a, parts, 5);
    } else {
        token = line(&rest);
        set = rest;
    }
    displayed(&a, token);
    MUST(jwt_verify(token, ccp_span_z(keys), &expect) != NULL);
    if (jwt_verify(token, set, &expect) == NULL) /* a seed with its own key */
        MUST(jwt_verify(token, set, &another) != NULL);
    arena_end(&a);
    return 0;
}
