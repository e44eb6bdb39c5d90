/*
 * ccproxy auth refresh: renews a login now, by the server's own procedure, and says how it went. A server that runs
 * sees the new one by itself.
 */
#include <app/auth_cmd.h>

#include <auth/refresh.h>

static const struct arg_option refresh_options[] = {
    {"force", 0, ARG_FLAG, NULL, "ask the server although it has said that a new login is needed", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {auth_account_options, refresh_options, config_options, help_options,
                                                   NULL};

static int code_of(enum refresh_result result)
{
    switch (result) {
    case REFRESH_DONE:
    case REFRESH_ADOPTED:
        return EXIT_OK;
    case REFRESH_NEEDS_LOGIN:
    case REFRESH_MISSING:
        return EXIT_DENIED;
    case REFRESH_RETRY:
        return EXIT_UNAVAILABLE;
    case REFRESH_CONFIG:
        return EXIT_CONFIG;
    default:
        return EXIT_FAILED;
    }
}

static void praise(const struct oauth_provider *p, const struct refresh_outcome *out)
{
    char words[AUTH_WORDS], whose[AUTH_ACCOUNT_TEXT];
    int64_t at = 0;
    record_bearer(&out->record, oauth_has_session(p), &at);
    printf("%.*s is renewed (account %.*s%s)", CCP_FMT(p->name), CCP_FMT(out->record.account),
           auth_whose(whose, &out->record));
    if (at != 0)
        printf("; it expires %s", auth_when(words, at, auth_now()));
    puts("");
    if (out->result == REFRESH_ADOPTED)
        puts("Another process had just done it; no request was made.");
}

/* What is there now: so that a renewal which another process has just made is told from this one. */
static int read_now(const struct auth_run *r, const struct store_place *at, struct record *now)
{
    struct store_error e = {.status = STORE_OK};
    enum store_status status = store_read(r->store, at, now, &e);
    return status == STORE_OK ? EXIT_OK : complain(auth_exit_code(status), "%s", e.text);
}

static int renew(const struct auth_run *r, const struct oauth_provider *p, const struct auth_found *f)
{
    struct refresh_job job = {.store = r->store,
                              .provider = p,
                              .place = auth_place(f),
                              .force = true,
                              .insist = args_has(&r->cli->args, "force")};
    struct refresh_outcome out;
    struct record now;
    record_init(&now);
    int code = read_now(r, &job.place, &now);
    if (code == EXIT_OK) {
        int64_t expires;
        job.generation = now.generation;
        job.seen = record_bearer(&now, oauth_has_session(p), &expires);
        job.stop = auth_interrupted;
        refresh_run(&job, &out);
        code = code_of(out.result);
        if (code == EXIT_OK)
            praise(p, &out);
        else
            complain(code, "%.*s was not renewed: %s", CCP_FMT(p->name), out.text);
        record_release(&out.record);
    }
    record_release(&now);
    return code;
}

static int refresh(struct auth_run *r)
{
    struct oauth_provider online;
    struct auth_found found;
    const struct oauth_provider *p = auth_named(r);
    if (p == NULL)
        return EXIT_USAGE;
    int code = auth_find_one(r, p, &found);
    if (code == EXIT_OK)
        code = auth_online(r, p, &online);
    if (code != EXIT_OK)
        return code;
    auth_catch_signals();
    return renew(r, &online, &found);
}

static int run(struct cli *cli)
{
    return auth_with(cli, refresh);
}

const struct command command_auth_refresh = {
    .name = "auth refresh",
    .operands = "NAME",
    .summary = "renew a stored login now",
    .details =
        "Exits with 77 when a new login is needed, 69 when the server cannot be reached; what is stored stays as\n"
        "it is then.",
    .options = options,
    .least = 1,
    .most = 1,
    .run = run,
};
