/*
 * Device logins: intervals (OAU-14), endings, dropped connections, hostile first answers, and a flow that is not RFC
 * 8628. Nothing sleeps: what is asserted is the interval that the caller is told to wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "script.h"

struct flow {
    struct party p;
    struct oauth_token t;
    struct ccp_oauth_device d;
    struct oauth_answer answer;
};

static void flow_init(struct flow *f)
{
    party_init(&f->p, CCP_OAUTH_DEVICE);
    oauth_token_init(&f->t);
}

static void flow_end(struct flow *f)
{
    oauth_token_release(&f->t);
    party_end(&f->p);
}

static enum oauth_result begin(struct flow *f, const char *body)
{
    script_json(f->p.server, 200, body);
    return oauth_device_begin(&f->p.p, NULL, &f->t, &f->d, &f->answer);
}

static enum ccp_oauth_poll poll_once(struct flow *f)
{
    return oauth_device_poll(&f->p.p, NULL, &f->t, &f->d, &f->answer);
}

static enum ccp_oauth_poll polled(struct flow *f, int status, const char *body)
{
    script_json(f->p.server, status, body);
    return poll_once(f);
}

#define BEGUN                                                                                                          \
    "{\"device_code\":\"dc\",\"user_code\":\"AB-12\",\"verification_uri\":\"https://v.example/d\",\"expires_in\":900}"

static void fixtures(void **state)
{
    static const struct {
        enum ccp_oauth_poll poll;
        int64_t interval;
    } want[] = {{CCP_OAUTH_PENDING, 5}, {CCP_OAUTH_SLOW_DOWN, 10}, {CCP_OAUTH_PENDING, 10}, {CCP_OAUTH_APPROVED, 10}};
    struct arena a;
    struct flow f;
    size_t n = 0;

    arena_init(&a, NULL, 0);
    flow_init(&f);
    const struct ccp_json *all = fixture(&a, "device-flow.json");
    struct ccp_span body = ccp_json_get(ccp_json_get(all, "start"), "body")->raw;
    assert_int_equal(begin(&f, arena_dup(&a, body).p), OAUTH_OK);
    assert_true(ccp_span_is(f.d.user_code, "ABCD-1234"));
    assert_true(ccp_span_is(f.d.verification_uri, "https://github.com/login/device"));
    assert_true(f.d.interval == 5 && f.d.expires_in == 900);
    assert_string_equal(script_body(f.p.server, 0), "client_id=client-1&scope=a%20b");
    for (const struct ccp_json *poll = ccp_json_get(all, "polls")->child; poll != NULL; poll = poll->next, n++) {
        int status = (int)strtol(ccp_json_get(poll, "status")->raw.p, NULL, 10);
        assert_int_equal(polled(&f, status, arena_dup(&a, ccp_json_get(poll, "body")->raw).p), want[n].poll);
        assert_int_equal(f.d.interval, want[n].interval);
    }
    assert_int_equal(n, 4);
    assert_string_equal(script_body(f.p.server, 1),
                        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=dc-fixture&"
                        "client_id=client-1");
    assert_true(ccp_span_is(f.t.token.access_token, "gho_FIXTURE"));
    assert_true(ccp_span_is(f.t.token.scope, "read:user"));
    for (const struct ccp_json *bad = ccp_json_get(all, "failures")->child; bad != NULL; bad = bad->next) {
        enum ccp_oauth_poll got = polled(&f, 200, arena_dup(&a, ccp_json_get(bad, "body")->raw).p);
        assert_true(got == CCP_OAUTH_EXPIRED || got == CCP_OAUTH_DENIED || got == CCP_OAUTH_BROKEN);
        assert_true(f.answer.text[0] != '\0' && strstr(f.answer.text, "dc-fixture") == NULL);
    }
    flow_end(&f);
    arena_end(&a);
}

static void intervals(void **state)
{
    struct flow f;
    int64_t seen[4];

    flow_init(&f);
    assert_int_equal(begin(&f, BEGUN), OAUTH_OK);
    seen[0] = f.d.interval; /* the default of RFC 8628 */
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(polled(&f, 400, "{\"error\":\"authorization_pending\"}"), CCP_OAUTH_PENDING);
        assert_int_equal(f.d.interval, seen[i - 1]);
        assert_int_equal(polled(&f, i % 2 != 0 ? 400 : 200, "{\"error\":\"slow_down\"}"), CCP_OAUTH_SLOW_DOWN);
        seen[i] = f.d.interval;
    }
    assert_true(seen[0] == 5 && seen[1] == 10 && seen[2] == 15 && seen[3] == 20);
    /* Connections that drop keep it; so do servers that are ill. */
    script_close(f.p.server);
    assert_int_equal(poll_once(&f), CCP_OAUTH_PENDING);
    script_raw(f.p.server, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", 40, false);
    assert_int_equal(poll_once(&f), CCP_OAUTH_PENDING);
    assert_int_equal(polled(&f, 502, "<html>"), CCP_OAUTH_PENDING);
    assert_int_equal(f.d.interval, 20);
    assert_int_equal(polled(&f, 400, "{\"error\":\"expired_token\"}"), CCP_OAUTH_EXPIRED);
    assert_int_equal(polled(&f, 400, "{\"error\":\"access_denied\"}"), CCP_OAUTH_DENIED);
    /* More than 5 s when the server says so, never less, never without end. */
    assert_int_equal(polled(&f, 400, "{\"error\":\"slow_down\",\"interval\":60}"), CCP_OAUTH_SLOW_DOWN);
    assert_int_equal(f.d.interval, 60);
    assert_int_equal(polled(&f, 400, "{\"error\":\"slow_down\",\"interval\":1}"), CCP_OAUTH_SLOW_DOWN);
    assert_int_equal(f.d.interval, 65);
    assert_int_equal(polled(&f, 429, "{}"), CCP_OAUTH_SLOW_DOWN);
    assert_int_equal(f.d.interval, 70);
    f.p.p.total_ms = 200;
    script_raw(f.p.server, "", 0, true);
    assert_int_equal(poll_once(&f), CCP_OAUTH_PENDING); /* too slow: half as often (RFC 8628 section 3.5) */
    assert_int_equal(f.d.interval, 140);
    assert_int_equal(polled(&f, 400, "{\"error\":\"slow_down\",\"interval\":1e18}"), CCP_OAUTH_SLOW_DOWN);
    assert_int_equal(f.d.interval, 145);
    assert_int_equal(polled(&f, 400, "{\"error\":\"slow_down\",\"interval\":100000}"), CCP_OAUTH_SLOW_DOWN);
    assert_int_equal(f.d.interval, 600);
    flow_end(&f);
    printf("figure OAU-14 slow_down x3: %d, %d, %d, %d s; drops and 502 keep polling; expired and denied end\n",
           (int)seen[0], (int)seen[1], (int)seen[2], (int)seen[3]);
}

static void endings(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum ccp_oauth_poll poll;
    } rows[] = {
        {400, "{\"error\":\"invalid_grant\"}", CCP_OAUTH_BROKEN},
        {401, "{\"error\":\"invalid_client\"}", CCP_OAUTH_BROKEN},
        {200, "{\"error\":\"device_flow_disabled\"}", CCP_OAUTH_BROKEN},
        {200, "{}", CCP_OAUTH_BROKEN},
        {200, "<html>", CCP_OAUTH_BROKEN},
        {200, "{\"access_token\":\"a b\"}", CCP_OAUTH_BROKEN},
        {302, "", CCP_OAUTH_BROKEN},
        {503, "{\"error\":\"expired_token\"}", CCP_OAUTH_PENDING},
        {200, "{\"access_token\":\"at\",\"token_type\":\"bearer\",\"refresh_token\":\"rt\"}", CCP_OAUTH_APPROVED},
    };
    struct flow f;

    flow_init(&f);
    assert_int_equal(begin(&f, BEGUN), OAUTH_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum ccp_oauth_poll got = polled(&f, rows[i].status, rows[i].body);
        if (got != rows[i].poll)
            fail_msg("%d %s: %d %s", rows[i].status, rows[i].body, got, f.answer.text);
        assert_int_equal(f.t.token.access_token.n != 0, got == CCP_OAUTH_APPROVED);
    }
    assert_true(ccp_span_is(f.t.token.refresh_token, "rt"));
    flow_end(&f);
}

static void beginnings(void **state)
{
#define B(code, user, uri, more) "{\"device_code\":" code ",\"user_code\":" user ",\"verification_uri\":" uri more "}"
    static const struct {
        const char *body;
        int64_t interval, expires_in; /* 0 = refused */
    } rows[] = {
        {B("\"d\"", "\"U\"", "\"https://v.example/\"", ",\"expires_in\":60,\"interval\":2"), 2, 60},
        {B("\"d\"", "\"U\"", "\"https://v.example/\"", ",\"interval\":\"7\""), 7, 900},
        {B("\"d\"", "\"U\"", "\"https://v.example/\"", ",\"interval\":0,\"expires_in\":-1"), 5, 900},
        {B("\"d\"", "\"U\"", "\"https://v.example/\"", ",\"interval\":-5,\"expires_in\":1e12"), 5, 86400},
        {B("\"d\"", "\"U\"", "\"http://127.0.0.1:9/\"", ""), 5, 900},
        {"{\"device_code\":\"d\",\"user_code\":\"U\",\"verification_url\":\"https://v.example/\"}", 5, 900},
        {B("\"d\"", "\"U\"", "\"javascript:alert(1)\"", ""), 0, 0},
        {B("\"d\"", "\"U\"", "\"file:///etc/passwd\"", ""), 0, 0},
        {B("\"d\"", "\"U\"", "\"http://v.example/\"", ""), 0, 0},
        {B("\"d\"", "\"U\"", "\"https://v.example/\\n\"", ""), 0, 0},
        {B("\"d\"", "\"U\"", "\"https://v.example/\"", ",\"verification_uri_complete\":\"data:x\""), 0, 0},
        {B("\"d\"", "\"\\u001b[2J\"", "\"https://v.example/\"", ""), 0, 0},
        {B("\"d\"", "\"\"", "\"https://v.example/\"", ""), 0, 0},
        {B("\"d \"", "\"U\"", "\"https://v.example/\"", ""), 0, 0},
        {B("7", "\"U\"", "\"https://v.example/\"", ""), 0, 0},
        {"{\"error\":\"unauthorized_client\"}", 0, 0},
        {"[]", 0, 0},
    };
    struct flow f;

    flow_init(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum oauth_result got = begin(&f, rows[i].body);
        if ((got == OAUTH_OK) != (rows[i].interval != 0) || f.d.interval != rows[i].interval ||
            f.d.expires_in != rows[i].expires_in || (got != OAUTH_OK && f.d.device_code.n != 0))
            fail_msg("%s: %d %s", rows[i].body, got, f.answer.text);
    }
    f.p.p.device_url.n = 0;
    assert_int_equal(oauth_device_begin(&f.p.p, NULL, &f.t, &f.d, &f.answer), OAUTH_CLIENT);
    flow_end(&f);
}

/* ---- a flow of a vendor's own: JSON, a code at the end that is exchanged -------------------------------------------
 */

static bool vendor_request(const struct ccp_oauth_call *call, const struct ccp_oauth_device *d,
                           struct ccp_oauth_request *out)
{
    bool first = d->device_code.n == 0;

    out->url = call->print(call, "%.*s%s", CCP_FMT(call->device_url), first ? "/usercode" : "/token");
    out->body = first ? call->print(call, "{\"client_id\":\"%.*s\"}", CCP_FMT(call->client_id))
                      : call->print(call, "{\"device_auth_id\":\"%.*s\"}", CCP_FMT(d->device_code));
    out->content_type = CCP_SPAN("application/json");
    return out->url.p != NULL && out->body.p != NULL;
}

static enum ccp_oauth_poll vendor_answer(const struct ccp_oauth_call *call, int status, const struct ccp_json *answer,
                                         struct ccp_oauth_device *d)
{
    if (d->device_code.n == 0) {
        d->device_code = call->text(call, ccp_json_get(answer, "device_auth_id"));
        d->user_code = call->text(call, ccp_json_get(answer, "user_code"));
        d->verification_uri = CCP_SPAN("https://v.example/codex/device");
        call->number(ccp_json_get(answer, "interval"), &d->interval);
        return CCP_OAUTH_PENDING;
    }
    if (status == 403 || status == 404)
        return CCP_OAUTH_PENDING;
    d->code = call->text(call, ccp_json_get(answer, "authorization_code"));
    d->code_verifier = call->text(call, ccp_json_get(answer, "code_verifier"));
    d->redirect_uri = call->print(call, "%.*s/callback", CCP_FMT(call->issuer));
    return d->code.n != 0 ? CCP_OAUTH_APPROVED : CCP_OAUTH_BROKEN;
}

static void vendor_flow(void **state)
{
    struct flow f;

    flow_init(&f);
    f.p.def.device_request = vendor_request;
    f.p.def.device_answer = vendor_answer;
    f.p.p.issuer = CCP_SPAN("https://i.example");
    assert_int_equal(begin(&f, "{\"device_auth_id\":\"da\",\"user_code\":\"U-1\",\"interval\":\"5\"}"), OAUTH_OK);
    assert_true(strstr(f.p.server->requests[0], "POST /device/usercode HTTP/1.1\r\n") != NULL);
    assert_string_equal(script_body(f.p.server, 0), "{\"client_id\":\"client-1\"}");
    assert_true(f.d.interval == 5 && ccp_span_is(f.d.device_code, "da"));
    assert_int_equal(polled(&f, 403, "{\"error\":{\"code\":\"pending\"}}"), CCP_OAUTH_PENDING);
    assert_int_equal(polled(&f, 404, "<html>"), CCP_OAUTH_PENDING);
    assert_int_equal(polled(&f, 500, "{}"), CCP_OAUTH_PENDING);
    assert_int_equal(polled(&f, 200, "{}"), CCP_OAUTH_BROKEN);
    script_json(f.p.server, 200, "{\"authorization_code\":\"ac\",\"code_verifier\":\"cv\"}");
    assert_int_equal(polled(&f, 200, "{\"access_token\":\"at\",\"refresh_token\":\"rt\"}"), CCP_OAUTH_APPROVED);
    assert_string_equal(script_body(f.p.server, 5), "{\"device_auth_id\":\"da\"}");
    assert_string_equal(script_body(f.p.server, 6),
                        "grant_type=authorization_code&code=ac&redirect_uri=https%3A%2F%2Fi.example%2Fcallback&"
                        "code_verifier=cv&client_id=client-1");
    assert_true(ccp_span_is(f.t.token.access_token, "at"));
    assert_true(ccp_span_is(f.d.code, "ac"));
    script_json(f.p.server, 200, "{\"authorization_code\":\"ac\",\"code_verifier\":\"cv\"}");
    assert_int_equal(polled(&f, 400, "{\"error\":\"invalid_grant\"}"), CCP_OAUTH_BROKEN);
    assert_int_equal(f.answer.result, OAUTH_GRANT);
    flow_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixtures),   cmocka_unit_test(intervals),   cmocka_unit_test(endings),
        cmocka_unit_test(beginnings), cmocka_unit_test(vendor_flow),
    };
    if (!upstream_global_init())
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    upstream_global_release();
    return failed;
}
