/*
 * The credential store as a command, for tests that need processes: they kill it, trace it, or let fifty of it run at
 * once. It does what a refresh does to a record, without the request.
 *
 *   credentials DIR [--key F] [--passphrase F] [--old-key F] [--old-passphrase F] [--file F] COMMAND ...
 *     save PROVIDER LABEL TIMES WORD    lock, read, new tokens WORD-1, WORD-2, …, write, unlock; "saved GENERATION"
 * each keep PROVIDER LABEL TIMES         the same with the tokens that are there read PROVIDER LABEL "record GENERATION
 * ACCESS REFRESH" note PROVIDER LABEL intent|state TEXT      writes it, "noted" lock PROVIDER LABEL WAIT_MS "locked",
 * holds it until standard input ends remove PROVIDER LABEL / list PROVIDER / rekey
 *
 * A failure is "error STATUS text" and exit 10 + enum store_status. If a library with a function syscalls_arm is
 * preloaded (syscalls.c), it is armed while a command is at work and disarmed while it talks.
 */
#include <auth/store.h>
#include <base/log.h>

#include <dlfcn.h>
#include <unistd.h>

static void (*arm)(int on);
static struct store *store;
static struct store_error e;
static const char *vendor_file;
static const struct ccp_oauth_file vendor = {
    .owner = "Claude Code",
    .access_token = "claudeAiOauth.accessToken",
    .refresh_token = "claudeAiOauth.refreshToken",
    .scopes = "claudeAiOauth.scopes",
    .expires_ms = "claudeAiOauth.expiresAt",
    .plan = "claudeAiOauth.subscriptionType",
};

static int failed(void)
{
    if (arm != NULL)
        arm(0);
    printf("error %d %s\n", e.status, e.text);
    return 10 + (int)e.status;
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
    va_list ap;
    if (arm != NULL)
        arm(0);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    fflush(stdout);
    if (arm != NULL)
        arm(1);
}

static struct store_place place(char **argv)
{
    return (struct store_place){.provider = ccp_span_z(argv[0]),
                                .account = ccp_span_z(argv[1]),
                                .file = vendor_file,
                                .layout = vendor_file != NULL ? &vendor : NULL};
}

static bool change(struct record *r, const char *word, long number)
{
    char access[256], refresh[256];
    if (word == NULL)
        return true;
    snprintf(access, sizeof(access), "at-%s-%ld", word, number);
    snprintf(refresh, sizeof(refresh), "rt-%s-%ld", word, number);
    struct record_token t = {.access_token = ccp_span_z(access),
                             .refresh_token = ccp_span_z(refresh),
                             .obtained_at = 1760000000,
                             .expires_in = 28800};
    return record_set_token(r, &t, false);
}

static bool save_once(const struct store_place *at, const char *word, long number, uint64_t *generation)
{
    struct store_lock lock;
    struct record r;
    if (store_lock(store, at, 60000, NULL, NULL, &lock, &e) != STORE_OK)
        return false;
    enum store_status status = store_read(store, at, &r, &e);
    if (status == STORE_MISSING && word != NULL && record_new(&r, at->provider, at->account))
        status = STORE_OK;
    if (status == STORE_OK && change(&r, word, number))
        status = store_write(store, &lock, &r, &e);
    *generation = r.generation;
    record_release(&r);
    store_unlock(&lock);
    return status == STORE_OK;
}

static int save(char **argv, const char *word)
{
    struct store_place at = place(argv);
    uint64_t generation;
    for (long i = 1; i <= strtol(argv[2], NULL, 10); i++) {
        if (!save_once(&at, word, i, &generation))
            return failed();
        say("saved %llu\n", (unsigned long long)generation);
    }
    return 0;
}

static int show(char **argv)
{
    struct store_place at = place(argv);
    struct record r;
    if (store_read(store, &at, &r, &e) != STORE_OK)
        return failed();
    say("record %llu %.*s %.*s\n", (unsigned long long)r.generation, CCP_FMT(r.access_token), CCP_FMT(r.refresh_token));
    record_release(&r);
    return 0;
}

static int with_lock(const char *command, char **argv)
{
    struct store_place at = place(argv);
    struct store_lock lock;
    bool note = strcmp(command, "note") == 0, hold = strcmp(command, "lock") == 0;
    char c;
    if (store_lock(store, &at, hold ? strtoull(argv[2], NULL, 10) : 60000, NULL, NULL, &lock, &e) != STORE_OK)
        return failed();
    if (hold) {
        say("locked\n");
        while (read(STDIN_FILENO, &c, 1) > 0)
            continue;
    } else if (note) {
        store_note_write(store, &lock, strcmp(argv[2], "intent") == 0 ? STORE_INTENT : STORE_STATE, ccp_span_z(argv[3]),
                         &e);
    } else {
        store_remove(store, &lock, &e);
    }
    store_unlock(&lock);
    if (e.status != STORE_OK)
        return failed();
    say("%s\n", note ? "noted" : "done");
    return 0;
}

static int list(char **argv)
{
    char labels[STORE_ACCOUNTS][STORE_LABEL_MAX + 1];
    size_t n = store_accounts(store, ccp_span_z(argv[0]), labels, STORE_ACCOUNTS, &e);
    for (size_t i = 0; i < n; i++)
        say("%s\n", labels[i]);
    return e.status != STORE_OK ? failed() : 0;
}

static int rekey(void)
{
    size_t done, unchanged;
    enum store_status status = store_rekey(store, &done, &unchanged, &e);
    say("rekeyed %zu unchanged %zu\n", done, unchanged);
    return status != STORE_OK ? failed() : 0;
}

static int run(int argc, char **argv)
{
    const char *command = argv[0];
    if (strcmp(command, "save") == 0 && argc == 5)
        return save(argv + 1, argv[4]);
    if (strcmp(command, "keep") == 0 && argc == 4)
        return save(argv + 1, NULL);
    if (strcmp(command, "read") == 0 && argc == 3)
        return show(argv + 1);
    if ((strcmp(command, "note") == 0 && argc == 5) || (strcmp(command, "lock") == 0 && argc == 4) ||
        (strcmp(command, "remove") == 0 && argc == 3))
        return with_lock(command, argv + 1);
    if (strcmp(command, "list") == 0 && argc == 2)
        return list(argv + 1);
    if (strcmp(command, "rekey") == 0 && argc == 1)
        return rekey();
    fprintf(stderr, "credentials: no such command\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct store_options options = {.directory = argc > 1 ? argv[1] : NULL};
    int at = 2;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
        const char *value = argv[at + 1];
        if (strcmp(argv[at], "--key") == 0) {
            options.encryption = STORE_KEY_FILE;
            options.key_file = value;
        } else if (strcmp(argv[at], "--passphrase") == 0) {
            options.encryption = STORE_PASSPHRASE_FILE;
            options.passphrase_file = value;
        } else if (strcmp(argv[at], "--old-key") == 0) {
            options.old_key_file = value;
        } else if (strcmp(argv[at], "--old-passphrase") == 0) {
            options.old_passphrase_file = value;
        } else if (strcmp(argv[at], "--file") == 0) {
            vendor_file = value;
        } else {
            return 2;
        }
    }
    if (at >= argc)
        return 2;
    *(void **)&arm = dlsym(RTLD_DEFAULT, "syscalls_arm");
    store = store_open(&options, &e);
    if (store == NULL)
        return failed();
    if (arm != NULL)
        arm(1);
    int rc = run(argc - at, argv + at);
    if (arm != NULL)
        arm(0);
    store_free(store);
    return rc;
}
