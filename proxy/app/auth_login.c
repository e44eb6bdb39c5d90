/*
 * ccproxy auth login: which account, which way, and what came of it. The flow itself is auth/login.h's, its talk with
 * the user auth_show.c's.
 */
#include <app/auth_cmd.h>

#include <app/auth_show.h>
#include <app/browser.h>
#include <auth/refresh.h>
#include <base/clock.h>

#include <unistd.h>

static const struct arg_option login_options[] = {
    {"no-browser", 0, ARG_FLAG, NULL, "only print the address", NULL},
    {"manual", 0, ARG_FLAG, NULL, "paste the code or the last page's address; listens nowhere", NULL},
    {"device", 0, ARG_FLAG, NULL, "enter a short code on any machine", NULL},
    {"import", 0, ARG_FLAG, NULL, "copy the login of the vendor's own program", NULL},
    {"file", 0, ARG_VALUE, "PATH", "with --import: that file", NULL},
    {"force", 0, ARG_FLAG, NULL, "make a new login although there is one", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {auth_account_options, login_options, config_options, help_options,
                                                   NULL};

static bool has(const struct auth_run *r, const char *name)
{
    return args_has(&r->cli->args, name);
}

static const char *label_of(const struct auth_run *r)
{
    const char *account = args_get(&r->cli->args, "account");
    return account != NULL ? account : "default";
}

static const char *variable(const struct auth_run *r, const char *name)
{
    size_t n = strlen(name);
    for (char **e = r->cli->vault.environ; *e != NULL; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    return NULL;
}

/* ---- which way --------------------------------------------------------------------------------------------------- */

/* At a terminal without a screen for a browser (SSH) the ways that need none come first. */
static enum login_way choose(const struct auth_run *r, const struct oauth_provider *p)
{
    enum login_way best;
    unsigned ways = login_ways(p, &best);
    bool alone =
        best == LOGIN_BROWSER && isatty(STDIN_FILENO) && !has(r, "no-browser") && !browser_there(r->cli->vault.environ);
    if (has(r, "manual"))
        return LOGIN_PASTE;
    if (has(r, "device"))
        return LOGIN_DEVICE;
    if (has(r, "import"))
        return LOGIN_IMPORT;
    if (alone && p->paste_redirect.n != 0)
        return LOGIN_PASTE;
    return alone && (ways & (1u << LOGIN_DEVICE)) != 0 ? LOGIN_DEVICE : best;
}

static int check_options(const struct auth_run *r)
{
    if (has(r, "manual") + has(r, "device") + has(r, "import") > 1)
        return complain(EXIT_USAGE, "only one of --manual, --device and --import can be");
    if (has(r, "file") && !has(r, "import"))
        return complain(EXIT_USAGE, "--file goes with --import");
    if (!store_label_ok(ccp_span_z(label_of(r))))
        return complain(EXIT_USAGE, "--account: up to %d letters, digits and . _ @ + -, no dot in front",
                        STORE_LABEL_MAX);
    return EXIT_OK;
}

/* A login that works, or renews itself, is not replaced by accident. */
static bool is_live(const struct auth_run *r, const struct oauth_provider *p)
{
    struct store_place at = {.provider = p->name, .account = ccp_span_z(label_of(r))};
    struct refresh_state note = {.needs_login = false};
    struct store_error e;
    struct record now;
    char whose[AUTH_ACCOUNT_TEXT];
    record_init(&now);
    bool live = store_read(r->store, &at, &now, &e) == STORE_OK &&
                (now.expires_at == 0 || now.expires_at > auth_now() || auth_renewable(p, &now)) &&
                !(refresh_state_read(r->store, &at, now.generation, &note) && note.needs_login);
    if (live)
        printf("%.*s is logged in already (account %s%s). --force makes a new login, --account LABEL another one.\n",
               CCP_FMT(p->name), label_of(r), auth_whose(whose, &now));
    record_release(&now);
    return live;
}

/* ---- before and after -------------------------------------------------------------------------------------------- */

static void introduce(const struct oauth_provider *p, enum login_way way)
{
    const struct ccp_oauth_provider *d = p->def;
    char label[80];
    printf("Logging into %s (%.*s).\n", auth_visible(label, sizeof(label), p->label), CCP_FMT(p->name));
    if (d->note != NULL)
        printf("This %s.\n", d->note);
    if (d->consent != NULL && way != LOGIN_IMPORT)
        printf("Its page will ask for consent in the name of \"%s\", whose public client id is used.\n", d->consent);
    if (d->terms != NULL)
        printf("Terms: %s\n", d->terms);
    if (p->origins.n == 0)
        puts("No provider of this configuration uses it. A login is only ever sent to those that used it when it was "
             "made, "
             "so\nadd oauth = to a provider first.");
    fflush(stdout);
}

static int code_of(const struct login_outcome *out)
{
    switch (out->result) {
    case LOGIN_OK:
        return EXIT_OK;
    case LOGIN_REFUSED:
        return EXIT_DENIED;
    case LOGIN_UNAVAILABLE:
        return EXIT_UNAVAILABLE;
    case LOGIN_STORAGE:
        return out->storage == STORE_MISSING ? EXIT_FAILED : auth_exit_code(out->storage);
    default:
        return EXIT_FAILED;
    }
}

static void print_expiry(const struct oauth_provider *p, const struct record *r)
{
    char words[AUTH_WORDS];
    bool renewed = auth_renewable(p, r), over = r->expires_at <= auth_now();
    if (r->expires_at == 0)
        return;
    printf("The token %s %s%s.\n", over ? "expired" : "expires", auth_when(words, r->expires_at, auth_now()),
           !renewed ? "; then a new login is needed"
           : over   ? " and is renewed with its next use"
                    : " and is renewed by itself");
}

static void praise(const struct auth_run *r, const struct oauth_provider *p, const struct login_outcome *out)
{
    struct store_place at = {.provider = p->name, .account = ccp_span_z(label_of(r))};
    char whose[AUTH_ACCOUNT_TEXT], path[4200];
    store_path(r->store, &at, path, sizeof(path));
    printf("Logged in to %.*s as account %s%s.\n", CCP_FMT(p->name), label_of(r), auth_whose(whose, &out->record));
    print_expiry(p, &out->record);
    printf("Stored in %s\n", path);
    fflush(stdout);
    if (out->text[0] != '\0')
        complain(EXIT_OK, "warning: %s", out->text);
}

static int make(const struct auth_run *r, const struct oauth_provider *p, enum login_way way)
{
    struct auth_show show = {.environ = r->cli->vault.environ,
                             .awaited = "waiting",
                             .asked = way == LOGIN_PASTE,
                             .end_ms = clock_ms() + LOGIN_LIMIT_MS + 1000}; /* not before the attempt's own end */
    struct login_events events = auth_show_events(&show);
    struct login_request request = {.store = r->store,
                                    .provider = p,
                                    .account = ccp_span_z(label_of(r)),
                                    .way = way,
                                    .no_browser = has(r, "no-browser"),
                                    .import_file = args_get(&r->cli->args, "file"),
                                    .home = variable(r, "HOME"),
                                    .environ = r->cli->vault.environ};
    struct login_outcome out;
    introduce(p, way);
    login_run(&request, &events, &out);
    auth_show_end(&show);
    int code = code_of(&out);
    if (out.result == LOGIN_OK)
        praise(r, p, &out);
    else
        complain(code, "%s", out.text);
    record_release(&out.record);
    return code;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int ask_for_name(const struct auth_run *r)
{
    char names[600] = "";
    size_t n = 0;
    for (size_t i = 0; i < r->rt->login_count && n + 70 < sizeof(names); i++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, " %.*s", CCP_FMT(r->rt->logins[i].name));
    return complain(EXIT_USAGE, "usage: ccproxy auth login NAME, one of:%s", names);
}

static int login(struct auth_run *r)
{
    struct oauth_provider online;
    int code = check_options(r);
    if (code != EXIT_OK)
        return code;
    if (r->cli->args.operand_n == 0)
        return ask_for_name(r);
    const struct oauth_provider *p = auth_named(r);
    if (p == NULL)
        return EXIT_USAGE;
    enum login_way best;
    if (login_ways(p, &best) == 0)
        return complain(EXIT_CONFIG,
                        "%.*s has no way to log in: [oauth.%.*s] needs an issuer, an authorize_url or a "
                        "device_url",
                        CCP_FMT(p->name), CCP_FMT(p->name));
    if (!has(r, "force") && is_live(r, p))
        return EXIT_OK;
    code = auth_online(r, p, &online);
    if (code != EXIT_OK)
        return code;
    auth_catch_signals();
    return make(r, &online, choose(r, p));
}

static int run(struct cli *cli)
{
    return auth_with(cli, login);
}

const struct command command_auth_login = {
    .name = "auth login",
    .operands = "NAME",
    .summary = "log in and store the login",
    .details =
        "Opens a browser where there is one and waits up to 10 minutes for it to come back. Without a screen use\n"
        "--manual or --device. The first address printed is always the one to open. Exits with 77 when the login\n"
        "is refused, 69 when the server or the callback's port is not available, 78 when the store is not safe.",
    .options = options,
    .most = 1,
    .run = run,
};
