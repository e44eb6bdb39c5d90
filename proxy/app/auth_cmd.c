/*
 * What the `auth` commands share: see auth_cmd.h.
 */
#include <app/auth_cmd.h>

#include <app/server.h>
#include <base/clock.h>
#include <base/log.h>
#include <upstream/upstream.h>

#include <signal.h>

const struct arg_option auth_account_options[] = {
    {"account", 0, ARG_VALUE, "LABEL", "which account, where there are several", NULL},
    {.name = NULL},
};

/* Written by the signal handler, so it cannot be anywhere else. */
static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
    (void)sig;
    caught = 1;
}

void auth_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool auth_interrupted(void *unused)
{
    (void)unused;
    return caught != 0;
}

int auth_exit_code(enum store_status status)
{
    switch (status) {
    case STORE_OK:
        return EXIT_OK;
    case STORE_MISSING:
        return EXIT_DENIED;
    case STORE_UNSAFE:
    case STORE_SEALED:
        return EXIT_CONFIG;
    default:
        return EXIT_FAILED;
    }
}

int auth_begin(struct auth_run *r, struct cli *cli, const struct store_options *options)
{
    struct store_options own;
    struct store_error e = {.status = STORE_OK};
    *r = (struct auth_run){.cli = cli, .rt = load_or_complain(cli)};
    if (r->rt == NULL)
        return EXIT_CONFIG;
    privilege_harden();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a record that may not be that large is a failed write: the old one stays */
    if (!runtime_store_options(r->rt, &own))
        return complain(EXIT_CONFIG, "there is no home folder to keep logins in: set auth.directory");
    if (options != NULL) {
        own.old_key_file = options->old_key_file;
        own.old_passphrase_file = options->old_passphrase_file;
    }
    r->store = store_open(&own, &e);
    if (r->store == NULL)
        return complain(e.status == STORE_IO ? EXIT_FAILED : EXIT_CONFIG, "%s", e.text);
    return EXIT_OK;
}

void auth_end(struct auth_run *r)
{
    if (r->store != NULL)
        store_free(r->store);
    if (r->trust != NULL)
        trust_unref(r->trust);
    if (r->online)
        upstream_global_release();
    runtime_unref(r->rt);
}

int auth_with(struct cli *cli, int (*work)(struct auth_run *r))
{
    struct auth_run r;
    int code = auth_begin(&r, cli, NULL);
    if (code == EXIT_OK)
        code = work(&r);
    auth_end(&r);
    return code;
}

const struct oauth_provider *auth_named(const struct auth_run *r)
{
    const char *wanted = r->cli->args.operands[0], *names[AUTH_FOUND_MAX];
    const struct oauth_provider *p = runtime_login(r->rt, ccp_span_z(wanted));
    size_t n = 0;
    if (p != NULL)
        return p;
    for (; n < r->rt->login_count && n < AUTH_FOUND_MAX; n++)
        names[n] = r->rt->logins[n].name.p;
    const char *nearest = config_nearest(ccp_span_z(wanted), names, n);
    if (nearest != NULL)
        complain(EXIT_USAGE, "there is no login \"%.60s\" (did you mean \"%s\"?)", wanted, nearest);
    else
        complain(EXIT_USAGE, "there is no login \"%.60s\"; ccproxy auth providers names them", wanted);
    return NULL;
}

int auth_online(struct auth_run *r, const struct oauth_provider *p, struct oauth_provider *out)
{
    const char *why = "out of memory";
    struct ccp_span file = p->ca_file.n != 0 ? p->ca_file : r->rt->settings.upstream.ca_file;
    if (!upstream_global_init())
        return complain(EXIT_FAILED, "out of memory");
    r->online = true;
    r->trust = trust_load(file.n != 0 ? file.p : NULL, &why);
    if (r->trust == NULL)
        return complain(EXIT_CONFIG, "ca_file of login %.*s: %s", CCP_FMT(p->name), why);
    *out = *p;
    out->trust = r->trust;
    return EXIT_OK;
}

/* ---- which account ----------------------------------------------------------------------------------------------- */

struct store_place auth_place(const struct auth_found *f)
{
    return (struct store_place){.provider = f->login->name,
                                .account = ccp_span_z(f->label),
                                .file = f->file,
                                .layout = f->file != NULL ? f->login->def->file : NULL};
}

int auth_store_ok(const struct auth_run *r)
{
    struct store_error e;
    store_accounts(r->store, CCP_SPAN(""), NULL, 0, &e);
    return e.status == STORE_OK ? EXIT_OK : complain(auth_exit_code(e.status), "%s", e.text);
}

static size_t find_stored(const struct auth_run *r, const struct oauth_provider *login, const char *account,
                          struct auth_found *out, size_t max)
{
    char labels[STORE_ACCOUNTS][STORE_LABEL_MAX + 1];
    struct store_error e;
    size_t all = store_accounts(r->store, login->name, labels, STORE_ACCOUNTS, &e), n = 0;
    for (size_t i = 0; i < all && n < max; i++) {
        if (account != NULL && strcmp(account, labels[i]) != 0)
            continue;
        out[n] = (struct auth_found){.login = login};
        memcpy(out[n++].label, labels[i], sizeof(labels[i]));
    }
    return n;
}

static bool is_file_of(const struct provider *p, const struct oauth_provider *login, const char *account)
{
    return p->login.login == login && p->login.file.n != 0 &&
           (account == NULL || ccp_span_is(p->login.account, account));
}

/* Two providers may use one file. */
static size_t find_files(const struct auth_run *r, const struct oauth_provider *login, const char *account,
                         struct auth_found *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < r->rt->provider_count && n < max; i++) {
        const struct provider *p = &r->rt->providers[i];
        bool known = !is_file_of(p, login, account);
        for (size_t k = 0; k < n && !known; k++)
            known = ccp_span_is(p->login.file, out[k].file);
        if (known)
            continue;
        out[n] = (struct auth_found){.login = login, .file = p->login.file.p};
        snprintf(out[n++].label, sizeof(out[0].label), "%.*s", CCP_FMT(p->login.account));
    }
    return n;
}

size_t auth_find(const struct auth_run *r, const struct oauth_provider *login, const char *account,
                 struct auth_found *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < r->rt->login_count; i++) {
        const struct oauth_provider *p = &r->rt->logins[i];
        if (login != NULL && p != login)
            continue;
        n += find_stored(r, p, account, out + n, max - n);
        n += find_files(r, p, account, out + n, max - n);
    }
    return n;
}

int auth_find_one(const struct auth_run *r, const struct oauth_provider *login, struct auth_found *out)
{
    struct auth_found found[AUTH_FOUND_MAX];
    const char *account = args_get(&r->cli->args, "account");
    int code = auth_store_ok(r);
    if (code != EXIT_OK)
        return code;
    size_t n = auth_find(r, login, account, found, AUTH_FOUND_MAX), at = 0;
    if (n == 0)
        return complain(EXIT_DENIED, "%.*s is not logged in%s%s; run: ccproxy auth login %.*s%s%s",
                        CCP_FMT(login->name), account != NULL ? " with account " : "", account != NULL ? account : "",
                        CCP_FMT(login->name), account != NULL ? " --account " : "", account != NULL ? account : "");
    while (n > 1 && at < n && strcmp(found[at].label, "default") != 0)
        at++;
    if (at == n)
        return complain(EXIT_USAGE,
                        "%.*s has %zu accounts and none is \"default\": say which with --account (see ccproxy "
                        "auth status %.*s)",
                        CCP_FMT(login->name), n, CCP_FMT(login->name));
    *out = found[at];
    return EXIT_OK;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

int64_t auth_now(void)
{
    return (int64_t)(clock_unix_us() / 1000000);
}

static size_t add_count(char *out, size_t max, int64_t n, const char *unit)
{
    return (size_t)snprintf(out, max, "%lld %s%s", (long long)n, unit, n == 1 ? "" : "s");
}

const char *auth_when(char out[AUTH_WORDS], int64_t at, int64_t now)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    bool past = at < now;
    int64_t left = past ? now - at : at - now;
    size_t i = 0, n = past ? 0 : (size_t)snprintf(out, AUTH_WORDS, "in ");
    if (left == 0) {
        snprintf(out, AUTH_WORDS, "now");
        return out;
    }
    left = left > 60 ? (left + 30) / 60 * 60 : left; /* seconds only where they are all there is */
    while (left < units[i].seconds)
        i++;
    n += add_count(out + n, AUTH_WORDS - n, left / units[i].seconds, units[i].name);
    left %= units[i].seconds;
    if (i < 2 && left >= units[i + 1].seconds) {
        n += (size_t)snprintf(out + n, AUTH_WORDS - n, " ");
        n += add_count(out + n, AUTH_WORDS - n, left / units[i + 1].seconds, units[i + 1].name);
    }
    if (past)
        snprintf(out + n, AUTH_WORDS - n, " ago");
    return out;
}

const char *auth_visible(char *out, size_t max, struct ccp_span text)
{
    out[log_escape(out, max - 1, text, false)] = '\0';
    return out;
}

const char *auth_whose(char out[AUTH_ACCOUNT_TEXT], const struct record *r)
{
    static const char *const names[] = {"email", "name", "plan"};
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < 3; i++) {
        char text[128];
        auth_visible(text, sizeof(text), record_fact(r, names[i]));
        if (text[0] != '\0')
            n += (size_t)snprintf(out + n, AUTH_ACCOUNT_TEXT - n, ", %s", text);
    }
    return out;
}

bool auth_renewable(const struct oauth_provider *p, const struct record *r)
{
    return (p->flags & CCP_OAUTH_REFRESH) != 0 && r->refresh_token.n != 0;
}
