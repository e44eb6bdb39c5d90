/*
 * Judging an upstream's refusal before a byte of it reaches the client.
 *
 * A 401 for our own credential is our failure, not the client's: it becomes 503 login_required. A provider may
 * judge error answers by their first bytes too (`judge`); its head then waits for them, which for an error costs
 * nothing. Under passthrough and without credential nothing is judged: the client sees what the upstream said.
 */
#include <base/fault.h>
#include <chain/exchange_impl.h>

#define MOST_ATTEMPTS 3
#define ENOUGH        4096 /* bytes of an error answer that a judgement may need */

static void give_up_soon(struct exchange *x)
{
    x->upstream_refused = true;
    loop_soon(x->w->loop, &x->task); /* attempt_next: not from inside the transport's callback */
}

void judge_key_refused(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    exchange_fail(x, CCP_LOGIN_REQUIRED,
                  "provider %.*s refused the configured key (HTTP %d): set %s.%.*s.api_key to a valid one",
                  CCP_FMT(p->id), x->waiting_status, runtime_plugin(x->rt, p->id) != NULL ? "plugins" : "providers",
                  CCP_FMT(p->id));
}

void judge_login_refused(struct exchange *x)
{
    const struct provider *p = x->route.provider;
    exchange_fail(x, CCP_LOGIN_REQUIRED,
                  "provider %.*s refused its login although it was renewed (HTTP %d); run: ccproxy auth login %.*s "
                  "--force",
                  CCP_FMT(p->id), x->waiting_status, CCP_FMT(p->login.login->name));
}

/* A login is renewed and the request sent again, once; a key cannot be renewed. */
static void refuse(struct exchange *x)
{
    if (x->credential == NULL)
        judge_key_refused(x);
    else if (credential_renewable(x))
        x->retry = true;
    else
        judge_login_refused(x);
    buf_release(&x->first);
    give_up_soon(x);
}

bool judge_head(struct exchange *x, int status)
{
    const struct provider *p = x->route.provider;
    x->waiting_status = status;
    if ((p->auth != AUTH_API_KEY && p->auth != AUTH_OAUTH) || status < 400)
        return true;
    if (status == 401) {
        refuse(x);
        return false;
    }
    x->judging = p->def->judge != NULL;
    return !x->judging;
}

bool judge_body(struct exchange *x, struct ccp_span bytes, bool end)
{
    const struct provider *p = x->route.provider;
    x->first.failed = x->first.failed || CCP_FAULT("judge.first") || !buf_add(&x->first, bytes);
    if (!end && !x->first.failed && x->first.n < ENOUGH)
        return false;
    x->judging = false;
    if (x->first.failed) {
        exchange_fail(x, CCP_OVERLOADED, "out of memory");
        give_up_soon(x);
        return false;
    }
    switch (p->def->judge(p->self, &x->pub, x->waiting_status, buf_span(&x->first))) {
    case CCP_GIVE:
        return true;
    case CCP_RETRY:
        if (x->attempts >= MOST_ATTEMPTS)
            return true;
        x->retry = true;
        buf_release(&x->first);
        give_up_soon(x);
        return false;
    case CCP_REFRESH_AND_RETRY:
        refuse(x);
        return false;
    case CCP_ERROR:
        break;
    }
    exchange_fail(x, CCP_UPSTREAM, "provider %.*s gave an answer that cannot be used (HTTP %d)", CCP_FMT(p->id),
                  x->waiting_status);
    give_up_soon(x);
    return false;
}
