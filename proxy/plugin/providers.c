/*
 * Resolving providers: from settings and manifests to what a request needs, once per configuration.
 */
#include <plugin/runtime_impl.h>
#include <upstream/upstream.h>

static struct arena *arena_of(struct runtime *rt)
{
    return config_arena(rt->config);
}

static const char *key_variable(const struct ccp_provider *def, struct arena *a)
{
    struct ccp_span text = ccp_span_z(def->api_key);
    if (!ccp_span_starts(text, CCP_SPAN("${")))
        return NULL;
    text = ccp_span_skip(text, 2);
    return arena_printf(a, "%.*s", (int)ccp_span_find(text, ':'), text.p).p;
}

static struct ccp_span ask_for_key(struct runtime *rt, const struct provider *p, const char *path)
{
    const char *variable = key_variable(p->def, arena_of(rt));
    if (variable != NULL)
        return arena_printf(arena_of(rt), "set %s.api_key (or the environment variable %s)", path, variable);
    return arena_printf(arena_of(rt), "set %s.api_key, or auth = \"none\" or \"passthrough\"", path);
}

/* -- logins -- */

/* The login that this provider uses: the one it names, its own, or the block of the same name. NULL = none; a name that
 * nobody knows is a fault. */
static const struct oauth_provider *login_of(struct runtime *rt, const struct provider *p, const char *path)
{
    if (p->s.oauth.n == 0 && p->def->login != NULL)
        return runtime_login(rt, ccp_span_z(p->def->login));
    const struct oauth_provider *login = runtime_login(rt, p->s.oauth.n != 0 ? p->s.oauth : p->id);
    if (p->s.oauth.n == 0) /* a block shares its name with a login only on purpose: not with another's alias */
        return login != NULL && ccp_span_eq(login->name, p->id) ? login : NULL;
    if (login == NULL)
        config_fault(rt->config, path, "oauth", false, "there is no login \"%.*s\": see ccproxy auth providers",
                     CCP_FMT(p->s.oauth));
    return login;
}

static struct ccp_span ask_for_login(struct runtime *rt, const struct provider *p, const char *path)
{
    struct arena *a = arena_of(rt);
    struct ccp_span account = p->login.account;
    struct ccp_span run = p->login.file.n != 0
                              ? arena_printf(a, "log in with the program that keeps %.*s", CCP_FMT(p->login.file))
                              : arena_printf(a, "run: ccproxy auth login %.*s%s%.*s", CCP_FMT(p->login.login->name),
                                             account.n != 0 ? " --account " : "", CCP_FMT(account));
    if (p->s.auth == AUTH_OAUTH || (p->def->login != NULL && p->def->api_key == NULL))
        return run;
    return arena_printf(a, "%.*s, or %.*s", CCP_FMT(run), CCP_FMT(ask_for_key(rt, p, path)));
}

/* What decides where a login goes, and who could read it on the way. */
static const struct {
    bool all; /* of [upstream] */
    const char *key;
} ways[] = {{false, "base_url"}, {false, "headers"},   {false, "proxy"}, {false, "ca_file"},
            {false, "oauth"},    {false, "auth_file"}, {true, "proxy"},  {true, "ca_file"}};

static bool is_stored(struct runtime *rt, const struct provider *p)
{
    char labels[1][STORE_LABEL_MAX + 1];
    struct store_options options;
    struct store_error e;
    if (!runtime_store_options(rt, &options))
        return false;
    options.encryption = STORE_PLAIN; /* only names are asked for */
    struct store *store = store_open(&options, &e);
    bool stored = store != NULL && store_accounts(store, p->login.login->name, labels, 1, &e) != 0;
    store_free(store);
    return stored;
}

/* A login may not be sent where a file of the current folder says: with one stored that file is refused. False: one
 * that comes later is not to be used. */
static bool guard_login(struct runtime *rt, const struct provider *p, const char *path)
{
    size_t n = 0, set[sizeof(ways) / sizeof(ways[0])];
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (config_set_untrusted(rt->config, ways[i].all ? "upstream" : path, ways[i].key))
            set[n++] = i;
    bool stored = n != 0 && (p->login.file.n != 0 || is_stored(rt, p));
    for (size_t i = 0; stored && i < n; i++)
        config_fault(
            rt->config, ways[set[i]].all ? "upstream" : path, ways[set[i]].key, false,
            config_untrusted(rt->config)
                ? "a file of the current folder may not set this for a provider with a stored login; pass "
                  "--config to trust the file"
                : "may not be set while ccproxy runs for a provider with a stored login: it would decide where "
                  "the login is sent; set it in the configuration file");
    return n == 0 || stored;
}

static struct ccp_span own_file(struct runtime *rt, struct provider *p, const char *path)
{
    struct ccp_span file = p->s.auth_file;
    const char *home = getenv("HOME");
    if (file.n == 0)
        return (struct ccp_span){"", 0};
    if (p->login.login->def->file == NULL)
        config_fault(rt->config, path, "auth_file", false, "login %.*s knows no file of another program",
                     CCP_FMT(p->login.login->name));
    if (ccp_span_starts(file, CCP_SPAN("~/")) && home != NULL)
        file = arena_printf(arena_of(rt), "%s%.*s", home, (int)(file.n - 1), file.p + 1);
    if (file.p == NULL || file.p[0] != '/')
        config_fault(rt->config, path, "auth_file", false, "must be an absolute path, or begin with ~/");
    return file;
}

static void resolve_login(struct runtime *rt, struct provider *p, const char *path)
{
    char origin[300];
    p->login.login = login_of(rt, p, path);
    if (p->login.login == NULL)
        return;
    p->login.account = p->s.account;
    if (p->s.account.n != 0 && !store_label_ok(p->s.account))
        config_fault(rt->config, path, "account", false, "labels are up to %d letters, digits and . _ @ + -",
                     STORE_LABEL_MAX);
    p->login.file = own_file(rt, p, path);
    p->login.origin = arena_dup(arena_of(rt), oauth_origin(p->s.base_url, origin));
    if (guard_login(rt, p, path))
        return;
    p->login = (struct auth_use){NULL};
    p->unusable = config_untrusted(rt->config)
                      ? CCP_SPAN("a file of the current folder says how it is reached, so no login is used; pass "
                                 "--config to trust the file")
                      : CCP_SPAN("how it is reached was set while ccproxy ran, so no login is used; set that in the "
                                 "configuration file instead");
}

static void resolve_auth(struct runtime *rt, struct provider *p, const char *path)
{
    p->auth = (enum provider_auth)p->s.auth;
    if (p->auth == AUTH_OAUTH || (p->auth == AUTH_AUTO && p->s.api_key == NULL && !p->def->keyless))
        resolve_login(rt, p, path);
    if (p->auth == AUTH_AUTO)
        p->auth = p->s.api_key != NULL ? AUTH_API_KEY
                  : p->def->keyless    ? AUTH_NONE
                                       : (p->login.login != NULL ? AUTH_OAUTH : AUTH_AUTO);
    if (p->auth == AUTH_OAUTH && p->login.login == NULL && p->s.oauth.n == 0 && p->unusable.n == 0)
        config_fault(rt->config, path, "auth", false,
                     "this provider has no login of its own: name one with oauth = \"...\" (ccproxy auth providers)");
    switch (p->auth) {
    case AUTH_NONE:
    case AUTH_PASSTHROUGH:
        p->usable = true;
        break;
    case AUTH_API_KEY:
        p->usable = p->s.api_key != NULL;
        break;
    default:
        p->usable = false;
    }
    if (p->login.login != NULL)
        p->unusable = ask_for_login(rt, p, path); /* as long as there is no login */
    else if (!p->usable && p->unusable.n == 0)
        p->unusable = ask_for_key(rt, p, path);
    if (!p->enabled) {
        p->usable = false;
        p->unusable = arena_printf(arena_of(rt), "%s is disabled", path);
    }
}

static void resolve_address(struct runtime *rt, struct provider *p)
{
    const struct upstream_settings *u = &rt->settings.upstream;
    struct url proxy;
    p->proxy = p->s.proxy.n != 0 ? p->s.proxy : u->proxy;
    p->no_proxy = p->s.no_proxy.n != 0 ? p->s.no_proxy : u->no_proxy;
    p->allow_private = p->s.allow_private || u->allow_private;
    p->limits =
        (struct ccp_upstream_limits){u->connect_timeout, p->s.timeout != 0 ? p->s.timeout : u->first_byte_timeout,
                                     u->idle_timeout, u->total_timeout};
    if (p->def->transport != NULL || url_parse(p->s.base_url, &p->base) != NULL)
        return;
    while (p->base.path.n != 0 && p->base.path.p[p->base.path.n - 1] == '/')
        p->base.path.n--;
    struct ccp_span host = p->base.host;
    /* url_parse knows no socks5://, and the scheme does not matter here */
    struct ccp_span as_http[] = {CCP_SPAN("http"), ccp_span_skip(p->proxy, ccp_span_find(p->proxy, ':'))};
    if (p->proxy.n != 0 && url_parse(arena_cat(arena_of(rt), as_http, 2), &proxy) == NULL)
        host = proxy.host;
    p->literal_host = url_is_ip(host) || url_is_localhost(host);
}

static void resolve(struct runtime *rt, struct provider *p, const char *path)
{
    settings_check_provider(rt->config, path, &p->s);
    resolve_address(rt, p);
    resolve_auth(rt, p, path);
}

static void add_plugin_provider(struct runtime *rt, size_t plugin)
{
    struct plugin_instance *i = &rt->plugins[plugin];
    struct provider *p = &rt->providers[rt->provider_count];
    if (i->provider_settings == NULL)
        return;
    const struct provider_settings *s = i->provider_settings;
    *p = (struct provider){.id = ccp_span_z(i->manifest->name),
                           .prefix = ccp_span_z(i->manifest->provider->prefix),
                           .label = ccp_span_z(i->manifest->provider->label),
                           .def = i->manifest->provider,
                           .formats = i->manifest->provider->formats,
                           .enabled = i->state == PLUGIN_ACTIVE,
                           .compatible = i->manifest->provider->transport == NULL &&
                                         !ccp_span_is(s->base_url, i->manifest->provider->base_url),
                           .s = *s};
    i->provider = (int)rt->provider_count++;
    resolve(rt, p, i->path);
}

static void add_block(struct runtime *rt, struct ccp_span name, const struct provider_settings *s)
{
    struct provider *p = &rt->providers[rt->provider_count++];
    const struct ccp_provider *def = compat_provider((enum ccp_format)s->format);
    *p = (struct provider){.id = name,
                           .prefix = s->prefix.n != 0 ? s->prefix : name,
                           .label = ccp_span_z(def->label),
                           .def = def,
                           .formats = def->formats,
                           .enabled = s->enabled,
                           .compatible = true,
                           .s = *s};
    resolve(rt, p, arena_printf(arena_of(rt), "providers.%.*s", CCP_FMT(name)).p);
}

enum { BLOCKS_MAX = 1000 }; /* names are compared pair by pair */

bool providers_resolve(struct runtime *rt)
{
    struct ccp_span names[BLOCKS_MAX + 1];
    size_t blocks = config_tables(rt->config, "providers", names, BLOCKS_MAX + 1);
    if (blocks > BLOCKS_MAX) {
        config_fault(rt->config, "providers", NULL, false, "there may be %d [providers.<name>] blocks at most",
                     BLOCKS_MAX);
        config_claim(rt->config, "providers");
        blocks = BLOCKS_MAX;
    }
    rt->providers = arena_zalloc(arena_of(rt), (rt->plugin_count + blocks) * sizeof(struct provider));
    if (rt->providers == NULL)
        return false;
    for (size_t i = 0; i < rt->plugin_count; i++)
        add_plugin_provider(rt, i);
    for (size_t i = 0; i < blocks; i++) {
        struct config_section section;
        if (!section_of_block(rt->config, names[i], &section))
            return false;
        config_bind(rt->config, &section);
        add_block(rt, names[i], section.target);
    }
    providers_check_names(rt);
    return true;
}

static bool segment_ok(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] == '-' || s.p[i] == '_' || (s.p[i] >= '0' && s.p[i] <= '9') ||
              ((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z')))
            return false;
    return s.n != 0 && s.n <= 64;
}

bool name_is_reserved(struct ccp_span s)
{
    static const char *const words[] = {"health", "plugins", "metrics", "usage", "events", "permissions",
                                        "v1",     "v1beta",  "v1alpha", "raw",   "status"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (ccp_span_is(s, words[i]))
            return true;
    return false;
}

void providers_check_names(struct runtime *rt)
{
    for (size_t i = 0; i < rt->provider_count; i++) {
        struct provider *p = &rt->providers[i];
        if (p->def != compat_provider(CCP_FORMAT_ANTHROPIC) && p->def != compat_provider(CCP_FORMAT_OPENAI_CHAT) &&
            p->def != compat_provider(CCP_FORMAT_OPENAI_RESPONSES) && p->def != compat_provider(CCP_FORMAT_GEMINI))
            continue;
        const char *path = arena_printf(arena_of(rt), "providers.%.*s", CCP_FMT(p->id)).p;
        if (!segment_ok(p->id) || !segment_ok(p->prefix))
            config_fault(rt->config, path, "prefix", false, "names and prefixes are letters, digits, - and _");
        if (name_is_reserved(p->id) || name_is_reserved(p->prefix))
            config_fault(rt->config, path, "prefix", false, "\"%.*s\" is reserved",
                         CCP_FMT(name_is_reserved(p->id) ? p->id : p->prefix));
        for (size_t k = 0; k < i; k++) {
            struct provider *o = &rt->providers[k];
            if (ccp_span_eq(p->id, o->id) || ccp_span_eq(p->prefix, o->prefix) || ccp_span_eq(p->id, o->prefix) ||
                ccp_span_eq(p->prefix, o->id))
                config_fault(rt->config, path, "prefix", false, "\"%.*s\" is taken by provider %.*s",
                             CCP_FMT(p->prefix), CCP_FMT(o->id));
        }
    }
}

bool providers_load_trust(struct runtime *rt, struct ccp_span *why)
{
    const char *text = NULL;
    struct ccp_span file = rt->settings.upstream.ca_file;
    rt->trust = trust_load(file.n != 0 ? file.p : NULL, &text);
    if (rt->trust == NULL) {
        *why = arena_printf(arena_of(rt), "upstream.ca_file: %s", text);
        return false;
    }
    for (size_t i = 0; i < rt->provider_count; i++) {
        struct provider *p = &rt->providers[i];
        if (p->s.ca_file.n == 0)
            continue;
        p->trust = trust_load(p->s.ca_file.p, &text);
        if (p->trust == NULL) {
            *why = arena_printf(arena_of(rt), "ca_file of provider %.*s: %s", CCP_FMT(p->id), text);
            return false;
        }
    }
    return true;
}
