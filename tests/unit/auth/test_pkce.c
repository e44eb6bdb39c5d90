/*
 * Proof keys: the vectors of RFC 7636, 100,000 fresh verifiers (OAU-01), and what happens without randomness.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <auth/protocol.h>
#include <base/fault.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "fixture.h"

static void vectors(void **state)
{
    struct arena a;
    size_t n = 0;

    arena_init(&a, NULL, 0);
    const struct ccp_json *list = ccp_json_get(fixture(&a, "pkce.json"), "vectors");
    for (const struct ccp_json *v = list->child; v != NULL; v = v->next, n++) {
        char got[PKCE_CHARS + 1];
        pkce_challenge(fixture_text(&a, v, "verifier"), got);
        assert_true(ccp_span_is(fixture_text(&a, v, "challenge"), got));
    }
    assert_int_equal(n, 3);
    arena_end(&a);
}

enum { VERIFIERS = 100000 };

static int by_text(const void *a, const void *b)
{
    return memcmp(a, b, PKCE_CHARS);
}

/* The challenge made with other functions: OpenSSL's own base64. */
static bool challenge_is_sha256(const char *verifier)
{
    unsigned char hash[SHA256_DIGEST_LENGTH], base64[64];
    char mine[PKCE_CHARS + 1];

    SHA256((const unsigned char *)verifier, PKCE_CHARS, hash);
    EVP_EncodeBlock(base64, hash, sizeof(hash));
    for (size_t i = 0; i < PKCE_CHARS; i++)
        base64[i] = base64[i] == '+' ? '-' : base64[i] == '/' ? '_' : base64[i];
    pkce_challenge(ccp_span_of(verifier, PKCE_CHARS), mine);
    return memcmp(mine, base64, PKCE_CHARS) == 0 && mine[PKCE_CHARS] == '\0';
}

static void many(void **state)
{
    char(*all)[PKCE_CHARS] = malloc((size_t)VERIFIERS * PKCE_CHARS);
    size_t seen[256] = {0}, doubles = 0, wrong = 0;

    for (size_t i = 0; i < VERIFIERS; i++) {
        char one[PKCE_CHARS + 1];
        assert_true(pkce_random(one));
        assert_int_equal(strlen(one), PKCE_CHARS);
        assert_int_equal(strspn(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), PKCE_CHARS);
        for (size_t k = 0; k < PKCE_CHARS; k++)
            seen[(unsigned char)one[k]]++;
        wrong += !challenge_is_sha256(one);
        memcpy(all[i], one, PKCE_CHARS);
    }
    qsort(all, VERIFIERS, PKCE_CHARS, by_text);
    for (size_t i = 1; i < VERIFIERS; i++)
        doubles += memcmp(all[i - 1], all[i], PKCE_CHARS) == 0;
    free(all);
    assert_int_equal(doubles, 0);
    assert_int_equal(wrong, 0);
    /* Each digit about as often as any other: 67,187 times, and 30 standard deviations are 7,700. */
    for (int c = 0; c < 256; c++)
        assert_true(seen[c] == 0 || (seen[c] > 59000 && seen[c] < 90000));
    printf("figure OAU-01 %d verifiers of 43 characters: 0 duplicates, %d challenges are S256\n", VERIFIERS,
           VERIFIERS - (int)wrong);
}

static void comparison(void **state)
{
    assert_true(pkce_same(CCP_SPAN("abc"), CCP_SPAN("abc")));
    assert_true(pkce_same(CCP_SPAN(""), CCP_SPAN("")));
    assert_false(pkce_same(CCP_SPAN("abc"), CCP_SPAN("abd")));
    assert_false(pkce_same(CCP_SPAN("abc"), CCP_SPAN("ab")));
    assert_false(pkce_same(CCP_SPAN("abc"), CCP_SPAN("")));
}

static void no_randomness(void **state)
{
#ifdef CCP_FAULTS
    char out[PKCE_CHARS + 1] = "untouched";
    fault_arm("pkce.random:1");
    assert_false(pkce_random(out));
    assert_string_equal(out, "");
    fault_arm(NULL);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(many),
        cmocka_unit_test(comparison),
        cmocka_unit_test(no_randomness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
