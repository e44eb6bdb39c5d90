/*
 * What the built-in providers do with a login: the requests they finish, and how they read their servers' answers. The
 * core's services are stood in for; whole flows are played by tests/blackbox.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/arena.h>
#include <ccproxy/ccproxy.h>
#include <wire/json.h>

extern const struct ccp_plugin ccp_plugin_claude_api, ccp_plugin_codex, ccp_plugin_copilot;

/* -- services -- */

static struct arena arena;
static struct {
    bool login;
    struct ccp_span endpoint, account;
    struct ccp_header client; /* the one header of the client's */
    enum ccp_status failed;
    char why[1024];
    bool no_memory;
} world;

static int start(void **state)
{
    arena_init(&arena, NULL, 0);
    memset(&world, 0, sizeof(world));
    return 0;
}

static int stop(void **state)
{
    arena_end(&arena);
    return 0;
}

static void *fake_alloc(struct ccp_exchange *x, size_t n)
{
    return world.no_memory ? NULL : arena_alloc(&arena, n);
}

static struct ccp_span fake_printf(struct ccp_exchange *x, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct ccp_span s = world.no_memory ? (struct ccp_span){NULL, 0} : arena_vprintf(&arena, fmt, ap);
    va_end(ap);
    return s;
}

static bool fake_uses_login(struct ccp_exchange *x)
{
    return world.login;
}

static struct ccp_span fake_fact(struct ccp_exchange *x, const char *name)
{
    return strcmp(name, "endpoint") == 0     ? world.endpoint
           : strcmp(name, "account_id") == 0 ? world.account
                                             : (struct ccp_span){"", 0};
}

static struct ccp_span fake_header(struct ccp_exchange *x, struct ccp_span name)
{
    return ccp_span_eq(world.client.name, name) ? world.client.value : (struct ccp_span){NULL, 0};
}

static enum ccp_verdict fake_fail(struct ccp_exchange *x, enum ccp_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(world.why, sizeof(world.why), fmt, ap);
    va_end(ap);
    world.failed = status;
    return CCP_FAILED;
}

static const struct ccp_api api = {.alloc = fake_alloc,
                                   .print = fake_printf,
                                   .uses_login = fake_uses_login,
                                   .credential_fact = fake_fact,
                                   .header = fake_header,
                                   .fail = fake_fail};
static struct ccp_exchange x = {&api};

static struct ccp_span sent(const struct ccp_upstream_request *r, const char *name, size_t *times)
{
    struct ccp_span value = {NULL, 0};
    *times = 0;
    for (size_t i = 0; i < r->header_count; i++)
        if (ccp_span_is(r->headers[i].name, name)) {
            (*times)++;
            if (value.p == NULL)
                value = r->headers[i].value;
        }
    return value;
}

#define SPAN_IS(span, text) assert_true(ccp_span_is(span, text))

static void prepare(const struct ccp_plugin *m, struct ccp_upstream_request *r)
{
    assert_int_equal(m->provider->prepare(NULL, &x, r), CCP_OK);
}

/* -- claude_api -- */

static void beta(const struct ccp_header *h, size_t n, const char *first, size_t lines)
{
    struct ccp_upstream_request r = {.headers = h, .header_count = n};
    size_t times;
    prepare(&ccp_plugin_claude_api, &r);
    SPAN_IS(sent(&r, "anthropic-beta", &times), first);
    assert_int_equal(times, lines);
}

static void claude_login_adds_one_word(void **state)
{
    const struct ccp_header other = {CCP_SPAN("user-agent"), CCP_SPAN("claude-cli/2.1")};
    const struct ccp_header none[] = {other}, empty[] = {{CCP_SPAN("anthropic-beta"), CCP_SPAN(" ")}},
                            list[] = {other,
                                      {CCP_SPAN("anthropic-beta"), CCP_SPAN("claude-code-20250219, context-1m")}},
                            there[] = {{CCP_SPAN("anthropic-beta"), CCP_SPAN("a, oauth-2025-04-20 ,b")}},
                            longer[] = {{CCP_SPAN("anthropic-beta"), CCP_SPAN("oauth-2025-04-201")}},
                            lines[] = {{CCP_SPAN("anthropic-beta"), CCP_SPAN("a")},
                                       {CCP_SPAN("anthropic-beta"), CCP_SPAN("oauth-2025-04-20")}};
    world.login = true;
    beta(none, 1, "oauth-2025-04-20", 1);
    beta(empty, 1, "oauth-2025-04-20", 1);
    beta(list, 2, "claude-code-20250219, context-1m,oauth-2025-04-20", 1);
    beta(there, 1, "a, oauth-2025-04-20 ,b", 1);
    beta(longer, 1, "oauth-2025-04-201,oauth-2025-04-20", 1);
    beta(lines, 2, "a", 2);
    world.login = false;
    beta(list, 2, "claude-code-20250219, context-1m", 1);
    struct ccp_upstream_request r = {.headers = list, .header_count = 2};
    prepare(&ccp_plugin_claude_api, &r);
    assert_ptr_equal(r.headers, list); /* with a key nothing is touched */
    world.login = world.no_memory = true;
    assert_int_equal(ccp_plugin_claude_api.provider->prepare(NULL, &x, &r), CCP_OVERLOADED);
}

/* -- codex -- */

static void codex_names_the_credentials_account(void **state)
{
    const struct ccp_header h[] = {{CCP_SPAN("originator"), CCP_SPAN("codex_exec")},
                                   {CCP_SPAN("chatgpt-account-id"), CCP_SPAN("of-the-client")}};
    struct ccp_upstream_request key = {.headers = h, .header_count = 2}, login = key, unknown = key;
    size_t times;
    prepare(&ccp_plugin_codex, &key);
    SPAN_IS(sent(&key, "chatgpt-account-id", &times), "of-the-client");
    world.login = true;
    prepare(&ccp_plugin_codex, &unknown);
    sent(&unknown, "chatgpt-account-id", &times);
    assert_int_equal(times, 0);
    world.account = CCP_SPAN("acc-1");
    prepare(&ccp_plugin_codex, &login);
    SPAN_IS(sent(&login, "chatgpt-account-id", &times), "acc-1");
    assert_int_equal(times, 1);
    SPAN_IS(sent(&login, "originator", &times), "codex_exec");
    world.no_memory = true;
    assert_int_equal(ccp_plugin_codex.provider->prepare(NULL, &x, &login), CCP_OVERLOADED);
}

/* -- copilot -- */

static void goes_to(const char *endpoint, const char *url, const char *want, bool literal)
{
    struct ccp_upstream_request r = {.url = ccp_span_z(url)};
    world.endpoint = ccp_span_z(endpoint);
    prepare(&ccp_plugin_copilot, &r);
    SPAN_IS(r.url, want);
    assert_int_equal(r.literal_host, literal);
}

#define BASE "https://api.githubcopilot.com"

static void copilot_goes_where_the_session_says(void **state)
{
    static const char *const refused[] = {"",
                                          "http://api.example.com",
                                          "ftp://x",
                                          "https://",
                                          "https://u@h",
                                          "https://h/path",
                                          "http://127.0.0.1.example.com",
                                          "http://127.0.0.1@example.com",
                                          "https://h?x",
                                          "https://h\\@evil",
                                          "http://localhost:1"};
    goes_to("https://api.business.githubcopilot.com", BASE "/models", BASE "/models", false); /* no login */
    world.login = true;
    goes_to("https://api.business.githubcopilot.com", BASE "/v1/messages?beta=true",
            "https://api.business.githubcopilot.com/v1/messages?beta=true", false);
    goes_to("https://api.individual.githubcopilot.com/", BASE "/responses",
            "https://api.individual.githubcopilot.com/responses", false);
    goes_to("http://127.0.0.1:8080", BASE "/models", "http://127.0.0.1:8080/models", true);
    goes_to("http://[::1]:8080", BASE "/models", "http://[::1]:8080/models", true);
    goes_to("https://elsewhere.example", "https://ghe.example/models", "https://ghe.example/models", false);
    goes_to("https://elsewhere.example", BASE ".evil.example/models", BASE ".evil.example/models", false);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        goes_to(refused[i], BASE "/models", BASE "/models", false);
}

static size_t vision(const char *body)
{
    struct ccp_upstream_request r = {.url = CCP_SPAN(BASE "/x"),
                                     .body = {CCP_SPAN("{\"model\":"), CCP_SPAN("\"m\""), ccp_span_z(body)},
                                     .body_pieces = 3};
    size_t times;
    prepare(&ccp_plugin_copilot, &r);
    sent(&r, "copilot-vision-request", &times);
    return times;
}

static void copilot_tells_of_images(void **state)
{
    assert_int_equal(vision("{\"type\":\"image_url\"}"), 1);
    assert_int_equal(vision("{\"type\" :\n \"input_image\"}"), 1);
    assert_int_equal(vision("{\"type\":\"image\",\"source\":{}}"), 1);
    assert_int_equal(vision("{\"text\":\"{\\\"type\\\":\\\"image\\\"}\"}"), 0);
    assert_int_equal(vision("{\"image\":{\"type\":\"string\"}}"), 0);
    assert_int_equal(vision("{\"media\":\"image\"}"), 0);
    assert_int_equal(vision("\"image\""), 0);
    assert_int_equal(vision(":\"image\""), 0);
    assert_int_equal(vision(""), 0);
    const struct ccp_header h[] = {{CCP_SPAN("copilot-vision-request"), CCP_SPAN("false")}};
    struct ccp_upstream_request r = {
        .headers = h, .header_count = 1, .body = {CCP_SPAN("{\"type\":\"image\"}")}, .body_pieces = 1};
    size_t times;
    prepare(&ccp_plugin_copilot, &r);
    SPAN_IS(sent(&r, "copilot-vision-request", &times), "false");
    assert_int_equal(times, 1);
}

static enum ccp_judgement judged(int status, const char *text)
{
    world.failed = CCP_OK;
    return ccp_plugin_copilot.provider->judge(NULL, &x, status, ccp_span_z(text));
}

static void copilot_says_which_header_is_missing(void **state)
{
    assert_int_equal(judged(400, "missing Editor-Version header for IDE auth"), CCP_ERROR);
    assert_non_null(strstr(world.why, "[plugins.copilot] headers = { \"editor-version\" = "));
    assert_int_equal(judged(403, "unknown Copilot-Integration-Id"), CCP_ERROR);
    assert_non_null(strstr(world.why, "\"copilot-integration-id\""));
    assert_int_equal(world.failed, CCP_BAD_REQUEST);
    world.client = (struct ccp_header){CCP_SPAN("copilot-integration-id"), CCP_SPAN("mine")};
    assert_int_equal(judged(403, "unknown Copilot-Integration-Id"), CCP_GIVE);
    assert_int_equal(judged(400, "model_not_supported"), CCP_GIVE);
    assert_int_equal(judged(429, "editor-version"), CCP_GIVE);
    assert_int_equal(world.failed, CCP_OK);
}

/* -- answers of login servers -- */

static char facts[1024];

static void note_fact(const struct ccp_oauth_call *call, const char *name, struct ccp_span value)
{
    size_t n = strlen(facts);
    if (value.n != 0)
        snprintf(facts + n, sizeof(facts) - n, "%s=%.*s;", name, CCP_FMT(value));
}

static struct ccp_span text_of(const struct ccp_oauth_call *call, const struct ccp_json *string)
{
    return string != NULL && string->type == CCP_JSON_STRING ? json_text(&arena, string->raw)
                                                             : (struct ccp_span){"", 0};
}

static bool number_of(const struct ccp_json *value, int64_t *out)
{
    struct ccp_span digits = value == NULL                    ? (struct ccp_span){"", 0}
                             : value->type == CCP_JSON_STRING ? ccp_json_inner(value)
                                                              : value->raw;
    char copy[24];
    if (digits.n == 0 || digits.n > 18)
        return false;
    memcpy(copy, digits.p, digits.n);
    copy[digits.n] = '\0';
    *out = strtoll(copy, NULL, 10);
    return true;
}

static struct ccp_span print_of(const struct ccp_oauth_call *call, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct ccp_span s = arena_vprintf(&arena, fmt, ap);
    va_end(ap);
    return s;
}

static struct ccp_oauth_call call_of(const struct ccp_oauth_provider *p, const struct ccp_json *claims)
{
    facts[0] = '\0';
    return (struct ccp_oauth_call){.client_id = ccp_span_z(p->client_id),
                                   .issuer = ccp_span_z(p->issuer != NULL ? p->issuer : ""),
                                   .token_url = ccp_span_z(p->token_url),
                                   .device_url = ccp_span_z(p->device_url != NULL ? p->device_url : ""),
                                   .claims = claims,
                                   .text = text_of,
                                   .number = number_of,
                                   .print = print_of,
                                   .fact = note_fact};
}

static struct ccp_json *json(const char *text)
{
    struct ccp_json *root;
    assert_int_equal(json_parse(&arena, ccp_span_z(text), &root, NULL), CCP_OK);
    return root;
}

static void claude_facts(void **state)
{
    const struct ccp_oauth_provider *p = ccp_plugin_claude_api.oauth;
    struct ccp_oauth_call call = call_of(p, NULL);
    assert_true(p->read_token(&call, json("{\"access_token\":\"secret\",\"organization\":{\"uuid\":\"o\",\"name\":"
                                          "\"Acme\"},\"account\":{\"uuid\":\"u\",\"email_address\":\"a@b.c\"}}")));
    assert_string_equal(facts, "email=a@b.c;account_id=u;organization=Acme;");
    call = call_of(p, NULL);
    assert_true(p->read_token(&call, json("{\"access_token\":\"secret\",\"account\":7,\"organization\":[]}")));
    assert_string_equal(facts, "");
}

static void codex_facts(void **state)
{
    const struct ccp_oauth_provider *p = ccp_plugin_codex.oauth;
    struct ccp_oauth_call call =
        call_of(p, json("{\"https://api.openai.com/auth\":{\"chatgpt_account_id\":\"acc\",\"chatgpt_plan_type\":"
                        "\"plus\"},\"https://api.openai.com/profile\":{\"email\":\"a@b.c\"}}"));
    assert_true(p->read_token(&call, json("{}")));
    assert_string_equal(facts, "email=a@b.c;account_id=acc;plan=plus;");
    call = call_of(p, NULL);
    assert_true(p->read_token(&call, json("{}")));
    assert_string_equal(facts, "");
}

static void codex_device_flow(void **state)
{
    const struct ccp_oauth_provider *p = ccp_plugin_codex.oauth;
    struct ccp_oauth_call call = call_of(p, NULL);
    struct ccp_oauth_device d = {.interval = 0};
    struct ccp_oauth_request r = {.url = {"", 0}};
    assert_true(p->device_request(&call, &d, &r));
    SPAN_IS(r.url, "https://auth.openai.com/api/accounts/deviceauth/usercode");
    SPAN_IS(r.body, "{\"client_id\":\"app_EMoamEEZ73f0CkXaXp7hrann\"}");
    SPAN_IS(r.content_type, "application/json");
    assert_int_equal(p->device_answer(&call, 404, NULL, &d), CCP_OAUTH_BROKEN); /* not switched on */
    assert_int_equal(p->device_answer(&call, 200,
                                      json("{\"device_auth_id\":\"da-1\",\"user_code\":\"AB-12\",\"interval\":\"7\"}"),
                                      &d),
                     CCP_OAUTH_PENDING);
    assert_int_equal(d.interval, 7);
    assert_int_equal(d.expires_in, 900);
    SPAN_IS(d.verification_uri, "https://auth.openai.com/codex/device");
    assert_true(p->device_request(&call, &d, &r));
    SPAN_IS(r.url, "https://auth.openai.com/api/accounts/deviceauth/token");
    SPAN_IS(r.body, "{\"device_auth_id\":\"da-1\",\"user_code\":\"AB-12\"}");
    assert_int_equal(p->device_answer(&call, 403, NULL, &d), CCP_OAUTH_PENDING);
    assert_int_equal(p->device_answer(&call, 404, NULL, &d), CCP_OAUTH_PENDING);
    assert_int_equal(p->device_answer(&call, 400, NULL, &d), CCP_OAUTH_BROKEN);
    assert_int_equal(p->device_answer(&call, 200, json("{\"authorization_code\":\"c\"}"), &d), CCP_OAUTH_BROKEN);
    assert_int_equal(p->device_answer(&call, 200, NULL, &d), CCP_OAUTH_BROKEN);
    assert_int_equal(p->device_answer(&call, 200, json("{\"authorization_code\":\"c\",\"code_verifier\":\"v\"}"), &d),
                     CCP_OAUTH_APPROVED);
    SPAN_IS(d.code, "c");
    SPAN_IS(d.code_verifier, "v");
    SPAN_IS(d.redirect_uri, "https://auth.openai.com/deviceauth/callback");
}

/* What would break out of the JSON that it is put into is refused. */
static void codex_device_flow_with_strange_codes(void **state)
{
    const struct ccp_oauth_provider *p = ccp_plugin_codex.oauth;
    struct ccp_oauth_call call = call_of(p, NULL);
    struct ccp_oauth_device d = {.interval = 0};
    struct ccp_oauth_request r = {.url = {"", 0}};
    static const char *const answers[] = {
        "{\"device_auth_id\":\"a\\\",\\\"x\\\":\\\"\",\"user_code\":\"AB\"}",
        "{\"device_auth_id\":\"a\",\"user_code\":\"\\u001b[2J\"}",
        "{\"device_auth_id\":\"a\"}",
        "{\"user_code\":\"AB\"}",
        "[]",
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        d = (struct ccp_oauth_device){.interval = 0};
        assert_int_equal(p->device_answer(&call, 200, json(answers[i]), &d), CCP_OAUTH_BROKEN);
    }
    d = (struct ccp_oauth_device){.device_code = CCP_SPAN("a\""), .user_code = CCP_SPAN("b")};
    assert_false(p->device_request(&call, &d, &r));
    d.device_code = CCP_SPAN("a");
    call.device_url = CCP_SPAN("https://idp.example/device");
    assert_false(p->device_request(&call, &d, &r));
}

static void copilot_session(void **state)
{
    const struct ccp_oauth_provider *p = ccp_plugin_copilot.oauth;
    struct ccp_oauth_call call = call_of(p, NULL);
    struct ccp_oauth_session s = {.expires_at = 0};
    assert_true(p->read_session(&call,
                                json("{\"token\":\"tid=1;exp=2\",\"expires_at\":1800000000,\"refresh_in\":1500,\"sku\":"
                                     "\"copilot_for_business_seat\",\"endpoints\":{\"api\":"
                                     "\"https://api.business.githubcopilot.com\",\"proxy\":\"https://p\"}}"),
                                &s));
    SPAN_IS(s.token, "tid=1;exp=2");
    assert_int_equal(s.expires_at, 1800000000);
    assert_int_equal(s.refresh_in, 1500);
    assert_string_equal(facts, "endpoint=https://api.business.githubcopilot.com;plan=copilot_for_business_seat;");
    assert_false(p->read_session(&call, json("{\"token\":\"\",\"expires_at\":1}"), &s));
    assert_false(p->read_session(&call, json("{\"token\":\"t\"}"), &s));
    assert_false(p->read_session(&call, json("{\"error_details\":{\"message\":\"no\"}}"), &s));
    assert_true(p->read_session(&call, json("{\"token\":\"t\",\"expires_at\":5}"), &s));
    assert_int_equal(s.refresh_in, 0);
}

/* What the CLI and the flows need to find in every record. */
static void records_are_whole(void **state)
{
    const struct ccp_plugin *all[] = {&ccp_plugin_claude_api, &ccp_plugin_codex, &ccp_plugin_copilot};
    for (size_t i = 0; i < 3; i++) {
        const struct ccp_oauth_provider *p = all[i]->oauth;
        assert_string_equal(p->name, all[i]->provider->login);
        assert_non_null(p->terms);
        assert_non_null(p->consent);
        assert_non_null(p->client_id);
        assert_true(!(p->flags & CCP_OAUTH_BROWSER) || (p->authorize_url != NULL && p->redirect_path[0] == '/'));
        assert_true(!(p->flags & CCP_OAUTH_PASTE) || p->paste_redirect != NULL);
        assert_true(!(p->flags & CCP_OAUTH_DEVICE) || p->device_url != NULL);
        assert_int_equal(p->device_request == NULL, p->device_answer == NULL);
        assert_int_equal(p->session_url == NULL, p->read_session == NULL);
        const char *urls[] = {p->issuer, p->authorize_url, p->token_url, p->revoke_url, p->device_url, p->session_url};
        for (size_t k = 0; k < 6; k++)
            assert_true(urls[k] == NULL || strncmp(urls[k], "https://", 8) == 0);
        assert_true(p->authorize_extra == NULL || strstr(p->authorize_extra, "originator") == NULL);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(claude_login_adds_one_word),
        T(codex_names_the_credentials_account),
        T(copilot_goes_where_the_session_says),
        T(copilot_tells_of_images),
        T(copilot_says_which_header_is_missing),
        T(claude_facts),
        T(codex_facts),
        T(codex_device_flow),
        T(codex_device_flow_with_strange_codes),
        T(copilot_session),
        T(records_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
