/*
 * A renewal on a thread of its own: refresh_run, which may wait for a lock, a server and a disk.
 *
 * The thread gets copies and a reference to the configuration, and ends with a message. It is never cut off: once a
 * request is out, its answer is the only copy of the next token.
 */
#include <auth/service_impl.h>

#include <base/fault.h>
#include <base/log.h>

enum { STACK_BYTES = 1 << 20 };

struct renewal {
    struct message ended; /* first */
    struct auth *a;
    pthread_t thread;
    struct config *config;
    const struct oauth_provider *login;
    char name[STORE_LABEL_MAX + 1], account[STORE_LABEL_MAX + 1];
    struct oauth_watch watch;
    struct refresh_job job;
    struct refresh_outcome outcome;
    struct ccp_secret *seen;
};

struct blocked {
    struct message m;
    char text[640];
};

static bool stopping(void *arg)
{
    return atomic_load(&((struct renewal *)arg)->a->stopping);
}

static void on_blocked(void *arg, const char *text)
{
    struct renewal *r = arg;
    struct blocked *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return;
    b->m.kind = MSG_BLOCKED;
    b->m.slot = r->ended.slot;
    snprintf(b->text, sizeof(b->text), "%s", text);
    service_post(r->a, &b->m);
}

static enum ccp_event event_of(const char *what, const struct oauth_answer *answer)
{
    bool refresh = strcmp(what, "refresh") == 0;
    if (answer == NULL)
        return refresh ? CCP_EVENT_OAUTH_REFRESH_REQUEST : CCP_EVENT_OAUTH_TOKEN_REQUEST;
    return refresh ? CCP_EVENT_OAUTH_REFRESH_RESPONSE : CCP_EVENT_OAUTH_TOKEN_RESPONSE;
}

static void on_request(void *arg, const struct oauth_provider *p, const char *what, const struct oauth_answer *answer)
{
    struct renewal *r = arg;
    struct ccp_span account = ccp_span_z(r->account);
    uint64_t generation = r->job.generation;
    if (answer == NULL || answer->status != 0)
        service_event(r->a, event_of(what, answer), p, account, what, answer, generation);
    if (answer != NULL && answer->result != OAUTH_OK)
        service_event(r->a, CCP_EVENT_OAUTH_ERROR, p, account, what, answer, generation);
}

static void *run(void *arg)
{
    struct renewal *r = arg;
    refresh_run(&r->job, &r->outcome);
    service_post(r->a, &r->ended);
    return NULL;
}

static void release(struct renewal *r)
{
    record_release(&r->outcome.record);
    secret_unref(r->seen);
    config_unref(r->config);
    free(r);
}

static void describe(struct renewal *r, struct account *c, bool force)
{
    struct store_place at = account_place(c);
    memcpy(r->name, c->name, sizeof(r->name));
    memcpy(r->account, c->chosen, sizeof(r->account));
    at.provider = ccp_span_z(r->name);
    at.account = ccp_span_z(r->account);
    r->a = c->a;
    r->ended = (struct message){.kind = MSG_RENEWED, .slot = c->slot};
    r->config = config_ref(c->config);
    r->seen = c->credential != NULL ? secret_ref(c->credential->secret) : NULL;
    r->watch = (struct oauth_watch){on_request, r};
    r->job = (struct refresh_job){.store = c->a->store,
                                  .provider = c->login,
                                  .place = at, /* `file` is the account's, which outlives every renewal */
                                  .generation = c->credential != NULL ? c->credential->generation : 0,
                                  .seen = secret_reveal(r->seen), /* compared with what the store holds */
                                  .force = force,
                                  .stop = stopping,
                                  .stop_arg = r,
                                  .watch = &r->watch,
                                  .wait_for_disk = true,
                                  .blocked = on_blocked,
                                  .blocked_arg = r};
    record_init(&r->outcome.record);
}

struct renewal *renewal_start(struct account *c, bool force)
{
    pthread_attr_t attributes;
    struct renewal *r = c->a->renewals < RENEWALS_MAX && !CCP_FAULT("auth.renewal") ? calloc(1, sizeof(*r)) : NULL;
    if (r == NULL)
        return NULL;
    describe(r, c, force);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    bool started = pthread_create(&r->thread, &attributes, run, r) == 0;
    pthread_attr_destroy(&attributes);
    if (!started) {
        log_error("auth", "login %s: no thread for its renewal", c->name);
        release(r);
        return NULL;
    }
    pthread_setname_np(r->thread, "renewal");
    c->a->renewals++;
    return r;
}

/* Accounts that found no room. */
static void start_waiting(struct auth *a)
{
    for (size_t i = 0; i < a->account_count && a->renewals < RENEWALS_MAX; i++)
        if (a->accounts[i]->due && a->accounts[i]->renewal == NULL)
            account_wanted(a->accounts[i]);
}

void renewal_finish(struct auth *a, struct message *m)
{
    struct account *c = a->accounts[m->slot];
    if (m->kind == MSG_BLOCKED) {
        account_blocked(c, ((struct blocked *)m)->text);
        free(m);
        return;
    }
    struct renewal *r = (struct renewal *)m;
    pthread_join(r->thread, NULL);
    a->renewals--;
    account_renewed(c, &r->outcome);
    release(r);
    start_waiting(a);
}
