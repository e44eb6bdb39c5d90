/*
 * ccproxy auth status: what is stored, in words or as JSON; never a token. Reads without a lock and asks nobody.
 */
#include <app/auth_cmd.h>

#include <app/print.h>
#include <auth/refresh.h>

static const struct arg_option status_options[] = {
    {"all", 0, ARG_FLAG, NULL, "logins that are not stored, too", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {status_options, auth_account_options, config_options,
                                                   json_options,   help_options,         NULL};

/* One login as it stands. */
struct shown {
    const struct oauth_provider *login;
    const char *label, *state; /* "ready", "expired", "needs_login", "unreadable", "none" */
    bool good;
    char text[700], file[4200];
    struct record record;
};

static void judge(const struct auth_run *r, const struct auth_found *f, struct shown *s)
{
    struct store_place at = auth_place(f);
    struct refresh_state note = {.needs_login = false};
    bool expired = s->record.expires_at != 0 && s->record.expires_at <= auth_now();
    bool renewable = auth_renewable(s->login, &s->record);
    if (refresh_state_read(r->store, &at, s->record.generation, &note) && note.needs_login) {
        s->state = "needs_login";
        auth_visible(s->text, sizeof(s->text), ccp_span_z(note.reason));
        return;
    }
    s->state = expired ? "expired" : "ready";
    s->good = !expired || renewable;
    if (expired && !renewable)
        snprintf(s->text, sizeof(s->text), "it cannot be renewed; run: ccproxy auth login %.*s --account %s",
                 CCP_FMT(s->login->name), s->label);
}

static void look(const struct auth_run *r, const struct auth_found *f, struct shown *s)
{
    struct store_place at = auth_place(f);
    struct store_error e = {.status = STORE_OK};
    *s = (struct shown){.login = f->login, .label = f->label, .state = "unreadable"};
    record_init(&s->record);
    store_path(r->store, &at, s->file, sizeof(s->file));
    if (store_read(r->store, &at, &s->record, &e) == STORE_OK) {
        judge(r, f, s);
        return;
    }
    if (e.status == STORE_MISSING)
        s->state = "none";
    snprintf(s->text, sizeof(s->text), "%s", e.text);
}

static void nothing(const struct oauth_provider *p, struct shown *s)
{
    *s = (struct shown){.login = p, .label = "", .state = "none"};
    record_init(&s->record);
    snprintf(s->text, sizeof(s->text), "run: ccproxy auth login %.*s", CCP_FMT(p->name));
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static json_t *json_time(int64_t at)
{
    return at != 0 ? json_integer(at) : json_null();
}

static json_t *json_words(struct ccp_span list)
{
    json_t *out = json_array();
    while (list.n != 0) {
        size_t n = ccp_span_find(list, ' ');
        if (n != 0)
            json_array_append_new(out, json_span(ccp_span_of(list.p, n)));
        list = ccp_span_skip(list, n + 1);
    }
    return out;
}

static void add_record(json_t *out, const struct shown *s)
{
    const struct record *r = &s->record;
    json_t *facts = json_object(), *origins = json_array();
    for (size_t i = 0; i < r->fact_count; i++)
        json_object_setn_new(facts, r->facts[i].name.p, r->facts[i].name.n, json_span(r->facts[i].value));
    for (size_t i = 0; i < r->origin_count; i++)
        json_array_append_new(origins, json_span(r->origins[i]));
    json_object_set_new(out, "facts", facts);
    json_object_set_new(out, "origins", origins);
    json_object_set_new(out, "scopes", json_words(r->scope));
    json_object_set_new(out, "generation", json_integer((json_int_t)r->generation));
    json_object_set_new(out, "obtained_at", json_time(r->obtained_at));
    json_object_set_new(out, "expires_at", json_time(r->expires_at));
    json_object_set_new(out, "expires_in", r->expires_at != 0 ? json_integer(r->expires_at - auth_now()) : json_null());
    json_object_set_new(out, "session_expires_at", json_time(r->session_expires_at));
    json_object_set_new(out, "refreshable", json_boolean(auth_renewable(s->login, r)));
}

static json_t *as_json(const struct shown *s)
{
    json_t *out = json_pack("{s:o, s:o, s:s, s:s, s:b, s:o, s:o}", "provider", json_span(s->login->name), "label",
                            json_span(s->login->label), "account", s->label, "state", s->state, "usable", s->good,
                            "reason", s->text[0] != '\0' ? json_span(ccp_span_z(s->text)) : json_null(), "file",
                            s->file[0] != '\0' ? json_span(ccp_span_z(s->file)) : json_null());
    if (out != NULL && s->record.root != NULL)
        add_record(out, s);
    return out;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void print_expiry(const struct shown *s)
{
    const struct record *r = &s->record;
    char words[AUTH_WORDS];
    if (r->expires_at == 0)
        puts("  expires    not by the clock");
    else
        printf("  %s    %s\n", r->expires_at > auth_now() ? "expires" : "expired",
               auth_when(words, r->expires_at, auth_now()));
    if (r->session_expires_at != 0)
        printf("  session    %s %s\n", r->session_expires_at > auth_now() ? "ends" : "ended",
               auth_when(words, r->session_expires_at, auth_now()));
    printf("  renewal    %s\n", auth_renewable(s->login, r) ? "automatic" : "none: a new login is needed in the end");
}

static void print_record(const struct shown *s)
{
    const struct record *r = &s->record;
    char text[600], name[80], words[AUTH_WORDS];
    for (size_t i = 0; i < r->fact_count; i++)
        printf("  %-10s %s\n", auth_visible(name, sizeof(name), r->facts[i].name),
               auth_visible(text, sizeof(text), r->facts[i].value));
    if (r->scope.n != 0)
        printf("  scopes     %s\n", auth_visible(text, sizeof(text), r->scope));
    print_expiry(s);
    if (r->obtained_at != 0)
        printf("  obtained   %s\n", auth_when(words, r->obtained_at, auth_now()));
    for (size_t i = 0; i < r->origin_count; i++)
        printf("  goes to    %s\n", auth_visible(text, sizeof(text), r->origins[i]));
}

static const char *state_in_words(const struct shown *s)
{
    if (strcmp(s->state, "needs_login") == 0)
        return "a new login is needed";
    if (strcmp(s->state, "none") == 0)
        return "not logged in";
    if (strcmp(s->state, "expired") == 0 && s->good)
        return "expired, renewed with its next use";
    return s->state;
}

static void print_one(const struct shown *s)
{
    char label[80];
    printf("%.*s (%s)%s%s: %s\n", CCP_FMT(s->login->name), auth_visible(label, sizeof(label), s->login->label),
           s->label[0] != '\0' ? ", account " : "", s->label, state_in_words(s));
    if (s->text[0] != '\0')
        printf("  %s\n", s->text);
    if (s->record.root != NULL)
        print_record(s);
    if (s->file[0] != '\0')
        printf("  file       %s\n", s->file);
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

/* Prints or collects; true = this login can be used. */
static bool show(struct shown *s, json_t *all)
{
    bool good = s->good;
    if (all != NULL)
        json_array_append_new(all, as_json(s));
    else
        print_one(s);
    record_release(&s->record);
    return good;
}

/* Shows what was found of one login; with `all` also that nothing was. Counts what is stored, and what is bad. */
static void show_login(const struct auth_run *r, const struct oauth_provider *p, json_t *out, size_t *stored,
                       size_t *bad)
{
    struct auth_found found[AUTH_FOUND_MAX];
    struct shown s;
    size_t n = auth_find(r, p, args_get(&r->cli->args, "account"), found, AUTH_FOUND_MAX);
    for (size_t i = 0; i < n; i++) {
        look(r, &found[i], &s);
        *bad += !show(&s, out);
    }
    *stored += n;
    if (n == 0 && (r->cli->args.operand_n != 0 || args_has(&r->cli->args, "all"))) {
        nothing(p, &s);
        show(&s, out);
    }
}

static int status(struct auth_run *r)
{
    int code = auth_store_ok(r);
    if (code != EXIT_OK)
        return code;
    const struct oauth_provider *named = r->cli->args.operand_n != 0 ? auth_named(r) : NULL;
    json_t *out = args_has(&r->cli->args, "json") ? json_array() : NULL;
    size_t stored = 0, bad = 0;
    if (r->cli->args.operand_n != 0 && named == NULL)
        return EXIT_USAGE;
    for (size_t i = 0; i < r->rt->login_count; i++)
        if (named == NULL || named == &r->rt->logins[i])
            show_login(r, &r->rt->logins[i], out, &stored, &bad);
    if (out != NULL && print_json(json_pack("{s:o}", "logins", out)) != EXIT_OK)
        return EXIT_FAILED;
    if (stored == 0 && named == NULL)
        return complain(EXIT_DENIED, "no login is stored; ccproxy auth providers lists what there is");
    return stored == 0 || bad != 0 ? EXIT_DENIED : EXIT_OK;
}

static int run(struct cli *cli)
{
    return auth_with(cli, status);
}

const struct command command_auth_status = {
    .name = "auth status",
    .operands = "[NAME]",
    .summary = "the stored logins: whose, until when, where",
    .details = "Exits with 77 when there is none, or when one has expired and cannot be renewed.",
    .options = options,
    .most = 1,
    .run = run,
};
