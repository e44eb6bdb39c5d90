/*
 * One account in the service: what the store holds, what workers were told, when it is renewed next.
 *
 * Renewing begins by the clock, two to three margins before the end and at a random moment, so that nobody waits and
 * processes do not meet; within the last margin a request waits for it. An old token is used until its end whatever
 * happens. After a failure attempts grow apart (1 s to 300 s); a grant that is gone is not tried again until the file
 * changes.
 */
#include <auth/service_impl.h>

#include <base/clock.h>
#include <base/log.h>

#include <sys/random.h>

enum {
    RECHECK_MS = 60 * 1000, /* the wall clock may have been set meanwhile */
    BACKOFF_MS = 1000,
    BACKOFF_MAX_MS = 300 * 1000,
    SERVER_WAIT_MAX_MS = 3600 * 1000, /* a server that asks for days, or in a date of another clock, ends no login */
    FORCED_GAP_MS = 10 * 1000, /* a token that upstream refuses though it is this young is not renewed again; twice as
                                  long each time that helped nothing */
    FORCED_GAP_MAX_MS = 300 * 1000,
    EARLY_GAP_S = 60, /* between attempts while no request has to wait yet */
    YOUNG_US = 1000 * 1000,
};

static int64_t now_s(void)
{
    return (int64_t)(clock_unix_us() / 1000000);
}

/* 0 to n - 1. */
static uint64_t random_below(uint64_t n)
{
    uint64_t r = 0;
    if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
        r = clock_us();
    return n != 0 ? r % n : 0;
}

struct store_place account_place(const struct account *c)
{
    return (struct store_place){.provider = ccp_span_z(c->name),
                                .account = ccp_span_z(c->chosen),
                                .file = c->file,
                                .layout = c->file != NULL && c->login != NULL ? c->login->def->file : NULL};
}

/* -- time -- */

static bool expired(const struct account *c)
{
    return c->credential == NULL || (c->credential->expires_at != 0 && now_s() >= c->credential->expires_at);
}

static void on_timer(struct loop_timer *t);

static void wake_in(struct account *c, uint64_t ms)
{
    c->timer.fire = on_timer;
    loop_timer_set(&c->a->loop, &c->timer, ms < RECHECK_MS ? ms : RECHECK_MS);
}

static uint64_t until_retry(const struct account *c)
{
    return c->retry_ms > clock_ms() ? c->retry_ms - clock_ms() : 0;
}

static void schedule(struct account *c)
{
    uint64_t wait = until_retry(c);
    int64_t now = now_s();
    loop_timer_stop(&c->a->loop, &c->timer);
    if (c->unpublished)
        wake_in(c, 1000);
    else if (c->due)
        wake_in(c, wait != 0 ? wait : 1000);
    else if (c->begin_at != 0 && c->renewal == NULL && c->used)
        wake_in(c, wait != 0 ? wait : now < c->begin_at ? (uint64_t)(c->begin_at - now) * 1000 : 0);
}

/* When to renew, out of what the record says. A clock that was set back must not make a token live longer; where nobody
 * says since when it lives (a vendor's file) its end is believed as it is. */
static void plan(struct account *c, const struct record *r)
{
    bool session = oauth_has_session(c->login);
    struct auth_credential *k = c->credential;
    int64_t now = now_s(), obtained = session ? r->session_obtained_at : r->obtained_at;
    bool known = k->expires_at > obtained && obtained != 0;
    int64_t life = known ? k->expires_at - obtained : 3600;
    bool renewable = session || r->refresh_token.n != 0;
    c->begin_at = 0;
    if (k->expires_at == 0)
        return;
    if (known && k->expires_at - now > life)
        k->expires_at = now + life;
    int64_t margin = (int64_t)c->refresh_before < life / 5 ? (int64_t)c->refresh_before : life / 5;
    k->wait_from = renewable ? k->expires_at - margin : 0;
    c->begin_at = renewable ? k->expires_at - 2 * margin - (int64_t)random_below((uint64_t)margin + 1) : k->expires_at;
    if (session && r->session_refresh_at > now && r->session_refresh_at < c->begin_at)
        c->begin_at = r->session_refresh_at;
}

/* -- reading -- */

static void set_text(struct account *c, const char *text)
{
    if (text != c->text)
        snprintf(c->text, sizeof(c->text), "%s", text);
}

static void forget(struct account *c)
{
    auth_credential_unref(c->credential);
    c->credential = NULL;
    c->begin_at = 0;
}

static bool same_token(const struct auth_credential *k, const struct record *r, bool session)
{
    int64_t end;
    struct ccp_span bearer = record_bearer(r, session, &end);
    return k != NULL && k->generation == r->generation && secret_equals(k->secret, bearer);
}

static void revive(struct account *c)
{
    c->state = AUTH_READY;
    c->degraded = c->dead = false;
    c->failures = 0;
    c->retry_ms = 0;
    c->text[0] = '\0';
}

/* Takes a record over as the account's credential. The same token keeps its serial: a refused one that is read
 * anew stays refused. */
static void install(struct account *c, const struct record *r)
{
    bool same = same_token(c->credential, r, oauth_has_session(c->login));
    struct auth_credential *k = credential_new(r, c, same ? c->credential->serial : ++c->a->serial);
    if (k == NULL) {
        log_error("auth", "login %s: out of memory for its credential", c->name);
        c->due = true; /* the next look brings it */
        c->stored = false;
        return;
    }
    auth_credential_unref(c->credential);
    c->credential = k;
    if (!same || c->unread) /* else what is known of its renewal still holds */
        revive(c);
    c->unread = false;
    plan(c, r); /* nobody else has it yet */
    if (!same)
        service_event(c->a, CCP_EVENT_CREDENTIAL_CHANGED, c->login, ccp_span_z(c->chosen), NULL, NULL, r->generation);
}

/* A grant that is known to be gone: its access token may still be good for a while, and nothing is tried until then. */
static void mark_dead(struct account *c, const char *why, bool refused)
{
    set_text(c, why);
    c->due = false;
    c->dead = c->degraded = true;
    c->begin_at = 0;
    if (!refused && !expired(c)) {
        int64_t end = c->credential->expires_at;
        c->begin_at = end; /* says so then */
        c->retry_ms = clock_ms() + (end != 0 ? (uint64_t)(end - now_s()) * 1000 : UINT32_MAX);
        return;
    }
    forget(c);
    c->state = AUTH_NEEDS_LOGIN;
}

static void choose_label(struct account *c)
{
    char labels[1][STORE_LABEL_MAX + 1];
    struct store_error e;
    if (c->label[0] != '\0' || c->file != NULL) {
        snprintf(c->chosen, sizeof(c->chosen), "%s", c->label);
        return;
    }
    size_t n = store_accounts(c->a->store, ccp_span_z(c->name), labels, 1, &e);
    snprintf(c->chosen, sizeof(c->chosen), "%s", n != 0 ? labels[0] : "default");
}

static void took(struct account *c, struct record *r)
{
    struct refresh_state state;
    struct store_place at = account_place(c);
    install(c, r);
    if (refresh_state_read(c->a->store, &at, r->generation, &state) && state.needs_login)
        mark_dead(c, state.reason, false);
}

static void lost(struct account *c, enum store_status status, const struct store_error *e)
{
    if (status == STORE_MISSING) {
        if (c->credential != NULL)
            service_event(c->a, CCP_EVENT_CREDENTIAL_CHANGED, c->login, ccp_span_z(c->chosen), NULL, NULL, 0);
        forget(c);
        c->state = AUTH_ABSENT;
        c->degraded = false;
        set_text(c, "");
        return;
    }
    /* Half-written by an editor, unsafe, or the disk fails: what is held stays good. */
    log_warn("auth", "login %s: %s", c->name, e->text);
    set_text(c, e->text);
    c->degraded = c->unread = true;
    if (c->credential == NULL)
        c->state = AUTH_NEEDS_LOGIN;
    if (status == STORE_IO)
        c->settled = false; /* nothing about the file has to change for the next look to succeed */
}

static void read_record(struct account *c)
{
    struct store_error e;
    struct store_place at = account_place(c);
    struct record r;
    record_init(&r);
    enum store_status status = store_read(c->a->store, &at, &r, &e);
    if (status == STORE_OK)
        took(c, &r);
    else
        lost(c, status, &e);
    record_release(&r);
}

/* File systems count time in ticks: two writes in one of them bear the same stamp, so a young one proves nothing. */
static bool is_young(const struct store_stamp *s)
{
    int64_t age = (int64_t)clock_unix_us() - s->ctime_ns / 1000;
    return age > -YOUNG_US && age < YOUNG_US;
}

/* Is what the account holds still what is stored? Tells nobody and changes nothing, as who waits must not be woken for
 * no news. */
static bool holds_stored(const struct account *c)
{
    struct store_error e;
    struct store_place at = account_place(c);
    struct record r;
    record_init(&r);
    bool same = store_read(c->a->store, &at, &r, &e) != STORE_OK || /* half-written: its end is another event */
                same_token(c->credential, &r, oauth_has_session(c->login));
    record_release(&r);
    return same;
}

void account_look(struct account *c)
{
    char before[sizeof(c->chosen)];
    struct store_stamp stamp = {0};
    memcpy(before, c->chosen, sizeof(before));
    choose_label(c);
    struct store_place at = account_place(c);
    bool stored = store_stat(c->a->store, &at, &stamp);
    bool same = c->settled && strcmp(before, c->chosen) == 0 && stored == c->stored &&
                memcmp(&stamp, &c->stamp, sizeof(stamp)) == 0;
    if (same && (!is_young(&stamp) || c->credential == NULL || holds_stored(c)))
        return;
    c->stored = stored;
    c->stamp = stamp;
    c->settled = true;
    if (c->file != NULL)
        watch_file(c->a->watch, c->file);
    read_record(c);
    account_publish(c);
    schedule(c);
}

void account_use(struct account *c, const struct auth_use *use, struct config *config, uint64_t refresh_before_ms)
{
    struct config *old = c->config;
    c->config = config_ref(config);
    config_unref(old);
    c->login = use->login;
    c->used = true;
    c->refresh_before = refresh_before_ms / 1000;
    if (old == NULL) {
        snprintf(c->name, sizeof(c->name), "%.*s", CCP_FMT(use->login->name));
        snprintf(c->label, sizeof(c->label), "%.*s", CCP_FMT(use->account));
        c->file = use->file.n != 0 ? strndup(use->file.p, use->file.n) : NULL;
    }
    account_look(c);
    schedule(c);
}

/* -- renewing -- */

static void begin(struct account *c, bool force)
{
    c->force = c->force || force;
    c->due = true;
    if (c->renewal != NULL || atomic_load(&c->a->stopping))
        return;
    c->renewed_serial = c->credential != NULL ? c->credential->serial : 0;
    c->renewal = renewal_start(c, c->force);
    if (c->renewal != NULL)
        c->due = false;
    schedule(c);
}

static void on_timer(struct loop_timer *t)
{
    struct account *c = (struct account *)((char *)t - offsetof(struct account, timer));
    if (c->unpublished)
        account_publish(c);
    if (!c->stored && c->due) { /* there was no memory to take it in */
        c->due = false;
        c->settled = false;
        account_look(c);
        return;
    }
    bool time = c->due || (c->used && c->begin_at != 0 && now_s() >= c->begin_at);
    if (time && c->renewal == NULL && until_retry(c) == 0)
        begin(c, false);
    else
        schedule(c);
}

void account_wanted(struct account *c)
{
    if (c->renewal != NULL) {
        if (c->blocked)
            account_publish(c); /* that may last: say why */
        return;                 /* else its end is published */
    }
    if (c->state == AUTH_ABSENT || c->state == AUTH_NEEDS_LOGIN)
        account_look(c);
    bool fresh = !expired(c) && (c->credential->wait_from == 0 || now_s() < c->credential->wait_from);
    bool possible = c->credential != NULL || c->state == AUTH_LATER;
    if (fresh || !possible || until_retry(c) != 0)
        account_publish(c);
    else
        begin(c, false);
    if (c->renewal == NULL && c->due)
        account_publish(c); /* no room for it now: who waits is not kept */
}

static uint64_t forced_gap(const struct account *c)
{
    uint64_t gap = FORCED_GAP_MS * (1ull << (c->forced < 5 ? c->forced : 5));
    return gap < FORCED_GAP_MAX_MS ? gap : FORCED_GAP_MAX_MS;
}

/* A new token did not help before, so another one will not help now. */
static bool forced_lately(struct account *c)
{
    if (c->forced_ms == 0 || clock_ms() - c->forced_ms >= forced_gap(c))
        return false;
    snprintf(c->text, sizeof(c->text),
             "the provider refuses the token although it was renewed a moment ago; if that lasts, run: ccproxy auth "
             "login %s --force",
             c->name);
    c->degraded = true;
    return true;
}

void account_refused(struct account *c, uint64_t serial)
{
    if (c->renewal != NULL) {
        if (serial > c->refused)
            c->refused = serial; /* it may be what the renewal brings: its file was seen before its end */
        if (c->blocked)
            account_publish(c);
        return;
    }
    if (c->credential == NULL || c->credential->serial != serial || forced_lately(c)) {
        account_publish(c); /* there is another one already, or there will be none */
        return;
    }
    if (c->dead)
        mark_dead(c, c->text, true);
    if (c->dead || until_retry(c) != 0) {
        account_publish(c);
        return;
    }
    begin(c, true);
    if (c->renewal == NULL)
        account_publish(c);
}

void account_blocked(struct account *c, const char *text)
{
    c->degraded = true;
    c->blocked = true;
    set_text(c, text);
    log_error("auth", "login %s/%s: %s", c->name, c->chosen, text);
    account_publish(c);
}

/* The n-th failure in a row waits up to 2^n seconds, at least half of it. */
static void back_off(struct account *c, uint64_t least_ms)
{
    unsigned n = c->failures < 9 ? c->failures : 9;
    uint64_t most = BACKOFF_MS * (1ull << n);
    c->failures++;
    if (most > BACKOFF_MAX_MS)
        most = BACKOFF_MAX_MS;
    uint64_t wait = most / 2 + random_below(most / 2 + 1);
    const struct auth_credential *k = c->credential;
    if (k != NULL && k->wait_from != 0 && now_s() < k->wait_from) {
        int64_t left = k->wait_from - now_s();
        uint64_t early = (uint64_t)(left < EARLY_GAP_S ? left : EARLY_GAP_S) * 1000;
        wait = wait > early ? wait : early;
    }
    least_ms = least_ms < SERVER_WAIT_MAX_MS ? least_ms : SERVER_WAIT_MAX_MS;
    c->retry_ms = clock_ms() + (wait > least_ms ? wait : least_ms);
}

static void failed(struct account *c, struct refresh_outcome *out)
{
    back_off(c, out->retry_after_ms);
    c->degraded = true;
    set_text(c, out->text);
    if (c->begin_at == 0)
        c->begin_at = now_s();
    log_write(out->unsaved ? CCP_LOG_ERROR : CCP_LOG_WARN, "auth",
              "login %s/%s was not renewed, next attempt in %llu s: %s", c->name, c->chosen,
              (unsigned long long)(until_retry(c) + 999) / 1000, out->text);
    if (expired(c))
        c->state = AUTH_LATER;
}

static void note_success(struct account *c, struct refresh_outcome *out, bool forced)
{
    int64_t left = c->credential != NULL && c->credential->expires_at != 0 ? c->credential->expires_at - now_s() : 0;
    struct store_place at = account_place(c);
    c->stored = store_stat(c->a->store, &at, &c->stamp);
    if (forced && out->result == REFRESH_DONE) { /* another program's new token costs the server nothing */
        bool soon = c->forced_ms != 0 && clock_ms() - c->forced_ms < 2 * forced_gap(c);
        c->forced = soon ? c->forced + 1 : 0;
        c->forced_ms = clock_ms();
    }
    if (out->result == REFRESH_DONE)
        log_info("auth", "login %s/%s renewed, good for %lld s", c->name, c->chosen, (long long)left);
}

/* What the account holds is not what the renewal began with: a login was made or adopted meanwhile, and a verdict on
 * the grant before says nothing about it. */
static bool overtaken(const struct account *c)
{
    return c->credential != NULL && c->credential->serial != c->renewed_serial;
}

void account_renewed(struct account *c, struct refresh_outcome *out)
{
    bool forced = c->force;
    c->renewal = NULL;
    c->force = c->blocked = false;
    switch (out->result) {
    case REFRESH_DONE:
    case REFRESH_ADOPTED:
        install(c, &out->record); /* not news if the file was looked at meanwhile */
        if (out->result == REFRESH_ADOPTED && c->credential != NULL && c->credential->serial == c->renewed_serial)
            back_off(c, 0); /* nothing new is no reason to ask again at once */
        note_success(c, out, forced);
        break;
    case REFRESH_NEEDS_LOGIN:
        if (overtaken(c))
            break;
        log_error("auth", "login %s/%s: %s", c->name, c->chosen, out->text);
        mark_dead(c, out->text, forced);
        break;
    case REFRESH_MISSING:
        c->settled = false; /* the next look says what there is now */
        account_look(c);
        break;
    case REFRESH_STOPPED:
        break; /* the service ends */
    default:
        failed(c, out);
    }
    if (c->refused != 0 && c->credential != NULL && c->credential->serial == c->refused)
        account_refused(c, c->refused);
    c->refused = 0;
    account_publish(c);
    schedule(c);
}
