/*
 * One request to an OAuth server: checked URL, one connection, no redirect, an answer of bounded size.
 *
 * Whether the request may have reached the server is kept apart from everything else: a refresh token that rotates must
 * not be thrown away because an answer was lost, nor sent again because it is believed to have been lost.
 */
#include <auth/protocol_impl.h>
#include <base/fault.h>
#include <base/log.h>
#include <base/secret.h>
#include <base/url.h>

enum { SCRATCH_MAX = 8 * 1024 * 1024, CONNECT_MS = 10000, TOTAL_MS = 30000 };

void oauth_turn_init(struct oauth_turn *t, const struct oauth_provider *p, const struct oauth_watch *watch,
                     const char *what, struct oauth_answer *answer)
{
    *t = (struct oauth_turn){.p = p, .watch = watch, .what = what, .answer = answer};
    *answer = (struct oauth_answer){.result = OAUTH_OK};
    arena_init_secret(&t->scratch, SCRATCH_MAX);
    buf_init(&t->body, OAUTH_ANSWER_MAX);
}

static void tell(const struct oauth_turn *t, const struct oauth_answer *answer)
{
    if (t->watch != NULL && t->what != NULL)
        t->watch->on(t->watch->arg, t->p, t->what, answer);
}

enum oauth_result oauth_turn_end(struct oauth_turn *t)
{
    if (t->begun)
        tell(t, t->answer);
    if (t->body.p != NULL)
        secret_wipe(t->body.p, t->body.cap);
    buf_release(&t->body);
    arena_end(&t->scratch);
    return t->answer->result;
}

void oauth_turn_secret(struct oauth_turn *t, struct ccp_span secret)
{
    if (secret.n != 0 && t->secret_count < OAUTH_SECRETS)
        t->secrets[t->secret_count++] = secret;
}

size_t oauth_turn_client_fields(struct oauth_turn *t, struct oauth_field *out)
{
    size_t n = 0;

    out[n++] = (struct oauth_field){"client_id", t->p->client_id};
    if (t->p->client_secret == NULL)
        return n;
    out[n] =
        (struct oauth_field){"client_secret", secret_reveal(t->p->client_secret)}; /* the request's body wants it */
    oauth_turn_secret(t, out[n].value);
    return n + 1;
}

/* Escaped as a whole: origins, labels and a server's words are all somebody else's text. */
static void write_text(struct oauth_answer *answer, const char *fmt, va_list ap)
{
    char text[1024];
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;

    answer->text[log_escape(answer->text, sizeof(answer->text), ccp_span_of(text, length), false)] = '\0';
}

enum oauth_result oauth_answer_fail(struct oauth_answer *answer, enum oauth_result result, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    answer->result = result;
    write_text(answer, fmt, ap);
    va_end(ap);
    return result;
}

enum oauth_result oauth_turn_fail(struct oauth_turn *t, enum oauth_result result, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    t->answer->result = result;
    write_text(t->answer, fmt, ap);
    va_end(ap);
    return result;
}

/* Written as a literal is allowed as it is written; with a proxy it is the proxy that is connected to. */
static bool literal_host(struct arena *a, const struct oauth_provider *p, const struct url *u)
{
    struct url proxy;
    struct ccp_span host = u->host;
    /* url_parse knows no socks5://, and the scheme does not matter here */
    struct ccp_span as_http[] = {CCP_SPAN("http"), ccp_span_skip(p->proxy, ccp_span_find(p->proxy, ':'))};

    if (p->proxy.n != 0 && url_parse(arena_cat(a, as_http, 2), &proxy) == NULL)
        host = proxy.host;
    return url_is_ip(host) || url_is_localhost(host);
}

static size_t make_headers(const struct oauth_request *r, struct ccp_header out[3])
{
    size_t n = 0;

    out[n++] = (struct ccp_header){CCP_SPAN("accept"), CCP_SPAN("application/json")};
    out[n++] = (struct ccp_header){CCP_SPAN("user-agent"), CCP_SPAN("ccproxy/" CCP_VERSION)};
    if (r->body.n != 0)
        out[n++] = (struct ccp_header){CCP_SPAN("content-type"), r->content_type};
    return n;
}

/* No whole answer. A status that says no is as good as the whole answer: nothing was carried out. */
static bool give_up(struct oauth_turn *t)
{
    const struct upstream_answer *http = &t->http;
    const char *colon = http->detail[0] != '\0' ? ": " : "";

    t->answer->status = http->status;
    t->answer->retry_after_ms = http->retry_after_ms;
    if (!http->sent)
        oauth_turn_fail(t, OAUTH_NOT_SENT, "%.*s: %s%s%s", CCP_FMT(t->server), http->why, colon, http->detail);
    else if (http->too_large)
        oauth_turn_fail(t, OAUTH_RETRY, "%.*s answered %d with more than 64 KiB", CCP_FMT(t->server), http->status);
    else if (http->status >= 300)
        oauth_turn_fail(t, OAUTH_RETRY, "%.*s answered %d: %s", CCP_FMT(t->server), http->status, http->why);
    else
        oauth_turn_fail(t, OAUTH_LOST, "%.*s: %s", CCP_FMT(t->server), http->why);
    return false;
}

/* The text of the answer stays in t->body; the tree points into it. */
static bool parse(struct oauth_turn *t)
{
    t->answer->status = t->http.status;
    t->answer->retry_after_ms = t->http.retry_after_ms;
    if (oauth_json(&t->scratch, buf_span(&t->body), &t->root) != CCP_OVERLOADED)
        return true;
    oauth_turn_fail(t, OAUTH_LOST, "%.*s answered %d, but memory ended", CCP_FMT(t->server), t->http.status);
    return false;
}

static bool perform(struct oauth_turn *t, const struct oauth_request *r, const struct url *u)
{
    const struct oauth_provider *p = t->p;
    struct ccp_header headers[3];
    struct ccp_upstream_request request = {
        .method = r->body.n != 0 ? CCP_SPAN("POST") : CCP_SPAN("GET"),
        .url = r->url,
        .headers = headers,
        .header_count = make_headers(r, headers),
        .credential = r->credential,
        .credential_header = CCP_SPAN("authorization"),
        .credential_prefix = r->credential_prefix,
        .body = {r->body},
        .body_pieces = r->body.n != 0,
        .limits = {.connect_ms = p->connect_ms != 0 ? p->connect_ms : CONNECT_MS,
                   .total_ms = p->total_ms != 0 ? p->total_ms : TOTAL_MS},
        .proxy = p->proxy,
        .no_proxy = p->no_proxy,
        .allow_private = p->allow_private,
        .literal_host = literal_host(&t->scratch, p, u),
        .trust = p->trust,
    };

    t->begun = true;
    tell(t, NULL);
    return upstream_fetch(NULL, &request, &t->body, &t->http) ? parse(t) : give_up(t);
}

bool oauth_turn_send(struct oauth_turn *t, const struct oauth_request *r)
{
    struct url u;
    const char *refusal = oauth_url_refusal(r->url);

    t->root = NULL;
    if (refusal != NULL || (refusal = url_parse(r->url, &u)) != NULL) {
        oauth_turn_fail(t, OAUTH_NOT_SENT, "a URL of the login \"%.*s\" is refused: %s", CCP_FMT(t->p->name), refusal);
        return false;
    }
    /* All of it at once: a buffer that grows leaves copies behind. */
    if (CCP_FAULT("oauth.body") || !buf_reserve(&t->body, OAUTH_ANSWER_MAX)) {
        oauth_turn_fail(t, OAUTH_NOT_SENT, "out of memory");
        return false;
    }
    t->server = oauth_origin(r->url, t->origin);
    return perform(t, r, &u);
}

bool oauth_turn_post(struct oauth_turn *t, struct ccp_span url, const struct oauth_field *fields, size_t n)
{
    bool json = (t->p->flags & CCP_OAUTH_JSON) != 0;
    struct oauth_request r = {
        .url = url,
        .body = json ? oauth_object(&t->scratch, fields, n) : oauth_form(&t->scratch, fields, n),
        .content_type = json ? CCP_SPAN("application/json") : CCP_SPAN("application/x-www-form-urlencoded"),
    };

    if (r.body.p != NULL)
        return oauth_turn_send(t, &r);
    oauth_turn_fail(t, OAUTH_NOT_SENT, "out of memory");
    return false;
}
