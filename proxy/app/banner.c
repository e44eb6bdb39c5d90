/*
 * The banner: what a person needs to know when the server is ready, on standard output, once.
 *
 * "listening on http://..." has one line for each address, with the port that was really bound: scripts wait for it.
 * No secret is ever printed.
 */
#include <app/server.h>

#include <app/address.h>
#include <app/clients.h>

#include <unistd.h>

#define KEY_HINT " -H 'x-ccproxy-token: YOUR-CCPROXY-KEY'"

static bool is_unix(struct ccp_span bound)
{
    return ccp_span_starts(bound, CCP_SPAN("unix:"));
}

static void print_addresses(const struct server *s)
{
    const char *scheme = http_has_tls(s->listeners) ? "https://" : "http://";
    for (size_t i = 0; i < http_bound_count(s->listeners); i++) {
        struct ccp_span bound = http_bound(s->listeners, i);
        printf("  listening on %s%.*s\n", is_unix(bound) ? "" : scheme, CCP_FMT(bound));
    }
}

static void print_config(const struct config *c)
{
    struct ccp_span file = config_file(c);
    if (file.n == 0)
        puts("  configuration: no file found, defaults (ccproxy config path says where it looks)");
    else
        printf("  configuration: %.*s%s\n", CCP_FMT(file),
               config_untrusted(c) ? " (from the current folder: not trusted with logins)" : "");
}

static bool usable(const struct server *s, const struct provider *p)
{
    struct arena a;
    if (p->login.login == NULL || s->auth == NULL)
        return p->usable;
    arena_init(&a, NULL, 0);
    enum auth_state state = auth_report_copy(s->auth, &p->login, &a).state;
    arena_end(&a);
    return p->enabled && state != AUTH_ABSENT && state != AUTH_NEEDS_LOGIN;
}

/* "ready, login claude-api/work", or why not. */
static void print_state(const struct server *s, const struct provider *p)
{
    struct arena a;
    struct auth_report r = {.state = AUTH_ABSENT};
    arena_init(&a, NULL, 0);
    if (p->login.login != NULL && s->auth != NULL)
        r = auth_report_copy(s->auth, &p->login, &a);
    if (!usable(s, p))
        printf("not ready: %.*s\n", CCP_FMT(r.text.n != 0 ? r.text : p->unusable));
    else if (p->login.login == NULL)
        puts("ready");
    else
        printf("ready, login %.*s/%.*s%s%.*s\n", CCP_FMT(p->login.login->name),
               CCP_FMT(p->login.file.n != 0 ? p->login.file : r.account), r.text.n != 0 ? ": " : "", CCP_FMT(r.text));
    arena_end(&a);
}

static void print_providers(const struct server *s)
{
    const struct runtime *rt = s->rt;
    for (size_t i = 0; i < rt->provider_count; i++) {
        const struct provider *p = &rt->providers[i];
        if (!p->enabled)
            continue;
        printf("  /%-10.*s %-22.*s ", CCP_FMT(p->prefix), CCP_FMT(p->label));
        print_state(s, p);
    }
}

/* Built-in ones go without saying, unless they did not open. */
static void print_plugins(const struct server *s)
{
    for (size_t i = 0; i < s->rt->plugin_count; i++) {
        const struct plugin_instance *p = &s->rt->plugins[i];
        if (p->state == PLUGIN_FAILED)
            printf("  plugin %s is left out: %.*s\n", p->manifest->name, CCP_FMT(p->why));
        else if (p->state == PLUGIN_ACTIVE && p->source != NULL)
            printf("  plugin %s %s, %.*s\n", p->manifest->name, p->manifest->version, CCP_FMT(p->source->path));
    }
}

static void print_clients(struct runtime *rt, const struct address *address)
{
    char base[512];
    for (const struct client *c = clients; c->name != NULL; c++) {
        const struct provider *p = client_provider(rt, c, NULL);
        if (p != NULL && client_base(base, sizeof(base), address->url, p, c))
            printf("  %-16s %s%s%s\n", c->label, c->base_var != NULL ? c->base_var : "base_url",
                   c->base_var != NULL ? "=" : " ", base);
    }
    puts("  (ccproxy env claude|codex|openai|anthropic|gemini prints the whole of it)");
}

/* One line that works as it stands: the mock answers without an account, others list their models. */
static void print_curl(const struct server *s, const struct address *address, const char *socket)
{
    const struct runtime *rt = s->rt;
    const struct provider *chosen = NULL;
    const char *key = client_needs_key(&rt->settings) ? KEY_HINT : "";
    for (size_t i = 0; i < rt->provider_count; i++) {
        const struct provider *p = &rt->providers[i];
        if (usable(s, p) && (chosen == NULL || (p->def->keyless && !chosen->def->keyless)))
            chosen = p;
    }
    if (chosen == NULL)
        return;
    printf("  try: curl -s%s%s %s/%.*s", socket != NULL ? " --unix-socket " : "", socket != NULL ? socket : "",
           address->url, CCP_FMT(chosen->prefix));
    if (chosen->def->keyless)
        printf("/v1/messages%s -H 'content-type: application/json' -d '{\"model\":\"mock-echo\",\"max_tokens\":100,"
               "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n",
               key);
    else
        printf("/v1/models%s\n", key);
}

static bool environment_has_proxy(char **environ)
{
    static const char *const names[] = {"http_proxy=", "https_proxy=", "all_proxy="};
    for (size_t i = 0; environ[i] != NULL; i++)
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            size_t n = strlen(names[k]);
            if (strncasecmp(environ[i], names[k], n) == 0 && environ[i][n] != '\0')
                return true;
        }
    return false;
}

/* Is there a provider that can answer, with an account (the mock has none) or without? */
static bool has_usable(const struct server *s, bool keyless)
{
    const struct runtime *rt = s->rt;
    for (size_t i = 0; i < rt->provider_count; i++)
        if (rt->providers[i].def->keyless == keyless && usable(s, &rt->providers[i]))
            return true;
    return false;
}

static void print_warnings(const struct server *s)
{
    const struct settings *settings = &s->rt->settings;
    bool beyond = http_beyond_loopback(s->listeners);
    if (!has_usable(s, false))
        printf("  no account yet: %s; log in or set a key as shown above\n",
               has_usable(s, true) ? "only the built-in mock answers" : "nothing answers");
    if (settings->upstream.proxy.n == 0 && environment_has_proxy(s->cli->vault.environ))
        puts("  warning: proxies of the environment are ignored; to use one: [upstream] proxy = \"${HTTPS_PROXY:-}\"");
    if (beyond && !http_has_tls(s->listeners))
        puts("  warning: plain http beyond this machine: keys and prompts can be read on the way");
    if (beyond && !client_needs_key(settings))
        puts("  warning: reachable beyond this machine without a key (allow_unauthenticated)");
    if (geteuid() == 0)
        puts("  warning: running as root; set server.user");
}

/* The first TCP address, else the unix socket. */
static const char *main_address(const struct server *s, struct address *out)
{
    for (size_t i = 0; i < http_bound_count(s->listeners); i++)
        if (!is_unix(http_bound(s->listeners, i))) {
            address_bound(http_bound(s->listeners, i), http_has_tls(s->listeners), out);
            return NULL;
        }
    snprintf(out->url, sizeof(out->url), "http://localhost");
    return s->options.unix_socket;
}

void banner_print(const struct server *s)
{
    struct address address = {.unix_socket = NULL};
    const char *socket = main_address(s, &address);
    puts("ccproxy " CCP_VERSION);
    print_addresses(s);
    print_config(s->rt->config);
    print_providers(s);
    print_plugins(s);
    if (socket == NULL)
        print_clients(s->rt, &address);
    print_curl(s, &address, socket);
    print_warnings(s);
    fflush(stdout);
    clearerr(stdout); /* nobody has to read it */
}
