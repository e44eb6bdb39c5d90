/*
 * doctor: the login of each provider that uses one, and files of other programs that a login could be taken from.
 *
 * Records are read as the server reads them, but never one whose mode is loose: reading it through the store would mend
 * the mode, and this command changes nothing.
 */
#include <app/doctor.h>

#include <auth/login.h>
#include <auth/refresh.h>
#include <base/clock.h>

#include <sys/stat.h>
#include <unistd.h>

#define SOON (7 * 24 * 3600)

bool doctor_place(const struct doctor *d, const struct auth_use *use, struct store_place *at,
                  char label[STORE_LABEL_MAX + 1])
{
    char labels[1][STORE_LABEL_MAX + 1] = {"default"};
    struct store_stamp stamp;
    struct store_error e;
    *at = (struct store_place){.provider = use->login->name, .account = use->account};
    if (use->file.n != 0) {
        at->file = use->file.p;
        at->layout = use->login->def->file;
    } else if (use->account.n == 0) {
        if (d->store != NULL)
            store_accounts(d->store, use->login->name, labels, 1, &e);
        snprintf(label, STORE_LABEL_MAX + 1, "%s", labels[0]);
        at->account = ccp_span_z(label);
    }
    return d->store != NULL && store_stat(d->store, at, &stamp);
}

bool doctor_in_use(const struct doctor *d, const struct provider *p)
{
    char label[STORE_LABEL_MAX + 1];
    struct store_place at;
    return p->usable || p->s.auth == AUTH_OAUTH || (p->login.login != NULL && doctor_place(d, &p->login, &at, label));
}

/* "3 days", "2 h 5 min", "40 s" */
static const char *words(struct doctor *d, int64_t s)
{
    if (s >= 2 * 24 * 3600)
        return doctor_text(d, "%lld days", (long long)(s / (24 * 3600)));
    if (s >= 3600)
        return doctor_text(d, "%lld h %lld min", (long long)(s / 3600), (long long)(s / 60 % 60));
    return s >= 60 ? doctor_text(d, "%lld min", (long long)(s / 60)) : doctor_text(d, "%lld s", (long long)s);
}

struct look {
    const struct provider *p;
    const struct store_place *at;
    const char *name;   /* "claude: login claude-api (default)" */
    const char *remedy; /* "ccproxy auth login claude-api" */
};

static bool can_renew(const struct look *l, const struct record *r)
{
    const struct oauth_provider *login = l->p->login.login;
    return oauth_has_session(login) || ((login->flags & CCP_OAUTH_REFRESH) != 0 && r->refresh_token.n != 0);
}

static void tell_expiry(struct doctor *d, const struct look *l, const struct record *r)
{
    int64_t expires, now = (int64_t)(clock_unix_us() / 1000000);
    bool renews = can_renew(l, r);
    record_bearer(r, oauth_has_session(l->p->login.login), &expires);
    if (expires == 0)
        doctor_ok(d, "%s: does not expire by the clock", l->name);
    else if (expires <= now && renews)
        doctor_ok(d, "%s: expired %s ago, is renewed at its next use", l->name, words(d, now - expires));
    else if (expires <= now)
        doctor_fail(d, EXIT_FAILED, l->remedy, "%s: expired %s ago and cannot be renewed", l->name,
                    words(d, now - expires));
    else if (!renews && expires - now < SOON)
        doctor_warn(d, l->remedy, "%s: expires in %s and cannot be renewed", l->name, words(d, expires - now));
    else
        doctor_ok(d, "%s: expires in %s%s", l->name, words(d, expires - now), renews ? ", is renewed before" : "");
}

/* As a renewal compares them: a refresh token goes only to where it came from. */
static bool same_source(const struct look *l, const struct record *r)
{
    const struct oauth_provider *p = l->p->login.login;
    return r->layout != NULL || r->refresh_token.n == 0 ||
           (ccp_span_eq(r->client_id, p->client_id) &&
            (p->token_url.n == 0 || ccp_span_eq(r->token_url, p->token_url)));
}

static void tell_record(struct doctor *d, const struct look *l, const struct record *r)
{
    struct refresh_state state;
    if (refresh_state_read(d->store, l->at, r->generation, &state) && state.needs_login)
        doctor_fail(d, EXIT_FAILED, l->remedy, "%.*s: %s", CCP_FMT(l->p->id), state.reason);
    else if (!record_may_go_to(r, l->p->login.origin))
        doctor_fail(d, EXIT_FAILED, l->remedy, "%s: was not made for %.*s, and is not sent there", l->name,
                    CCP_FMT(l->p->login.origin));
    else if (!same_source(l, r))
        doctor_warn(d, l->remedy,
                    "%s: was made for another client_id or token_url than the configured ones, and will not be renewed",
                    l->name);
    else
        tell_expiry(d, l, r);
}

/* 0 = as it should be: the store would not change it. */
static unsigned odd_mode(const struct doctor *d, const struct store_place *at, char path[4096])
{
    struct stat st;
    store_path(d->store, at, path, 4096);
    return stat(path, &st) == 0 && (st.st_mode & 07777 & ~0600u) != 0 ? st.st_mode & 07777 : 0;
}

static void read_login(struct doctor *d, const struct look *l)
{
    struct store_error e = {.status = STORE_OK};
    char path[4096];
    struct record r;
    unsigned mode = odd_mode(d, l->at, path);
    if (mode != 0) {
        doctor_warn(d, doctor_text(d, "chmod 600 %s", path), "%s: not read, since its file has mode %04o", l->name,
                    mode);
        return;
    }
    record_init(&r);
    if (store_read(d->store, l->at, &r, &e) == STORE_OK)
        tell_record(d, l, &r);
    else
        doctor_fail(d, EXIT_FAILED, e.status == STORE_BROKEN ? l->remedy : NULL, "%s: %s", l->name, e.text);
    record_release(&r);
}

static void look_at_provider(struct doctor *d, const struct provider *p)
{
    char label[STORE_LABEL_MAX + 1];
    struct store_place at;
    bool stored = doctor_place(d, &p->login, &at, label);
    struct look l = {.p = p, .at = &at};
    const char *who = at.file != NULL ? at.file : doctor_text(d, "%.*s", CCP_FMT(at.account));
    l.name = doctor_text(d, "%.*s: login %.*s (%s)", CCP_FMT(p->id), CCP_FMT(p->login.login->name), who);
    l.remedy = doctor_text(d, "ccproxy auth login %.*s%s%.*s", CCP_FMT(p->login.login->name),
                           p->login.account.n != 0 ? " --account " : "", CCP_FMT(p->login.account));
    if (at.file != NULL)
        l.remedy = doctor_text(d, "log in with the program that keeps %s", at.file);
    if (d->store == NULL)
        doctor_warn(d, "mend what \"files\" says above, then look again", "%s: was not looked at", l.name);
    else if (stored)
        read_login(d, &l);
    else if (p->s.auth == AUTH_OAUTH)
        doctor_fail(d, EXIT_FAILED, l.remedy, "%s: there is none", l.name);
    else
        doctor_warn(d, doctor_text(d, "%.*s", CCP_FMT(p->unusable)),
                    "%.*s: neither a key nor a login, so /%.*s answers 503", CCP_FMT(p->id), CCP_FMT(p->prefix));
}

void doctor_logins(struct doctor *d)
{
    for (size_t i = 0; i < d->rt->provider_count; i++) {
        const struct provider *p = &d->rt->providers[i];
        if (!p->enabled)
            continue;
        if (p->login.login != NULL && p->auth == AUTH_OAUTH)
            look_at_provider(d, p);
        else if (!p->usable)
            doctor_warn(d, doctor_text(d, "%.*s", CCP_FMT(p->unusable)), "%.*s: no credential, so /%.*s answers 503",
                        CCP_FMT(p->id), CCP_FMT(p->prefix));
    }
}

static bool used_in_place(const struct doctor *d, const struct oauth_provider *login)
{
    for (size_t i = 0; i < d->rt->provider_count; i++)
        if (d->rt->providers[i].login.login == login && d->rt->providers[i].login.file.n != 0)
            return true;
    return false;
}

static void look_at_import(struct doctor *d, const struct oauth_provider *p)
{
    char path[4096], labels[1][STORE_LABEL_MAX + 1];
    struct store_error e;
    const struct ccp_oauth_file *file = p->def->file;
    if (d->store != NULL && store_accounts(d->store, p->name, labels, 1, &e) != 0)
        return;
    if (foreign_path(file, getenv("HOME"), d->cli->vault.environ, path, sizeof(path)) && access(path, R_OK) == 0)
        doctor_ok(d, "%s: a login of %s, which ccproxy auth login %.*s --import can copy", path, file->owner,
                  CCP_FMT(p->name));
}

void doctor_imports(struct doctor *d)
{
    for (size_t i = 0; i < d->rt->login_count; i++)
        if (d->rt->logins[i].def->file != NULL && !used_in_place(d, &d->rt->logins[i]))
            look_at_import(d, &d->rt->logins[i]);
}
