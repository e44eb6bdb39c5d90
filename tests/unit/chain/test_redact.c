/*
 * Secrets of ccproxy's own are hidden in whatever spelling and at whatever place they stand, and nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/clock.h>
#include <base/secret.h>
#include <chain/api_impl.h>

#include <stdio.h>
#include <stdlib.h>

static const char *const secrets[] = {"client-key-0123456789",   "sk-ant-api03-AbCdEf/ghi+JKL=mno",
                                      "operators-header-77",     "oauth-token-now-5555",
                                      "oauth-token-before-4444", "the-clients-own-key-99"};
enum { SECRETS = sizeof(secrets) / sizeof(secrets[0]) };

static struct stand {
    struct runtime rt;
    struct provider provider;
    struct security_key key;
    struct auth_credential now, before;
    struct ccp_header team[3], client[2];
    struct exchange x;
} stand;

static struct ccp_secret *secret(int i)
{
    return secret_new(ccp_span_z(secrets[i]));
}

static int build(void **state)
{
    struct stand *s = &stand;
    s->key = (struct security_key){.token = secret(0)};
    s->rt.settings.security.keys = (struct ccp_tables){&s->key, 1};
    s->provider.s.api_key = secret(1);
    s->team[0] = (struct ccp_header){CCP_SPAN("x-team-secret"), ccp_span_z(secrets[2])};
    s->team[1] = (struct ccp_header){CCP_SPAN("accept"), CCP_SPAN("application/json")};
    s->team[2] = (struct ccp_header){CCP_SPAN("x-short-key"), CCP_SPAN("abc")};
    s->provider.s.headers = (struct ccp_map){s->team, 3};
    s->rt.providers = &s->provider;
    s->rt.provider_count = 1;
    s->now.secret = secret(3);
    s->before.secret = secret(4);
    s->client[0] = (struct ccp_header){CCP_SPAN("authorization"), CCP_SPAN("Bearer the-clients-own-key-99")};
    s->client[1] = (struct ccp_header){CCP_SPAN("user-agent"), CCP_SPAN("an-agent/1.0-of-somebody")};
    s->x = (struct exchange){
        .rt = &s->rt, .credential = &s->now, .refused = &s->before, .headers = s->client, .header_count = 2};
    return 0;
}

static int clear(void **state)
{
    secret_unref(stand.key.token);
    secret_unref(stand.provider.s.api_key);
    secret_unref(stand.now.secret);
    secret_unref(stand.before.secret);
    return 0;
}

/* -- spellings, made by hand -- */

static size_t plain(char *out, const char *s)
{
    memcpy(out, s, strlen(s));
    return strlen(s);
}

static size_t percent_some(char *out, const char *s)
{
    size_t n = 0;
    for (size_t i = 0; s[i] != '\0'; i++)
        if (i % 3 == 0 || s[i] == '/' || s[i] == '+' || s[i] == '=')
            n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)s[i]);
        else
            out[n++] = s[i];
    return n;
}

static size_t percent_all(char *out, const char *s)
{
    size_t n = 0;
    for (size_t i = 0; s[i] != '\0'; i++)
        n += (size_t)snprintf(out + n, 4, "%%%02x", (unsigned char)s[i]);
    return n;
}

static size_t unicode(char *out, const char *s)
{
    size_t n = 0;
    for (size_t i = 0; s[i] != '\0'; i++)
        n += (size_t)snprintf(out + n, 7, i % 2 ? "\\u%04x" : "\\u%04X", (unsigned char)s[i]);
    return n;
}

static size_t slashes(char *out, const char *s)
{
    size_t n = 0;
    for (size_t i = 0; s[i] != '\0'; i++) {
        if (s[i] == '/')
            out[n++] = '\\';
        out[n++] = s[i];
    }
    return n;
}

static size_t base64(char *out, const char *before, const char *s, const char *alphabet)
{
    char text[300];
    size_t n = 0, all = (size_t)snprintf(text, sizeof(text), "%s%s%s", before, s, "tail");
    for (size_t i = 0; i + 2 < all; i += 3) {
        unsigned v = (unsigned)(unsigned char)text[i] << 16 | (unsigned)(unsigned char)text[i + 1] << 8 |
                     (unsigned char)text[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            out[n++] = alphabet[v >> shift & 63];
    }
    return n;
}

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char of_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t base64_0(char *out, const char *s)
{
    return base64(out, "", s, standard);
}
static size_t base64_1(char *out, const char *s)
{
    return base64(out, "u", s, of_urls);
}
static size_t base64_2(char *out, const char *s)
{
    return base64(out, "id", s, standard);
}
static size_t base64_5(char *out, const char *s)
{
    return base64(out, "user:", s, standard);
}

static size_t (*const spellings[])(char *out, const char *s) = {plain,    percent_some, percent_all, unicode, slashes,
                                                                base64_0, base64_1,     base64_2,    base64_5};
enum { SPELLINGS = sizeof(spellings) / sizeof(spellings[0]) };

/* How many bytes of a spelling may stay: of base64 what it shares with its neighbours. */
static size_t may_stay(size_t spelling)
{
    return spelling >= 5 ? 16 : 0;
}

static void every_spelling_of_every_secret(void **state)
{
    static const char before[] = "{\"error\": {\"message\": \"bad key ", behind[] = ", try another\"}}";
    unsigned checked = 0;
    for (size_t s = 0; s < SECRETS; s++)
        for (size_t k = 0; k < SPELLINGS; k++) {
            char text[2000], form[1000];
            size_t n = spellings[k](form, secrets[s]), at = sizeof(before) - 1, stay = 0;
            memcpy(text, before, at);
            memcpy(text + at, form, n);
            memcpy(text + at + n, behind, sizeof(behind) - 1);
            assert_int_equal(api_redact(&stand.x.pub, text, at + n + sizeof(behind) - 1), 1);
            assert_memory_equal(text, before, at);
            assert_memory_equal(text + at + n, behind, sizeof(behind) - 1);
            for (size_t i = 0; i < n; i++)
                stay += text[at + i] != '*';
            assert_true(stay <= may_stay(k));
            checked++;
        }
    printf("%u spellings hidden\n", checked);
}

/* Where a body was cut, what is left of a secret goes, too: whatever is longer than three bytes. */
static void cut_off_at_the_end(void **state)
{
    for (size_t k = 0; k < 5; k++) {
        char form[1000];
        size_t n = spellings[k](form, secrets[0]);
        for (size_t cut = 1; cut <= n; cut++) {
            char *text = malloc(cut + 3); /* exactly: reading behind it is an error */
            size_t left = 0;
            memcpy(text, "x: ", 3);
            memcpy(text + 3, form, cut);
            api_redact(&stand.x.pub, text, cut + 3);
            for (size_t i = 3; i < cut + 3; i++)
                left += text[i] != '*';
            free(text);
            assert_true(left <= (k == 3 ? 6 * 4 : k == 0 || k == 4 ? 5 : 3 * 4));
        }
    }
}

static void nothing_else(void **state)
{
    char text[] =
        "accept: application/json, an-agent/1.0-of-somebody said abc 100%% \\u0041\\n client-key-0123 \xff\xfe%";
    char copy[sizeof(text)];
    memcpy(copy, text, sizeof(text));
    assert_int_equal(api_redact(&stand.x.pub, copy, sizeof(text) - 1), 0);
    assert_memory_equal(copy, text, sizeof(text));
    char alone[] = "abc"; /* a short one, where it is all there is */
    assert_int_equal(api_redact(&stand.x.pub, alone, 3), 1);
    assert_memory_equal(alone, "***", 3);
}

static void twice_and_touching(void **state)
{
    char text[200];
    int n = snprintf(text, sizeof(text), "%s%s %s", secrets[0], secrets[0], secrets[3]);
    assert_int_equal(api_redact(&stand.x.pub, text, (size_t)n), 3);
    for (int i = 0; i < n; i++)
        assert_true(text[i] == '*' || text[i] == ' ');
}

static void what_it_costs(void **state)
{
    static char text[256 * 1024];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "the quick brown fox \\u00e4 sk-ant-api client 100%20 "[i % 51];
    uint64_t began = clock_us();
    assert_int_equal(api_redact(&stand.x.pub, text, sizeof(text)), 0);
    printf("256 KiB looked through in %llu us\n", (unsigned long long)(clock_us() - began));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_every_secret),
        cmocka_unit_test(cut_off_at_the_end),
        cmocka_unit_test(nothing_else),
        cmocka_unit_test(twice_and_touching),
        cmocka_unit_test(what_it_costs),
    };
    return cmocka_run_group_tests(tests, build, clear);
}
