/*
 * ccproxy env: lines for a shell that point a client at the server of this configuration.
 *
 * A key of the server is never printed: whoever reads the lines puts it in.
 */
#include <app/app.h>

#include <app/address.h>
#include <app/clients.h>
#include <app/print.h>

#define KEY_PLACEHOLDER "YOUR-CCPROXY-KEY"
#define ANY_KEY         "ccproxy"

struct lines {
    const struct client *client;
    const struct provider *provider;
    char base[512];
    const char *key; /* what to put into the key variable; NULL = the client's own credential */
    bool needs_key, ready;
};

static const struct arg_option env_options[] = {
    {"provider", 0, ARG_VALUE, "NAME", "point the client at this provider", NULL},
    {"url", 0, ARG_VALUE, "URL", "the server's address; default from the configuration", NULL},
    {.name = NULL},
};

static const struct arg_option *const options[] = {env_options, config_options, json_options, help_options, NULL};

/* Where Codex finds the key, as TOML members. Under passthrough its own key stays its own, and a key of this server
 * goes in a header beside it. */
static const char *codex_keys(const struct lines *l)
{
    if (l->key != NULL)
        return l->needs_key ? "env_key = \"CCPROXY_TOKEN\"" : NULL;
    return l->needs_key ? "env_key = \"OPENAI_API_KEY\", env_http_headers = { \"x-ccproxy-token\" = \"CCPROXY_TOKEN\" }"
                        : "env_key = \"OPENAI_API_KEY\"";
}

static void print_codex(const struct lines *l)
{
    const char *keys = codex_keys(l);
    printf("# put this into ~/.codex/config.toml:\n"
           "#   model_provider = \"ccproxy\"\n"
           "#   [model_providers]\n"
           "#   ccproxy = { name = \"ccproxy\", base_url = \"%s\", wire_api = \"responses\"%s%s }\n"
           "# or start it with:\n"
           "#   codex -c model_provider=ccproxy -c 'model_providers.ccproxy={name=\"ccproxy\", base_url=\"%s\", "
           "wire_api=\"responses\"%s%s}'\n",
           l->base, keys != NULL ? ", " : "", keys != NULL ? keys : "", l->base, keys != NULL ? ", " : "",
           keys != NULL ? keys : "");
    if (l->key == NULL && l->needs_key)
        printf("export CCPROXY_TOKEN='" KEY_PLACEHOLDER "'\n");
}

/* Passing the client's own credential through leaves only a header of our own for the server's key. */
static bool own_key_by_header(const struct lines *l)
{
    return l->needs_key && l->key == NULL && l->client->headers_var != NULL;
}

static void print_remarks(const struct lines *l)
{
    if (!l->ready)
        printf("# not ready: %.*s\n", CCP_FMT(l->provider->unusable));
    if (l->provider->auth == AUTH_PASSTHROUGH)
        printf("# your own credential is passed through: leave %s as it is\n",
               l->client->base_var != NULL ? l->client->key_var : "OPENAI_API_KEY");
    bool codex = l->client->base_var == NULL;
    if (l->needs_key && l->key == NULL && l->client->headers_var == NULL && !codex)
        puts("# and send the header x-ccproxy-token with a key of this server");
    else if (l->needs_key)
        puts("# replace " KEY_PLACEHOLDER " by a key of this server ([security] in its configuration)");
}

static int print_lines(const struct lines *l)
{
    print_remarks(l);
    if (l->client->format == CCP_FORMAT_GEMINI)
        puts("# gemini-cli also wants security.auth.selectedType = \"gemini-api-key\" in ~/.gemini/settings.json");
    if (l->client->base_var == NULL)
        print_codex(l);
    else
        printf("export %s='%s'\n", l->client->base_var, l->base);
    if (l->key != NULL && (l->client->base_var != NULL || l->needs_key))
        printf("export %s='%s'\n", l->client->key_var, l->key);
    if (own_key_by_header(l))
        printf("export %s='x-ccproxy-token: " KEY_PLACEHOLDER "'\n", l->client->headers_var);
    return EXIT_OK;
}

static int print_object(const struct lines *l)
{
    json_t *variables = json_object();
    if (l->client->base_var != NULL)
        json_object_set_new(variables, l->client->base_var, json_string(l->base));
    if (l->key != NULL && (l->client->base_var != NULL || l->needs_key))
        json_object_set_new(variables, l->client->key_var, json_string(l->key));
    if (own_key_by_header(l))
        json_object_set_new(variables, l->client->headers_var, json_string("x-ccproxy-token: " KEY_PLACEHOLDER));
    return print_json(json_pack("{s:s, s:o, s:b, s:s, s:b, s:o}", "client", l->client->name, "provider",
                                json_span(l->provider->id), "ready", l->ready, "base_url", l->base, "needs_key",
                                l->needs_key, "environment", variables));
}

static int print_env(struct cli *cli, struct runtime *rt, const struct client *client)
{
    struct address address;
    const char *url = args_get(&cli->args, "url"), *wanted = args_get(&cli->args, "provider");
    const char *wrong = url != NULL ? address_parse(url, &address) : address_of(&rt->settings.server, &address);
    if (wrong != NULL && url != NULL)
        return complain(EXIT_USAGE, "--url: %s", wrong);
    if (wrong != NULL)
        return complain(EXIT_FAILED, "%s; give --url", wrong);
    if (address.unix_socket != NULL)
        return complain(EXIT_FAILED, "the server listens on a unix socket only; give --url");
    struct lines l = {.client = client,
                      .provider = client_provider(rt, client, wanted),
                      .needs_key = client_needs_key(&rt->settings)};
    if (l.provider == NULL)
        return complain(EXIT_FAILED,
                        wanted != NULL ? "there is no provider \"%.60s\"" : "no provider is enabled for %s",
                        wanted != NULL ? wanted : client->label);
    l.ready = credentials_stored(rt, l.provider);
    if (!client_base(l.base, sizeof(l.base), address.url, l.provider, client))
        return complain(EXIT_FAILED, "the address is too long");
    if (l.provider->auth != AUTH_PASSTHROUGH)
        l.key = l.needs_key ? KEY_PLACEHOLDER : ANY_KEY;
    return args_has(&cli->args, "json") ? print_object(&l) : print_lines(&l);
}

static int run(struct cli *cli)
{
    const char *name = cli->args.operands[0];
    const struct client *client = client_find(name);
    if (client == NULL)
        return complain(EXIT_USAGE, "no client is named \"%.60s\": claude, codex, openai, anthropic, gemini", name);
    struct runtime *rt = load_or_complain(cli);
    if (rt == NULL)
        return EXIT_CONFIG;
    int code = print_env(cli, rt, client);
    runtime_unref(rt);
    return code;
}

const struct command command_env = {.name = "env",
                                    .operands = "CLIENT",
                                    .summary = "export lines for claude, codex, openai, anthropic or gemini",
                                    .details = "Use: eval \"$(ccproxy env claude)\"",
                                    .options = options,
                                    .least = 1,
                                    .most = 1,
                                    .run = run};
