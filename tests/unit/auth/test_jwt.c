/*
 * id_tokens: the four algorithms verify, and everything an attacker has tried on others does not (OAU-16).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <auth/protocol.h>
#include <base/fault.h>
#include <cmocka.h>
#include <openssl/pem.h>

#include "fixture.h"
#include "jwt_make.h"

#define NOW 1760000000
#define CLAIMS                                                                                                         \
    "{\"iss\":\"https://good.example\",\"aud\":\"client-1\",\"exp\":1760003600,\"iat\":1760000000,\"nonce\":\"n-1\"}"
#define HEADER(alg) "{\"alg\":\"" alg "\",\"kid\":\"k1\"}"

static struct arena arena;
static EVP_PKEY *rsa, *ec, *ed, *other;
static struct ccp_span rsa_set;
static size_t refused_count;

static const struct jwt_expect expect = {CCP_LIT("https://good.example"), CCP_LIT("client-1"), CCP_LIT("n-1"), NOW};

static int set_up(void **state)
{
    arena_init(&arena, NULL, 0);
    rsa = key_make(KEY_RSA, 2048);
    other = key_make(KEY_RSA, 2048);
    ec = key_make(KEY_EC, 256);
    ed = key_make(KEY_ED, 0);
    rsa_set = jwks_make(&arena, jwk_make(&arena, rsa, KEY_RSA, "k1", ",\"use\":\"sig\""));
    return 0;
}

static int tear_down(void **state)
{
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(other);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(ed);
    arena_end(&arena);
    return 0;
}

static void accepts(struct ccp_span token, struct ccp_span set)
{
    const char *why = jwt_verify(token, set, &expect);
    if (why != NULL)
        fail_msg("%s", why);
}

static void refuses(struct ccp_span token, struct ccp_span set, const char *part)
{
    const char *why = jwt_verify(token, set, &expect);
    if (why == NULL || strstr(why, part) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", why != NULL ? why : "(accepted)", part);
    refused_count++;
}

static struct ccp_span rs256(const char *payload)
{
    return jwt_make(&arena, rsa, "RS256", HEADER("RS256"), payload);
}

static void algorithms(void **state)
{
    static const struct {
        const char *alg, *header;
        enum key_kind kind;
    } rows[] = {{"RS256", HEADER("RS256"), KEY_RSA},
                {"PS256", HEADER("PS256"), KEY_RSA},
                {"ES256", HEADER("ES256"), KEY_EC},
                {"EdDSA", HEADER("EdDSA"), KEY_ED}};

    for (size_t i = 0; i < 4; i++) {
        EVP_PKEY *key = rows[i].kind == KEY_RSA ? rsa : rows[i].kind == KEY_EC ? ec : ed;
        struct ccp_span set = jwks_make(&arena, jwk_make(&arena, key, rows[i].kind, "k1", ""));
        struct ccp_span token = jwt_make(&arena, key, rows[i].alg, rows[i].header, CLAIMS);
        accepts(token, set);
        /* A bit of each part. */
        for (size_t at = 0; at < token.n; at += 7) {
            char *bad = (char *)(uintptr_t)arena_dup(&arena, token).p;
            bad[at] = bad[at] == 'A' ? 'B' : bad[at] == '.' ? '-' : 'A';
            if (memcmp(bad, token.p, token.n) != 0)
                assert_non_null(jwt_verify(ccp_span_of(bad, token.n), set, &expect));
        }
        /* The same key for another algorithm. */
        struct ccp_span bound = jwks_make(&arena, jwk_make(&arena, key, rows[i].kind, "k1", ",\"alg\":\"HS256\""));
        refuses(token, bound, "publishes no key");
        bound = jwks_make(&arena, jwk_make(&arena, key, rows[i].kind, "k1", ",\"use\":\"enc\""));
        refuses(token, bound, "publishes no key");
    }
}

/* The confusion of RFC 8725 section 2.1: the public key as an HMAC secret, in every form it is written down in. */
static void hmac_with_the_public_key(void)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *text;
    unsigned char mac[32];
    unsigned n = sizeof(mac);

    PEM_write_bio_PUBKEY(pem, rsa);
    long length = BIO_get_mem_data(pem, &text);
    struct ccp_span body = arena_printf(&arena, "%s.%s", b64(&arena, HEADER("HS256"), strlen(HEADER("HS256"))).p,
                                        b64(&arena, CLAIMS, strlen(CLAIMS)).p);
    const struct ccp_span secrets[] = {ccp_span_of(text, (size_t)length), b64_bn(&arena, rsa, OSSL_PKEY_PARAM_RSA_N, 0),
                                       rsa_set};
    for (size_t i = 0; i < 3; i++) {
        HMAC(EVP_sha256(), secrets[i].p, (int)secrets[i].n, (const unsigned char *)body.p, body.n, mac, &n);
        refuses(arena_printf(&arena, "%s.%s", body.p, b64(&arena, mac, n).p), rsa_set, "algorithm");
    }
    BIO_free(pem);
}

static void deep(void)
{
    char payload[2200], *at = payload;

    memset(at, '[', 1000);
    memset(at + 1000, ']', 1000);
    at[2000] = '\0';
    struct ccp_span text = arena_printf(&arena, "{\"exp\":1760003600,\"x\":%s}", payload);
    refuses(rs256(text.p), rsa_set, "malformed");
    refuses(jwt_make(&arena, rsa, "RS256", arena_printf(&arena, "{\"alg\":\"RS256\",\"x\":%s}", payload).p, CLAIMS),
            rsa_set, "malformed");
    assert_null(jwt_claims(&arena, rs256(text.p)));
}

static void attacks(void **state)
{
    struct ccp_span good = rs256(CLAIMS), none = {b64(&arena, "{\"alg\":\"none\"}", 14).p, 0};
    struct ccp_span set = rsa_set;

    accepts(good, set);
    none.n = strlen(none.p);
    struct ccp_span claims = b64(&arena, CLAIMS, strlen(CLAIMS));
    refuses(arena_printf(&arena, "%s.%s.", none.p, claims.p), set, "algorithm");
    refuses(arena_printf(&arena, "%s.%s", none.p, claims.p), set, "compact form");
    refuses(jwt_make(&arena, rsa, "RS256", "{\"alg\":\"None\"}", CLAIMS), set, "algorithm");
    refuses(jwt_make(&arena, rsa, "RS256", "{\"alg\":\"RS1\"}", CLAIMS), set, "algorithm");
    refuses(jwt_make(&arena, rsa, "RS256", "{\"kid\":\"k1\"}", CLAIMS), set, "algorithm");
    refuses(jwt_make(&arena, rsa, "RS256", "{\"alg\":[\"RS256\"]}", CLAIMS), set, "algorithm");
    hmac_with_the_public_key();
    /* RS256 said, PS256 signed, and the other way round; RSA said, EC key. */
    refuses(jwt_make(&arena, rsa, "PS256", HEADER("RS256"), CLAIMS), set, "signature");
    refuses(jwt_make(&arena, rsa, "RS256", HEADER("PS256"), CLAIMS), set, "signature");
    refuses(jwt_make(&arena, rsa, "RS256", HEADER("ES256"), CLAIMS), set, "publishes no key");
    /* Everything right, but another key; its own key inside; a key set by reference. */
    refuses(jwt_make(&arena, other, "RS256", HEADER("RS256"), CLAIMS), set, "signature");
    struct ccp_span own = jwk_make(&arena, other, KEY_RSA, "k1", "");
    refuses(jwt_make(&arena, other, "RS256",
                     arena_printf(&arena, "{\"alg\":\"RS256\",\"kid\":\"k1\",\"jwk\":%s}", own.p).p, CLAIMS),
            set, "signature");
    refuses(jwt_make(&arena, other, "RS256", "{\"alg\":\"RS256\",\"kid\":\"k1\",\"jku\":\"https://evil.example/jwks\"}",
                     CLAIMS),
            set, "signature");
    /* kid is a name, never a path. */
    refuses(jwt_make(&arena, rsa, "RS256", "{\"alg\":\"RS256\",\"kid\":\"../../x\"}", CLAIMS), set, "publishes no key");
    refuses(jwt_make(&arena, rsa, "RS256", "{\"alg\":\"RS256\",\"kid\":\"k1' OR 1=1\"}", CLAIMS), set,
            "publishes no key");
    refuses(jwt_make(&arena, rsa, "RS256", "{\"alg\":\"RS256\",\"kid\":7}", CLAIMS), set, "publishes no key");
    refuses(jwt_make(&arena, rsa, "RS256", "{\"alg\":\"RS256\",\"kid\":\"k1\",\"crit\":[\"exp\"]}", CLAIMS), set,
            "extensions");
    deep();
}

static void claims_of_others(void **state)
{
#define C(iss, aud, exp, nonce, more) "{\"iss\":" iss ",\"aud\":" aud ",\"exp\":" exp ",\"nonce\":" nonce more "}"
#define ISS                           "\"https://good.example\""
#define AUD                           "\"client-1\""
#define EXP                           "1760003600"
#define NON                           "\"n-1\""
    static const struct {
        const char *claims, *why;
    } rows[] = {
        {C("\"https://evil.example\"", AUD, EXP, NON, ""), "(iss)"},
        {C("\"https://good.example/\"", AUD, EXP, NON, ""), "(iss)"},
        {C("\"HTTPS://good.example\"", AUD, EXP, NON, ""), "(iss)"},
        {C("[" ISS "]", AUD, EXP, NON, ""), "(iss)"},
        {"{\"aud\":" AUD ",\"exp\":" EXP ",\"nonce\":" NON "}", "(iss)"},
        {C(ISS, "\"client-2\"", EXP, NON, ""), "(aud)"},
        {C(ISS, "\"client-11\"", EXP, NON, ""), "(aud)"},
        {C(ISS, "[]", EXP, NON, ""), "(aud)"},
        {C(ISS, "[\"client-2\"]", EXP, NON, ""), "(aud)"},
        {C(ISS, "{\"client-1\":1}", EXP, NON, ""), "(aud)"},
        {C(ISS, "[" AUD ",\"client-2\"]", EXP, NON, ""), "(azp)"},
        {C(ISS, AUD, EXP, NON, ",\"azp\":\"client-2\""), "(azp)"},
        {C(ISS, AUD, EXP, "\"n-2\"", ""), "(nonce)"},
        {C(ISS, AUD, EXP, "null", ""), "(nonce)"},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"exp\":" EXP "}", "(nonce)"},
        {C(ISS, AUD, "1759999699", NON, ""), "(exp)"},
        {C(ISS, AUD, "-1", NON, ""), "(exp)"},
        {C(ISS, AUD, "null", NON, ""), "(exp)"},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"nonce\":" NON "}", "(exp)"},
        {C(ISS, AUD, EXP, NON, ",\"nbf\":1760000301"), "(nbf)"},
        {C(ISS, AUD, EXP, NON, ",\"iat\":1760000301"), "(iat)"},
        {C(ISS, AUD, EXP, NON, ",\"iat\":\"now\""), "(iat)"},
        {C(ISS, AUD, EXP, NON, ",\"aud\":\"client-2\""), "malformed"}, /* twice */
        {"[]", "malformed"},
        {"{", "malformed"},
        {"", "malformed"},
    };
    static const char *const fine[] = {
        C(ISS, AUD, EXP, NON, ""),
        C(ISS, "[" AUD "]", EXP, NON, ""),
        C(ISS, "[\"client-2\"," AUD "]", EXP, NON, ",\"azp\":" AUD),
        C(ISS, AUD, "1759999701", NON, ",\"iat\":1760000300,\"nbf\":1760000300"),
        C(ISS, AUD, "1760003600.5", NON, ""),
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        refuses(rs256(rows[i].claims), rsa_set, rows[i].why);
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        accepts(rs256(fine[i]), rsa_set);
    const struct jwt_expect nothing = {.now = NOW};
    assert_null(jwt_verify(rs256("{\"exp\":1760003600}"), rsa_set, &nothing));
}

static void key_sets(void **state)
{
    struct ccp_span token = rs256(CLAIMS), n = b64_bn(&arena, rsa, OSSL_PKEY_PARAM_RSA_N, 0);
    static const char *const broken[] = {"", "[]", "{}", "{\"keys\":{}}", "{\"keys\":null}", "{\"keys\":[1,2]}"};
    EVP_PKEY *small = key_make(KEY_RSA, 1024), *p384 = key_make(KEY_EC, 384);

    for (size_t i = 0; i < 5; i++)
        refuses(token, ccp_span_z(broken[i]), "key set is malformed");
    refuses(token, ccp_span_z(broken[5]), "publishes no key");
    refuses(token, CCP_SPAN("{\"keys\":[]}"), "publishes no key");
    refuses(jwt_make(&arena, small, "RS256", HEADER("RS256"), CLAIMS),
            jwks_make(&arena, jwk_make(&arena, small, KEY_RSA, "k1", "")), "publishes no key");
    refuses(token, arena_printf(&arena, "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k1\",\"n\":\"%s\",\"e\":\"AQ\"}]}", n.p),
            "publishes no key"); /* e = 1: every text is its own signature */
    refuses(token, arena_printf(&arena, "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k1\",\"n\":\"%s\"}]}", n.p),
            "publishes no key");
    /* A point that is on no curve, and one of another curve. */
    struct ccp_span es = jwt_make(&arena, ec, "ES256", HEADER("ES256"), CLAIMS);
    struct ccp_span x = b64_bn(&arena, ec, OSSL_PKEY_PARAM_EC_PUB_X, 32);
    refuses(es,
            arena_printf(&arena,
                         "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k1\",\"x\":\"%s\",\"y\":\"%s\"}]}",
                         x.p, x.p),
            "publishes no key");
    struct ccp_span wide = b64_bn(&arena, p384, OSSL_PKEY_PARAM_EC_PUB_X, 48);
    refuses(es,
            arena_printf(&arena,
                         "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"kid\":\"k1\",\"x\":\"%s\",\"y\":\"%s\"}]}",
                         wide.p, wide.p),
            "publishes no key");
    /* The right one among others; without kid all are tried. */
    struct ccp_span mixed =
        arena_printf(&arena, "{\"keys\":[%s,%s,%s]}", jwk_make(&arena, other, KEY_RSA, "k1", "").p,
                     jwk_make(&arena, ec, KEY_EC, "k1", "").p, jwk_make(&arena, rsa, KEY_RSA, "k1", "").p);
    accepts(token, mixed);
    accepts(jwt_make(&arena, rsa, "RS256", "{\"alg\":\"RS256\"}", CLAIMS), mixed);
    EVP_PKEY_free(small);
    EVP_PKEY_free(p384);
}

static void shapes(void **state)
{
    struct ccp_span good = rs256(CLAIMS), big = {malloc(JWT_MAX + 1), JWT_MAX + 1};
    static const char *const wrong[] = {"", ".", "..", "...", "a.b", "a.b.c.d.e", "eyJhbGciOiJub25lIn0", "x.y.z"};

    memset((char *)(uintptr_t)big.p, 'A', big.n);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_non_null(jwt_verify(ccp_span_z(wrong[i]), rsa_set, &expect));
        assert_null(jwt_claims(&arena, ccp_span_z(wrong[i])));
    }
    assert_null(jwt_claims(&arena, big));
    refuses(big, rsa_set, "64 KiB");
    free((char *)(uintptr_t)big.p);
    refuses(arena_printf(&arena, "%s=", good.p), rsa_set, "compact form");
    refuses(arena_printf(&arena, " %s", good.p), rsa_set, "compact form");
    refuses(arena_printf(&arena, "%s\n", good.p), rsa_set, "compact form");
    refuses(arena_printf(&arena, "%s.x", good.p), rsa_set, "compact form");
    refuses(ccp_span_of(good.p, good.n - 1), rsa_set, "");
}

/* What is only shown: a vendor's file, unsigned. */
static void unverified(void **state)
{
    const struct ccp_json *tokens = ccp_json_get(fixture(&arena, "codex-auth.json"), "tokens");
    const struct ccp_json *claims = jwt_claims(&arena, fixture_text(&arena, tokens, "id_token"));
    int64_t exp;

    assert_true(ccp_span_is(fixture_text(&arena, claims, "email"), "user@example.com"));
    assert_true(
        ccp_span_is(fixture_text(&arena, ccp_json_get(claims, "https://api.openai.com/auth"), "chatgpt_account_id"),
                    "acc-fixture"));
    assert_true(jwt_expiry(fixture_text(&arena, tokens, "access_token"), &exp));
    assert_int_equal(exp, 1760003600);
    assert_false(jwt_expiry(CCP_SPAN("sk-ant-oat01-FIXTURE"), &exp));
    assert_int_equal(exp, 0);
    refuses(fixture_text(&arena, tokens, "id_token"), rsa_set, "algorithm");
}

static void memory_ends(void **state)
{
#ifdef CCP_FAULTS
    struct ccp_span token = rs256(CLAIMS);
    size_t n = 0;

    for (;; n++) {
        char spec[64];
        snprintf(spec, sizeof(spec), "alloc:%zu", n + 1);
        fault_arm(spec);
        const char *why = jwt_verify(token, rsa_set, &expect);
        fault_arm(NULL);
        if (why == NULL)
            break;
        assert_true(n < 1000);
    }
    assert_true(n >= 1);
#else
    skip();
#endif
}

static void figure(void **state)
{
    assert_true(refused_count > 60);
    printf("figure OAU-16 %zu of %zu forged or foreign id_tokens refused\n", refused_count, refused_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(algorithms), cmocka_unit_test(attacks),     cmocka_unit_test(claims_of_others),
        cmocka_unit_test(key_sets),   cmocka_unit_test(shapes),      cmocka_unit_test(unverified),
        cmocka_unit_test(figure),     cmocka_unit_test(memory_ends),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
