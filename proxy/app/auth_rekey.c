/*
 * ccproxy auth rekey: rewrites every stored login with the encryption that the configuration asks for now. What cannot
 * be opened with it is tried with the old key.
 */
#include <app/auth_cmd.h>

static const struct arg_option rekey_options[] = {
    {"old-key-file", 0, ARG_VALUE, "FILE", "key that some of them are encrypted with", NULL},
    {"old-passphrase-file", 0, ARG_VALUE, "FILE", "or the passphrase", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {rekey_options, config_options, help_options, NULL};

static int rekey(const struct auth_run *r)
{
    struct store_error e = {.status = STORE_OK};
    size_t done = 0, unchanged = 0;
    enum store_status status = store_rekey(r->store, &done, &unchanged, &e);
    if (status != STORE_OK && status != STORE_MISSING)
        return complain(auth_exit_code(status), "%s; %zu were rewritten before, the same command goes on", e.text,
                        done);
    printf("%zu rewritten, %zu left as they were, in %s\n", done, unchanged, store_directory(r->store));
    return EXIT_OK;
}

static int run(struct cli *cli)
{
    struct auth_run r;
    struct store_options old = {.old_key_file = args_get(&cli->args, "old-key-file"),
                                .old_passphrase_file = args_get(&cli->args, "old-passphrase-file")};
    int code = auth_begin(&r, cli, &old);
    if (code == EXIT_OK)
        code = rekey(&r);
    auth_end(&r);
    return code;
}

const struct command command_auth_rekey = {
    .name = "auth rekey",
    .operands = "",
    .summary = "rewrite all stored logins with the present key",
    .details = "After a change of [auth] encryption, key_file or passphrase_file. Restart the server afterwards.",
    .options = options,
    .run = run,
};
