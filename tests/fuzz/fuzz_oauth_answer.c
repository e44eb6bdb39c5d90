/*
 * Answers of OAuth servers, to every request there is: success means a token that can stand in a header line, a dead
 * grant needs a server that says so in JSON, "not sent" means it, every text is printable and holds nothing that was
 * sent, and every URL that is taken from an answer may be asked.
 *
 * First byte: the request. Second: the status. Third: what became of the connection. Then bodies, separated by form
 * feeds, for one request after the other. This program's upstream_fetch stands in for the one that has a network.
 */
#include "fuzz.h"

#include <auth/protocol_impl.h>

#define SECRET "SECRET-0123456789-abcdef"

static struct {
    int status;
    uint8_t fate;
    struct ccp_span bodies, last;
    bool failed, sent;
} net;

bool upstream_fetch(const char *unix_socket, const struct ccp_upstream_request *request, struct ccp_buf *out,
                    struct upstream_answer *answer)
{
    struct ccp_span body = ccp_span_of(net.bodies.p, ccp_span_find(net.bodies, '\f'));

    MUST(unix_socket == NULL && oauth_url_refusal(request->url) == NULL);
    MUST(out->n == 0 && out->max == OAUTH_ANSWER_MAX);
    net.bodies = ccp_span_skip(net.bodies, body.n + 1);
    net.last = body;
    bool fits = buf_add(out, body);
    net.failed = !fits || net.fate % 8 == 1 || net.fate % 8 == 2;
    net.sent = net.fate % 8 != 1;
    *answer = (struct upstream_answer){.status = net.sent ? net.status : 0,
                                       .why = net.failed ? "it failed" : NULL,
                                       .sent = net.sent,
                                       .too_large = !fits && net.sent,
                                       .timed_out = (net.fate & 8) != 0,
                                       .retry_after_ms = (net.fate & 16) != 0 ? 1000 : 0,
                                       .content_type = "text/html"};
    return !net.failed;
}

static bool facts(const struct ccp_oauth_call *call, const struct ccp_json *answer)
{
    call->fact(call, "email", call->text(call, ccp_json_get(call->claims, "email")));
    call->fact(call, "scope", call->text(call, ccp_json_get(answer, "scope")));
    return true;
}

static bool session(const struct ccp_oauth_call *call, const struct ccp_json *answer, struct ccp_oauth_session *out)
{
    out->token = call->text(call, ccp_json_get(answer, "token"));
    return call->number(ccp_json_get(answer, "expires_at"), &out->expires_at);
}

/* `sent`: the request carried SECRET, so that a server which says it back must not bring it into a text. */
static void shown_well(const struct oauth_answer *a, bool sent)
{
    size_t n = strnlen(a->text, sizeof(a->text)), code = strnlen(a->code, sizeof(a->code));

    MUST(n < sizeof(a->text) && code < sizeof(a->code));
    MUST(oauth_printable(ccp_span_of(a->text, n)) && oauth_printable(ccp_span_of(a->code, code)));
    MUST(!sent || (strstr(a->text, SECRET) == NULL && strstr(a->code, SECRET) == NULL));
    MUST(a->result == OAUTH_OK || n != 0);
}

static void judged_well(const struct oauth_answer *a)
{
    if (a->result == OAUTH_NOT_SENT)
        MUST(!net.sent);
    if (a->result == OAUTH_LOST)
        MUST(net.sent && net.failed && net.status < 300);
    if (a->result == OAUTH_GRANT)
        MUST(net.sent && !net.failed && net.status < 500 && net.status != 429 && net.last.n != 0);
}

static bool usable(struct ccp_span token)
{
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] > '~')
            return false;
    return token.n <= 32 * 1024;
}

static void token_well(const struct record_token *t, bool good)
{
    MUST(good == (t->access_token.n != 0));
    MUST(usable(t->access_token) && usable(t->refresh_token) && usable(t->id_token));
    MUST(t->expires_in >= 0 && t->expires_in <= 3650LL * 24 * 3600);
    MUST(oauth_printable(t->scope) && t->fact_count <= RECORD_FACTS);
    for (size_t i = 0; i < t->fact_count; i++)
        MUST(t->facts[i].value.n <= 512 && oauth_printable(t->facts[i].value));
}

static void device(const struct oauth_provider *p, struct oauth_token *t, struct oauth_answer *answer)
{
    struct ccp_oauth_device d;

    if (oauth_device_begin(p, NULL, t, &d, answer) == OAUTH_OK) {
        MUST(oauth_url_refusal(d.verification_uri) == NULL && d.interval >= 1 && d.interval <= 600);
        MUST(d.expires_in >= 1 && d.expires_in <= 24 * 3600 && oauth_printable(d.user_code));
        for (int i = 0; i < 3; i++) {
            int64_t before = d.interval;
            enum ccp_oauth_poll poll = oauth_device_poll(p, NULL, t, &d, answer);
            MUST(d.interval >= before && d.interval <= 600);
            MUST((poll == CCP_OAUTH_APPROVED) == (t->token.access_token.n != 0));
            if (poll != CCP_OAUTH_PENDING && poll != CCP_OAUTH_SLOW_DOWN)
                break;
        }
    }
    shown_well(answer, false);
    token_well(&t->token, t->token.access_token.n != 0);
}

static void discovery(struct oauth_provider p, struct oauth_answer *answer)
{
    struct oauth_metadata m;
    struct arena a;

    p.token_url = p.authorize_url = CCP_SPAN("");
    arena_init(&a, NULL, 0);
    if (oauth_discover(&p, &a, &m, answer) == OAUTH_OK) {
        MUST(m.discovered && oauth_url_refusal(m.provider.token_url) == NULL);
        MUST(oauth_url_refusal(m.provider.authorize_url) == NULL);
        MUST(m.jwks_uri.n == 0 || oauth_url_refusal(m.jwks_uri) == NULL);
    } else {
        MUST(!m.discovered && m.provider.token_url.n == 0);
    }
    shown_well(answer, false);
    arena_end(&a);
}

static void token(const struct oauth_provider *p, uint8_t which, struct oauth_token *t, struct oauth_answer *answer)
{
    const struct oauth_code code = {.code = CCP_SPAN(SECRET),
                                    .verifier = CCP_SPAN("v"),
                                    .jwks_uri = which == 1 ? CCP_SPAN("https://i.example/keys") : CCP_SPAN("")};
    enum oauth_result got =
        which == 0 ? oauth_refresh(p, CCP_SPAN(SECRET), NULL, t, answer) : oauth_exchange(p, &code, NULL, t, answer);
    MUST(got == answer->result);
    shown_well(answer, true);
    judged_well(answer);
    token_well(&t->token, got == OAUTH_OK);
}

static void second(const struct oauth_provider *p, bool revoke, struct oauth_token *t, struct oauth_answer *answer)
{
    const struct record r = {.refresh_token = CCP_SPAN(SECRET)};
    struct ccp_oauth_session s = {.expires_at = 0};

    if (revoke)
        oauth_revoke(p, &r, NULL, answer);
    else if (oauth_session(p, CCP_SPAN(SECRET), NULL, t, &s, answer) == OAUTH_OK)
        MUST(s.token.n != 0 && usable(s.token) && s.expires_at >= 0);
    shown_well(answer, true);
    if (!revoke)
        judged_well(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 400, 401, 403, 404, 429, 500, 204, 302, 201, 503, 408};
    const struct ccp_oauth_provider def = {.read_token = facts, .read_session = session};
    struct oauth_provider p = {.name = CCP_SPAN("x"),
                               .def = &def,
                               .flags = CCP_OAUTH_BROWSER | (size > 3 && data[2] >= 128 ? CCP_OAUTH_JSON : 0),
                               .issuer = CCP_SPAN("https://i.example"),
                               .client_id = CCP_SPAN("client-1")};
    struct oauth_token t;
    struct oauth_answer answer;

    if (size < 3)
        return 0;
    p.token_url = p.authorize_url = p.revoke_url = p.device_url = p.session_url = CCP_SPAN("https://i.example/e");
    net.status = statuses[data[1] % (sizeof(statuses) / sizeof(statuses[0]))];
    net.fate = data[2];
    net.bodies = ccp_span_of((const char *)data + 3, size - 3);
    oauth_token_init(&t);
    switch (data[0] % 7) {
    case 3:
        device(&p, &t, &answer);
        break;
    case 4:
        discovery(p, &answer);
        break;
    case 5:
    case 6:
        second(&p, data[0] % 7 == 6, &t, &answer);
        break;
    default:
        token(&p, data[0] % 7, &t, &answer);
    }
    oauth_token_release(&t);
    return 0;
}
