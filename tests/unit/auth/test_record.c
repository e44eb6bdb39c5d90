/*
 * Records: what is read from both layouts and refused, what a new token changes and leaves, and that a text comes back
 * from any number of changes with everything in it that was not ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <auth/record_impl.h>
#include <base/buf.h>
#include <cmocka.h>
#include <stdio.h>

#define FULL                                                                                                           \
    "{\"version\":1,\"provider\":\"claude-api\",\"account\":\"default\",\"generation\":7,\"access_token\":\"at\","     \
    "\"refresh_token\":\"rt\",\"id_token\":\"it\",\"token_type\":\"Bearer\",\"scope\":\"a b\",\"obtained_at\":10,"     \
    "\"expires_in\":20,\"expires_at\":30,\"token_url\":\"https://t.example/x\",\"client_id\":\"c\","                   \
    "\"origins\":[\"https://a.example\",\"https://b.example\"],\"facts\":{\"email\":\"e@example.com\",\"n\":5},"       \
    "\"session\":{\"token\":\"st\",\"obtained_at\":1,\"expires_at\":2,\"refresh_at\":3,\"more\":[1, 2]},"              \
    "\"later\":{\"a\" : 1.50}}\n"

static const struct ccp_oauth_file claude = {
    .owner = "Claude Code",
    .access_token = "claudeAiOauth.accessToken",
    .refresh_token = "claudeAiOauth.refreshToken",
    .scopes = "claudeAiOauth.scopes",
    .expires_ms = "claudeAiOauth.expiresAt",
    .plan = "claudeAiOauth.subscriptionType",
};
static const struct ccp_oauth_file codex = {
    .owner = "Codex",
    .access_token = "tokens.access_token",
    .refresh_token = "tokens.refresh_token",
    .id_token = "tokens.id_token",
    .updated = "last_refresh",
    .account_id = "tokens.account_id",
};
static const struct ccp_oauth_file gemini = {
    .owner = "Gemini CLI",
    .access_token = "access_token",
    .refresh_token = "refresh_token",
    .id_token = "id_token",
    .scopes = "scope",
    .expires_ms = "expiry_date",
};

static char *written(const struct record *r)
{
    struct ccp_buf out;
    buf_init(&out, 4 * RECORD_MAX);
    assert_true(record_write(r, &out));
    assert_true(buf_add(&out, ccp_span_of("", 1)));
    return out.p;
}

static void assert_written(const struct record *r, const char *want)
{
    char *text = written(r);
    assert_string_equal(text, want);
    free(text);
}

static char *fixture(const char *name)
{
    char path[512], *text = calloc(1, 65536);
    snprintf(path, sizeof(path), "%s/auth/%s", FIXTURES, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

static struct record_token token(const char *access, const char *refresh)
{
    return (struct record_token){.access_token = ccp_span_z(access),
                                 .refresh_token = ccp_span_z(refresh),
                                 .obtained_at = 1760000000,
                                 .expires_in = 3600};
}

/* ---- our own layout ---- */

static void reads_and_writes_all(void **state)
{
    struct record r, copy;
    int64_t end;
    assert_null(record_parse(&r, NULL, CCP_SPAN(FULL)));
    assert_true(ccp_span_is(r.provider, "claude-api") && ccp_span_is(r.account, "default") && r.generation == 7);
    assert_true(ccp_span_is(r.access_token, "at") && ccp_span_is(r.refresh_token, "rt") &&
                ccp_span_is(r.id_token, "it"));
    assert_true(ccp_span_is(r.token_type, "Bearer") && ccp_span_is(r.scope, "a b"));
    assert_true(r.obtained_at == 10 && r.expires_at == 30 && ccp_span_is(r.client_id, "c"));
    assert_true(r.origin_count == 2 && r.fact_count == 1 && ccp_span_is(record_fact(&r, "email"), "e@example.com"));
    assert_true(record_fact(&r, "n").n == 0 && record_fact(&r, "none").n == 0);
    assert_true(record_may_go_to(&r, CCP_SPAN("https://b.example")));
    assert_false(record_may_go_to(&r, CCP_SPAN("https://b.example.evil")));
    assert_false(record_may_go_to(&r, CCP_SPAN("")));
    assert_true(ccp_span_is(record_bearer(&r, false, &end), "at") && end == 30);
    assert_true(ccp_span_is(record_bearer(&r, true, &end), "st") && end == 2 && r.session_refresh_at == 3);
    assert_written(&r, FULL);
    assert_true(record_copy(&copy, &r));
    record_release(&r);
    assert_written(&copy, FULL);
    record_release(&copy);
    record_release(&copy);
}

static const struct {
    const char *text, *why;
} bad[] = {
    {"", "not JSON"},
    {"null", "not an object"},
    {"[]", "not an object"},
    {"{", "not JSON"},
    {"{}", "version"},
    {"{\"access_token\":\"a\"}", "version"},
    {"{\"version\":\"1\",\"access_token\":\"a\"}", "version"},
    {"{\"version\":0,\"access_token\":\"a\"}", "version"},
    {"{\"version\":-1,\"access_token\":\"a\"}", "version"},
    {"{\"version\":2,\"access_token\":\"a\"}", "newer"},
    {"{\"version\":1}", "no access token"},
    {"{\"version\":1,\"access_token\":null}", "no access token"},
    {"{\"version\":1,\"access_token\":\"\"}", "no access token"},
    {"{\"version\":1,\"access_token\":5}", "not text"},
    {"{\"version\":1,\"access_token\":{\"a\":1}}", "not text"},
    {"{\"version\":1,\"access_token\":\"a\\nb\"}", "characters"},
    {"{\"version\":1,\"access_token\":\"a\\u0000\"}", "characters"},
    {"{\"version\":1,\"access_token\":\"\xc3\xa4\"}", "characters"},
    {"{\"version\":1,\"access_token\":\"\xff\"}", "not JSON"},
    {"{\"version\":1,\"access_token\":\"a\",\"access_token\":\"b\"}", "twice"},
    {"{\"version\":1,\"access_token\":\"a\",\"refresh_token\":[]}", "not text"},
    {"{\"version\":1,\"access_token\":\"a\",\"generation\":\"7\"}", "whole number"},
    {"{\"version\":1,\"access_token\":\"a\",\"expires_at\":1e9}", "whole number"},
    {"{\"version\":1,\"access_token\":\"a\",\"expires_at\":-5}", "whole number"},
    {"{\"version\":1,\"access_token\":\"a\",\"expires_at\":99999999999999999999}", "whole number"},
    {"{\"version\":1,\"access_token\":\"a\",\"origins\":\"https://a\"}", "origins"},
    {"{\"version\":1,\"access_token\":\"a\",\"origins\":[1]}", "origins"},
    {"{\"version\":1,\"access_token\":\"a\",\"origins\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", "origins"},
    {"{\"version\":1,\"access_token\":\"a\",\"facts\":[]}", "facts"},
    {"{\"version\":1,\"access_token\":\"a\",\"session\":1}", "session"},
    {"{\"version\":1,\"access_token\":\"a\",\"session\":{\"token\":\"\\t\"}}", "characters"},
    {"{\"version\":1,\"access_token\":\"a\",\"session\":{\"expires_at\":true}}", "whole number"},
    {"{\"version\":1,\"access_token\":\"a\",\"client_id\":false}", "text"},
};

static void refuses(void **state)
{
    struct record r;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *why = record_parse(&r, NULL, ccp_span_z(bad[i].text));
        if (why == NULL || strstr(why, bad[i].why) == NULL)
            fail_msg("%s: %s", bad[i].text, why != NULL ? why : "accepted");
        assert_null(r.arena.chunks);
        record_release(&r);
    }
    printf("figure CRD-06 %zu records that are none refused, each with its reason\n", sizeof(bad) / sizeof(bad[0]));
}

static void too_large(void **state)
{
    struct record r;
    char *text = malloc(RECORD_MAX + 2);
    int n = snprintf(text, RECORD_MAX, "{\"version\":1,\"access_token\":\"a\",\"x\":\"");
    memset(text + n, 'x', (size_t)(RECORD_MAX + 1 - n));
    memcpy(text + RECORD_MAX - 2, "\"}", 2);
    assert_null(record_parse(&r, NULL, ccp_span_of(text, RECORD_MAX)));
    record_release(&r);
    text[RECORD_MAX - 2] = 'x';
    memcpy(text + RECORD_MAX - 1, "\"}", 2);
    assert_non_null(record_parse(&r, NULL, ccp_span_of(text, RECORD_MAX + 1)));
    for (int i = n - 1; i + 2 < RECORD_MAX; i += 2)
        memcpy(text + i, i == n - 1 ? "[0" : ",0", 2);
    memcpy(text + RECORD_MAX - 3 + (n - 1 + RECORD_MAX - 2) % 2, "]}", 3);
    const char *why = record_parse(&r, NULL, ccp_span_z(text)); /* half a million nodes */
    assert_non_null(why);
    assert_non_null(strstr(why, "memory"));
    free(text);
}

/* More than a secret holds would be read, stored and never sent. */
static void token_that_no_secret_holds(void **state)
{
    static const char *const forms[] = {"{\"version\":1,\"access_token\":\"%s\"}",
                                        "{\"access_token\":\"%s\",\"refresh_token\":\"r\"}"};
    static char long_one[RECORD_TOKEN_MAX + 2], text[RECORD_TOKEN_MAX + 128];
    struct record r;
    memset(long_one, 'a', RECORD_TOKEN_MAX + 1);
    long_one[RECORD_TOKEN_MAX + 1] = '\0';
    for (size_t i = 0; i < 2; i++) {
        const struct ccp_oauth_file *layout = i == 0 ? NULL : &gemini;
        snprintf(text, sizeof(text), forms[i], long_one + 1);
        assert_null(record_parse(&r, layout, ccp_span_z(text)));
        record_release(&r);
        snprintf(text, sizeof(text), forms[i], long_one);
        const char *why = record_parse(&r, layout, ccp_span_z(text));
        assert_non_null(why);
        assert_non_null(strstr(why, "length"));
    }
}

static void a_refresh_keeps_what_it_does_not_say(void **state)
{
    struct record r;
    struct record_token t = token("at2", "");
    assert_null(record_parse(&r, NULL, CCP_SPAN(FULL)));
    t.facts[0] = (struct record_fact){CCP_SPAN("plan"), CCP_SPAN("max")};
    t.fact_count = 1;
    assert_true(record_set_token(&r, &t, false));
    assert_true(r.generation == 8 && r.expires_at == 1760003600 && ccp_span_is(r.refresh_token, "rt"));
    assert_true(ccp_span_is(r.id_token, "it") && ccp_span_is(r.scope, "a b") && ccp_span_is(r.session_token, "st"));
    assert_true(r.fact_count == 2 && ccp_span_is(record_fact(&r, "plan"), "max") && record_fact(&r, "email").n != 0);
    char *text = written(&r);
    assert_non_null(strstr(text, "\"facts\":{\"email\":\"e@example.com\",\"plan\":\"max\",\"n\":5}"));
    assert_non_null(strstr(text, "\"later\":{\"a\" : 1.50}"));
    free(text);
    record_release(&r);
}

static void a_new_login_forgets(void **state)
{
    struct record r;
    struct record_token t = token("at2", "rt2");
    assert_null(record_parse(&r, NULL, CCP_SPAN(FULL)));
    assert_true(record_set_token(&r, &t, true));
    assert_written(&r, "{\"version\":1,\"provider\":\"claude-api\",\"account\":\"default\",\"generation\":8,"
                       "\"access_token\":\"at2\",\"refresh_token\":\"rt2\",\"obtained_at\":1760000000,"
                       "\"expires_in\":3600,\"expires_at\":1760003600,\"token_url\":\"https://t.example/x\","
                       "\"client_id\":\"c\",\"origins\":[\"https://a.example\",\"https://b.example\"],"
                       "\"later\":{\"a\" : 1.50}}\n");
    record_release(&r);
}

static void from_nothing(void **state)
{
    struct record r, again;
    struct record_token t = token("a\"\\t", "rt");
    struct ccp_oauth_session s = {.token = CCP_SPAN("tid=1;x"), .expires_at = 500, .refresh_in = 25};
    struct ccp_span origins[RECORD_ORIGINS + 1] = {CCP_SPAN("https://a.example")};
    char *text;
    assert_true(record_new(&r, CCP_SPAN("copilot"), CCP_SPAN("work")));
    assert_true(r.generation == 0 && r.access_token.n == 0);
    assert_true(record_set_source(&r, CCP_SPAN("https://t"), CCP_SPAN("id"), origins, 1));
    assert_false(record_set_source(&r, CCP_SPAN("https://t"), CCP_SPAN("id"), origins, RECORD_ORIGINS + 1));
    assert_true(record_copy(&again, &r));
    assert_true(again.origin_count == 1 && again.access_token.n == 0);
    record_release(&again);
    assert_true(record_set_token(&r, &t, true) && record_set_session(&r, &s, 100));
    text = written(&r);
    assert_null(record_parse(&again, NULL, ccp_span_z(text)));
    assert_true(again.generation == 1 && ccp_span_is(again.access_token, "a\"\\t") && again.session_refresh_at == 125);
    assert_true(ccp_span_is(again.session_token, "tid=1;x") && again.session_obtained_at == 100);
    free(text);
    record_release(&again);
    record_release(&r);
}

static void tokens_that_could_not_be_read_back(void **state)
{
    struct record r;
    const char *const wrong[] = {"", "a\n", "\x7f", "\xc3\xa4", "a\tb"};
    assert_null(record_parse(&r, NULL, CCP_SPAN(FULL)));
    for (size_t i = 0; i < 5; i++) {
        struct record_token t = token(wrong[i], "rt"), u = token("at", i != 0 ? wrong[i] : "\r");
        struct ccp_oauth_session s = {.token = ccp_span_z(wrong[i])};
        assert_false(record_set_token(&r, &t, false));
        assert_false(record_set_token(&r, &u, false));
        assert_false(record_set_session(&r, &s, 1));
    }
    struct record_token far = token("at", "rt");
    far.expires_in = INT64_MAX;
    assert_true(record_set_token(&r, &far, false) && r.expires_at == INT64_MAX);
    record_release(&r);
}

static void too_many_facts(void **state)
{
    struct record r;
    char text[4096], name[8];
    int n = snprintf(text, sizeof(text), "{\"version\":1,\"access_token\":\"a\",\"facts\":{");
    for (int i = 0; i < 20; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s\"f%02d\":\"%d\"", i == 0 ? "" : ",", i, i);
    snprintf(text + n, sizeof(text) - (size_t)n, "}}");
    assert_null(record_parse(&r, NULL, ccp_span_z(text)));
    assert_int_equal(r.fact_count, RECORD_FACTS);
    char *out = written(&r);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "\"f%02d\"", i);
        char *at = strstr(out, name);
        assert_true(at != NULL && strstr(at + 1, name) == NULL);
    }
    free(out);
    record_release(&r);
}

static void hash_names_a_token(void **state)
{
    struct record r;
    char a[65], b[65];
    assert_null(record_parse(&r, NULL, CCP_SPAN(FULL)));
    record_refresh_hash(&r, a);
    assert_string_equal(a,
                        "cdffd5dd8ca8126c0482ba994814b9014cc9e973435d399f1cf1f69479e6b907"); /* printf rt | sha256sum */
    struct record_token t = token("at", "rt2");
    assert_true(record_set_token(&r, &t, false));
    record_refresh_hash(&r, b);
    assert_string_not_equal(a, b);
    record_release(&r);
}

/* ---- vendors' files ---- */

static void vendor_claude(void **state)
{
    char *text = fixture("claude-credentials.json");
    struct record r;
    assert_null(record_parse(&r, &claude, ccp_span_z(text)));
    assert_true(ccp_span_is(r.access_token, "sk-ant-oat01-FIXTURE") && r.expires_at == 1760028800 && r.generation == 0);
    assert_true(ccp_span_is(r.scope, "user:inference user:profile") && ccp_span_is(record_fact(&r, "plan"), "pro"));
    assert_true(record_may_go_to(&r, CCP_SPAN("https://any.example")));
    assert_written(&r, text);
    struct record_token t = token("new-access", "new-refresh");
    t.scope = CCP_SPAN("user:profile x");
    assert_true(record_set_token(&r, &t, false) && r.generation == 0);
    assert_written(
        &r, "{\n \"claudeAiOauth\": {\n  \"accessToken\": \"new-access\",\n  \"refreshToken\": \"new-refresh\",\n"
            "  \"expiresAt\": 1760003600000,\n  \"scopes\": [\"user:profile\",\"x\"],\n"
            "  \"subscriptionType\": \"pro\"\n },\n \"mcpOAuth\": {\n  \"other\": \"must be preserved\"\n }\n}\n");
    record_release(&r);
    free(text);
}

static void vendor_codex(void **state)
{
    char *text = fixture("codex-auth.json"), *out;
    struct record r;
    assert_null(record_parse(&r, &codex, ccp_span_z(text)));
    assert_true(r.expires_at == 1760003600 && ccp_span_is(record_fact(&r, "account_id"), "acc-fixture"));
    assert_written(&r, text);
    struct record_token t = token("opaque", "rt2");
    assert_true(record_set_token(&r, &t, false));
    out = written(&r);
    assert_non_null(strstr(out, "\"last_refresh\": \"2025-10-09T08:53:20.000000Z\""));
    assert_non_null(strstr(out, "\"access_token\": \"opaque\",\n"));
    assert_non_null(strstr(out, "\"OPENAI_API_KEY\": null,"));
    free(out);
    record_release(&r);
    free(text);
}

static void vendor_gemini(void **state)
{
    char *text = fixture("gemini-oauth-creds.json");
    struct record r;
    assert_null(record_parse(&r, &gemini, ccp_span_z(text)));
    assert_true(ccp_span_ends(r.scope, CCP_SPAN(" openid")) && r.expires_at == 1760003600);
    struct record_token t = token("n", "");
    t.scope = CCP_SPAN("x y");
    assert_true(record_set_token(&r, &t, false));
    char *out = written(&r);
    assert_non_null(strstr(out, "\"scope\": \"x y\""));
    assert_non_null(strstr(out, "\"refresh_token\": \"1//FIXTURE\""));
    free(out);
    record_release(&r);
    free(text);
}

static const struct {
    const char *before, *after;
} gaps[] = {
    {"{\"claudeAiOauth\":{\"accessToken\":\"a\"}}", "{\"claudeAiOauth\":{\"accessToken\":\"A\",\"refreshToken\":\"R\","
                                                    "\"scopes\":[\"s\"],\"expiresAt\":1760003600000}}"},
    {"{\n\t\"x\": 1,\n\t\"claudeAiOauth\": {\n\t\t\"accessToken\" : \"a\"\n\t}\n}",
     "{\n\t\"x\": 1,\n\t\"claudeAiOauth\": {\n\t\t\"accessToken\" : \"A\",\n\t\t\"refreshToken\" : "
     "\"R\",\n\t\t\"scopes\" : "
     "[\"s\"],\n\t\t\"expiresAt\" : 1760003600000\n\t}\n}"},
    {"{\"claudeAiOauth\":{\"refreshToken\":null,\"scopes\":null,\"expiresAt\":null,\"accessToken\":\"a\"}} ",
     "{\"claudeAiOauth\":{\"refreshToken\":\"R\",\"scopes\":[\"s\"],\"expiresAt\":1760003600000,\"accessToken\":\"A\"}}"
     " "},
};

static void vendor_missing_members_are_made(void **state)
{
    for (size_t i = 0; i < 3; i++) {
        struct record r;
        struct record_token t = token("A", "R");
        t.scope = CCP_SPAN("s");
        assert_null(record_parse(&r, &claude, ccp_span_z(gaps[i].before)));
        assert_true(record_set_token(&r, &t, false));
        assert_written(&r, gaps[i].after);
        record_release(&r);
    }
}

static void vendor_place_for_the_token_is_needed(void **state)
{
    static const struct ccp_oauth_file apart = {.owner = "x", .access_token = "a", .refresh_token = "b.c"};
    struct record r;
    struct ccp_buf out;
    struct record_token t = token("A", "R");
    assert_null(record_parse(&r, &apart, CCP_SPAN("{\"a\":\"x\"}")));
    assert_true(record_set_token(&r, &t, false));
    buf_init(&out, 1000);
    assert_false(record_write(&r, &out)); /* better an error than a lost refresh token */
    buf_release(&out);
    record_release(&r);
    assert_non_null(record_parse(&r, &claude, CCP_SPAN("{\"claudeAiOauth\":\"x\"}")));
    assert_non_null(
        record_parse(&r, &claude, CCP_SPAN("{\"claudeAiOauth\":{\"accessToken\":\"a\",\"expiresAt\":\"1\"}}")));
    assert_non_null(record_parse(&r, &claude, CCP_SPAN("{\"claudeAiOauth\":{\"accessToken\":\"a\",\"scopes\":[1]}}")));
}

static void vendor_wrote_in_the_meantime(void **state)
{
    struct record r, now;
    struct ccp_buf out;
    struct record_token t = token("A", "R");
    assert_null(record_parse(&r, &gemini, CCP_SPAN("{\"access_token\":\"a\",\"refresh_token\":\"r\",\"other\":1}")));
    assert_null(record_parse(&now, &gemini, CCP_SPAN("{ \"other\":2, \"access_token\":\"a2\" }")));
    assert_true(record_set_token(&r, &t, false));
    buf_init(&out, 1000);
    assert_true(record_foreign_write(&r, &now, &out) && buf_add(&out, ccp_span_of("", 1)));
    assert_string_equal(out.p, "{ \"other\":2, \"access_token\":\"A\", \"refresh_token\":\"R\", "
                               "\"expiry_date\":1760003600000 }");
    buf_release(&out);
    record_release(&r);
    record_release(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_all),
        cmocka_unit_test(refuses),
        cmocka_unit_test(too_large),
        cmocka_unit_test(token_that_no_secret_holds),
        cmocka_unit_test(a_refresh_keeps_what_it_does_not_say),
        cmocka_unit_test(a_new_login_forgets),
        cmocka_unit_test(from_nothing),
        cmocka_unit_test(tokens_that_could_not_be_read_back),
        cmocka_unit_test(too_many_facts),
        cmocka_unit_test(hash_names_a_token),
        cmocka_unit_test(vendor_claude),
        cmocka_unit_test(vendor_codex),
        cmocka_unit_test(vendor_gemini),
        cmocka_unit_test(vendor_missing_members_are_made),
        cmocka_unit_test(vendor_place_for_the_token_is_needed),
        cmocka_unit_test(vendor_wrote_in_the_meantime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
