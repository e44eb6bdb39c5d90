/*
 * The device flow (RFC 8628), and flows of that kind that a provider describes with two functions.
 *
 * No waiting here: the caller polls when *d's interval has passed, which only ever grows. What the server wants shown
 * is checked first, for it ends in a terminal and in a browser.
 */
#include <auth/protocol_impl.h>

enum {
    INTERVAL_DEFAULT = 5,
    INTERVAL_STEP = 5,
    INTERVAL_MAX = 600,
    EXPIRY_DEFAULT = 900,
    EXPIRY_MAX = 24 * 3600,
    USER_CODE_MAX = 64,
};

#define GRANT "urn:ietf:params:oauth:grant-type:device_code"

static int64_t bounded(int64_t value, int64_t otherwise, int64_t most)
{
    return value <= 0 ? otherwise : value < most ? value : most;
}

/* ---- beginning ----------------------------------------------------------------------------------------------------
 */

static const char *check_texts(const struct ccp_oauth_device *d)
{
    if (!oauth_token_ok(d->device_code))
        return "its device_code is missing or malformed";
    if (d->user_code.n == 0 || d->user_code.n > USER_CODE_MAX || !oauth_printable(d->user_code))
        return "its user_code is missing or malformed";
    if (oauth_url_refusal(d->verification_uri) != NULL ||
        (d->verification_uri_complete.n != 0 && oauth_url_refusal(d->verification_uri_complete) != NULL))
        return "the address to open is missing, or neither https nor this machine";
    return NULL;
}

/* Copies the texts to where they outlive the turn. */
static bool keep(struct arena *a, struct ccp_oauth_device *d)
{
    struct ccp_span *const texts[] = {
        &d->device_code, &d->user_code,     &d->verification_uri, &d->verification_uri_complete,
        &d->code,        &d->code_verifier, &d->redirect_uri};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i] = arena_dup(a, *texts[i]);
        if (texts[i]->p == NULL)
            return false;
    }
    return true;
}

static void read_standard(struct oauth_turn *t, struct ccp_oauth_device *d)
{
    struct arena *a = &t->scratch;

    d->device_code = oauth_text(a, ccp_json_get(t->root, "device_code"));
    d->user_code = oauth_text(a, ccp_json_get(t->root, "user_code"));
    d->verification_uri = oauth_text(a, ccp_json_get(t->root, "verification_uri"));
    if (d->verification_uri.n == 0) /* before the RFC had its name: Google */
        d->verification_uri = oauth_text(a, ccp_json_get(t->root, "verification_url"));
    d->verification_uri_complete = oauth_text(a, ccp_json_get(t->root, "verification_uri_complete"));
    oauth_integer(ccp_json_get(t->root, "interval"), &d->interval);
    oauth_integer(ccp_json_get(t->root, "expires_in"), &d->expires_in);
}

static bool send_first(struct oauth_turn *t, const struct ccp_oauth_device *d, struct oauth_call *call)
{
    struct ccp_oauth_request r = {.url = t->p->device_url};
    struct oauth_field fields[4];
    size_t n = 0;

    if (t->p->def->device_request == NULL) {
        n += oauth_turn_client_fields(t, fields);
        fields[n++] = (struct oauth_field){"scope", t->p->scopes};
        return oauth_turn_post(t, t->p->device_url, fields, n);
    }
    if (t->p->def->device_request(&call->call, d, &r))
        return oauth_turn_send(t,
                               &(struct oauth_request){.url = r.url, .body = r.body, .content_type = r.content_type});
    oauth_turn_fail(t, OAUTH_CLIENT, "the login \"%.*s\" has no device flow", CCP_FMT(t->p->name));
    return false;
}

static void read_first(struct oauth_turn *t, struct oauth_token *out, struct ccp_oauth_device *d,
                       struct oauth_call *call)
{
    if (oauth_answer_judge(t) != OAUTH_OK)
        return;
    if (t->p->def->device_answer == NULL)
        read_standard(t, d);
    else if (t->p->def->device_answer(&call->call, t->http.status, t->root, d) != CCP_OAUTH_PENDING)
        d->device_code.n = 0;
    const char *why = check_texts(d);
    if (why == NULL && !keep(&out->arena, d))
        why = "out of memory";
    if (why != NULL)
        oauth_turn_fail(t, OAUTH_RETRY, "%.*s answered %d, but %s", CCP_FMT(t->server), t->http.status, why);
    d->interval = bounded(d->interval, INTERVAL_DEFAULT, INTERVAL_MAX);
    d->expires_in = bounded(d->expires_in, EXPIRY_DEFAULT, EXPIRY_MAX);
}

enum oauth_result oauth_device_begin(const struct oauth_provider *p, const struct oauth_watch *watch,
                                     struct oauth_token *out, struct ccp_oauth_device *d, struct oauth_answer *answer)
{
    struct oauth_turn t;
    struct oauth_call call;

    *d = (struct ccp_oauth_device){.interval = 0};
    oauth_turn_init(&t, p, watch, "device", answer);
    oauth_call_init(&call, p, &t.scratch, NULL);
    if (p->device_url.n == 0 && p->def->device_request == NULL)
        oauth_turn_fail(&t, OAUTH_CLIENT, "the login \"%.*s\" has no device_url", CCP_FMT(p->name));
    else if (send_first(&t, d, &call))
        read_first(&t, out, d, &call);
    if (answer->result != OAUTH_OK)
        *d = (struct ccp_oauth_device){.interval = 0};
    return oauth_turn_end(&t);
}

/* ---- polling ------------------------------------------------------------------------------------------------------
 */

static void slow_down(struct oauth_turn *t, struct ccp_oauth_device *d)
{
    int64_t said = 0;

    if (t->root != NULL)
        oauth_integer(ccp_json_get(t->root, "interval"), &said);
    int64_t next = d->interval + INTERVAL_STEP;
    d->interval = bounded(said > next ? said : next, next, INTERVAL_MAX);
}

/* What the answer of the standard flow says. */
static enum ccp_oauth_poll read_poll(struct oauth_turn *t)
{
    static const struct {
        const char *code;
        enum ccp_oauth_poll poll;
    } known[] = {{"authorization_pending", CCP_OAUTH_PENDING},
                 {"slow_down", CCP_OAUTH_SLOW_DOWN},
                 {"expired_token", CCP_OAUTH_EXPIRED},
                 {"access_denied", CCP_OAUTH_DENIED}};

    if (oauth_answer_judge(t) == OAUTH_OK)
        return CCP_OAUTH_APPROVED;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(t->answer->code, known[i].code) == 0)
            return known[i].poll;
    return CCP_OAUTH_BROKEN;
}

static enum ccp_oauth_poll ask_provider(struct oauth_turn *t, struct ccp_oauth_device *d, struct oauth_call *call)
{
    struct ccp_oauth_device next = *d;
    enum ccp_oauth_poll poll = t->p->def->device_answer(&call->call, t->http.status, t->root, &next);

    oauth_answer_judge(t); /* for its text */
    if (poll != CCP_OAUTH_APPROVED)
        return poll;
    d->code = next.code; /* in the turn's memory: used before it ends */
    d->code_verifier = next.code_verifier;
    d->redirect_uri = next.redirect_uri;
    return poll;
}

static bool busy(int status)
{
    return status >= 500 || status == 408 || status == 425;
}

static enum ccp_oauth_poll judge_poll(struct oauth_turn *t, struct ccp_oauth_device *d, struct oauth_call *call)
{
    if (busy(t->http.status) || t->http.status == 429) {
        oauth_answer_judge(t);
        return t->http.status == 429 ? CCP_OAUTH_SLOW_DOWN : CCP_OAUTH_PENDING;
    }
    return t->p->def->device_answer != NULL ? ask_provider(t, d, call) : read_poll(t);
}

static bool send_poll(struct oauth_turn *t, const struct ccp_oauth_device *d, struct oauth_call *call)
{
    struct ccp_oauth_request r = {.url = t->p->token_url};
    struct oauth_field fields[4] = {{"grant_type", CCP_SPAN(GRANT)}, {"device_code", d->device_code}};
    size_t n = 2;

    if (t->p->def->device_request == NULL) {
        n += oauth_turn_client_fields(t, fields + n);
        return oauth_turn_post(t, t->p->token_url, fields, n);
    }
    if (t->p->def->device_request(&call->call, d, &r))
        return oauth_turn_send(t,
                               &(struct oauth_request){.url = r.url, .body = r.body, .content_type = r.content_type});
    oauth_turn_fail(t, OAUTH_CLIENT, "the login \"%.*s\" cannot poll", CCP_FMT(t->p->name));
    return false;
}

/* No whole answer: nothing is known, so it is asked again; less often when the server was too slow (RFC 8628 3.5). */
static enum ccp_oauth_poll no_answer(const struct oauth_turn *t, struct ccp_oauth_device *d)
{
    if (!t->begun)
        return CCP_OAUTH_BROKEN; /* it was us: URL, memory, provider */
    if (t->http.timed_out)
        d->interval = bounded(d->interval * 2, INTERVAL_DEFAULT, INTERVAL_MAX);
    return CCP_OAUTH_PENDING;
}

/* The code is exchanged, or the answer is the token. */
static enum ccp_oauth_poll approved(struct oauth_turn *t, struct oauth_token *out, struct ccp_oauth_device *d)
{
    struct oauth_answer answer;

    if (d->code.n == 0)
        return t->root != NULL && oauth_token_read(t, out) == OAUTH_OK ? CCP_OAUTH_APPROVED : CCP_OAUTH_BROKEN;
    if (!keep(&out->arena, d)) {
        *d = (struct ccp_oauth_device){.interval = d->interval, .expires_in = d->expires_in};
        oauth_turn_fail(t, OAUTH_LOST, "out of memory");
        return CCP_OAUTH_BROKEN;
    }
    const struct oauth_code code = {.code = d->code, .redirect_uri = d->redirect_uri, .verifier = d->code_verifier};
    bool good = oauth_exchange(t->p, &code, t->watch, out, &answer) == OAUTH_OK;
    *t->answer = answer;
    return good ? CCP_OAUTH_APPROVED : CCP_OAUTH_BROKEN;
}

enum ccp_oauth_poll oauth_device_poll(const struct oauth_provider *p, const struct oauth_watch *watch,
                                      struct oauth_token *out, struct ccp_oauth_device *d, struct oauth_answer *answer)
{
    struct oauth_turn t;
    struct oauth_call call;

    oauth_turn_init(&t, p, watch, "device", answer);
    oauth_turn_secret(&t, d->device_code);
    oauth_call_init(&call, p, &t.scratch, NULL);
    enum ccp_oauth_poll poll = send_poll(&t, d, &call) ? judge_poll(&t, d, &call) : no_answer(&t, d);
    if (poll == CCP_OAUTH_APPROVED)
        poll = approved(&t, out, d);
    if (poll == CCP_OAUTH_SLOW_DOWN)
        slow_down(&t, d);
    oauth_turn_end(&t);
    return poll;
}
