/*
 * ccproxy auth logout: the local copy goes first, whatever the server says; then its tokens are revoked.
 */
#include <app/auth_cmd.h>

#include <unistd.h>

#define LOCK_MS 15000

static const struct arg_option logout_options[] = {
    {"yes", 'y', ARG_FLAG, NULL, "do not ask", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {logout_options, auth_account_options, config_options, help_options,
                                                   NULL};

static int confirm(const struct auth_run *r, const struct auth_found *f)
{
    char answer[16] = "";
    if (args_has(&r->cli->args, "yes"))
        return EXIT_OK;
    if (!isatty(STDIN_FILENO))
        return complain(EXIT_USAGE, "without a terminal, say --yes to log out");
    printf("Log out of %.*s, account %s? [y/N] ", CCP_FMT(f->login->name), f->label);
    fflush(stdout);
    if (fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y'))
        return EXIT_OK;
    return complain(EXIT_FAILED, "nothing was changed");
}

/* Under the lock: a refresh that runs would write the record again. What cannot be read goes all the same. */
static int take_away(const struct auth_run *r, const struct store_place *at, struct record *gone)
{
    struct store_lock lock = {.fd = -1, .directory = -1};
    struct store_error e = {.status = STORE_OK}, unreadable = {.status = STORE_OK};
    if (store_lock(r->store, at, LOCK_MS, auth_interrupted, NULL, &lock, &e) != STORE_OK)
        return complain(auth_exit_code(e.status), "%s", e.text);
    enum store_status read = store_read(r->store, at, gone, &unreadable);
    enum store_status status = read == STORE_MISSING || read == STORE_UNSAFE ? read : store_remove(r->store, &lock, &e);
    store_unlock(&lock);
    if (status != STORE_OK)
        return complain(auth_exit_code(status), "%s", status == read ? unreadable.text : e.text);
    if (read != STORE_OK)
        complain(EXIT_OK, "warning: the record could not be read, so its tokens cannot be revoked: %s",
                 unreadable.text);
    return EXIT_OK;
}

static int leave(struct auth_run *r, const struct oauth_provider *p, const struct auth_found *f)
{
    struct store_place at = auth_place(f);
    struct record gone;
    record_init(&gone);
    int code = take_away(r, &at, &gone);
    if (code == EXIT_OK) {
        printf("Logged out of %.*s, account %s: the stored login is deleted.\n", CCP_FMT(p->name), f->label);
        if (gone.root != NULL)
            auth_revoke(r, p, &gone);
    }
    record_release(&gone);
    return code;
}

static int logout(struct auth_run *r)
{
    struct auth_found found;
    const struct oauth_provider *p = auth_named(r);
    if (p == NULL)
        return EXIT_USAGE;
    int code = auth_find_one(r, p, &found);
    if (code == EXIT_OK && found.file != NULL)
        return complain(EXIT_FAILED, "%s belongs to %s: log out there", found.file, p->def->file->owner);
    if (code == EXIT_OK)
        code = confirm(r, &found);
    if (code != EXIT_OK)
        return code;
    auth_catch_signals();
    return leave(r, p, &found);
}

static int run(struct cli *cli)
{
    return auth_with(cli, logout);
}

const struct command command_auth_logout = {
    .name = "auth logout",
    .operands = "NAME",
    .summary = "delete a stored login and revoke its tokens",
    .details = "The local copy is deleted in any case. A server that does not take the revocation within 2 s is asked\n"
               "three times more within a minute, in the background.",
    .options = options,
    .least = 1,
    .most = 1,
    .run = run,
};
