/*
 * ccproxy auth providers: which logins there are, how each can be made, and which are stored.
 */
#include <app/auth_cmd.h>

#include <app/print.h>
#include <auth/login.h>

static const struct arg_option *const options[] = {config_options, json_options, help_options, NULL};

static const struct {
    enum login_way way;
    const char *name;
} ways[] = {{LOGIN_BROWSER, "browser"}, {LOGIN_PASTE, "paste"}, {LOGIN_DEVICE, "device"}, {LOGIN_IMPORT, "import"}};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static json_t *describe(const struct auth_run *r, const struct oauth_provider *p)
{
    struct auth_found found[AUTH_FOUND_MAX];
    enum login_way best;
    unsigned offered = login_ways(p, &best);
    json_t *flows = json_array(), *accounts = json_array(), *aliases = json_array();
    for (size_t i = 0; i < WAYS; i++)
        if ((offered & (1u << ways[i].way)) != 0)
            json_array_append_new(flows, json_string(ways[i].name));
    size_t n = auth_find(r, p, NULL, found, AUTH_FOUND_MAX);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(accounts, json_string(found[i].label));
    for (size_t i = 0; p->def->aliases != NULL && p->def->aliases[i] != NULL; i++)
        json_array_append_new(aliases, json_string(p->def->aliases[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b}", "name", json_span(p->name), "label", json_span(p->label),
                     "aliases", aliases, "flows", flows, "accounts", accounts, "configured", p->configured);
}

static int list_json(const struct auth_run *r)
{
    json_t *all = json_array();
    for (size_t i = 0; i < r->rt->login_count; i++)
        json_array_append_new(all, describe(r, &r->rt->logins[i]));
    return print_json(json_pack("{s:o}", "providers", all));
}

static void print_accounts(const struct auth_run *r, const struct oauth_provider *p)
{
    struct auth_found found[AUTH_FOUND_MAX];
    size_t n = auth_find(r, p, NULL, found, AUTH_FOUND_MAX);
    for (size_t i = 0; i < n; i++)
        printf("%s%s", i != 0 ? ", " : "", found[i].label[0] != '\0' ? found[i].label : found[i].file);
    puts(n == 0 ? "no" : "");
}

static void print_row(const struct auth_run *r, const struct oauth_provider *p)
{
    char label[64], flows[64] = "";
    enum login_way best;
    unsigned offered = login_ways(p, &best);
    size_t n = 0;
    for (size_t i = 0; i < WAYS; i++)
        if ((offered & (1u << ways[i].way)) != 0)
            n += (size_t)snprintf(flows + n, sizeof(flows) - n, "%s%s", n != 0 ? "," : "", ways[i].name);
    printf("%-16.*s %-24s %-28s ", CCP_FMT(p->name), auth_visible(label, sizeof(label), p->label), flows);
    print_accounts(r, p);
}

static int list(struct auth_run *r)
{
    int code = auth_store_ok(r);
    if (code != EXIT_OK)
        return code;
    if (args_has(&r->cli->args, "json"))
        return list_json(r);
    printf("%-16s %-24s %-28s %s\n", "NAME", "LABEL", "WAYS TO LOG IN", "ACCOUNTS");
    for (size_t i = 0; i < r->rt->login_count; i++)
        print_row(r, &r->rt->logins[i]);
    return EXIT_OK;
}

static int run(struct cli *cli)
{
    return auth_with(cli, list);
}

const struct command command_auth_providers = {
    .name = "auth providers",
    .operands = "",
    .summary = "the logins there are, and which are stored",
    .details = "Ways: browser (on this machine), paste (--manual), device (--device), import (--import) of a login\n"
               "that the vendor's own program made. [oauth.<name>] in the configuration adds a login.",
    .options = options,
    .run = run,
};
