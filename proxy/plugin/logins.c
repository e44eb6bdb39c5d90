/*
 * Logins: the OAuth records of plugins with what [oauth.<name>] replaces, and the logins that only a block declares.
 *
 * Everything is resolved here, once per configuration: whoever logs in, refreshes or sends a request reads
 * struct oauth_provider and never asks where a value came from.
 */
#include <base/secret.h>
#include <plugin/runtime_impl.h>
#include <upstream/upstream.h>

enum { LOGINS_MAX = 200 };

static struct arena *arena_of(struct runtime *rt)
{
    return config_arena(rt->config);
}

/* A login that no plugin knows: what the RFCs say, nothing else. */
static const struct ccp_oauth_provider blank = {.name = ""};

static bool has_alias(const struct ccp_oauth_provider *def, struct ccp_span name)
{
    for (size_t i = 0; def->aliases != NULL && def->aliases[i] != NULL; i++)
        if (ccp_span_is(name, def->aliases[i]))
            return true;
    return false;
}

const struct oauth_provider *runtime_login(const struct runtime *rt, struct ccp_span name)
{
    for (size_t i = 0; i < rt->login_count; i++)
        if (ccp_span_eq(rt->logins[i].name, name))
            return &rt->logins[i];
    for (size_t i = 0; i < rt->login_count; i++)
        if (has_alias(rt->logins[i].def, name))
            return &rt->logins[i];
    return NULL;
}

bool section_of_login(struct config *c, struct ccp_span name, struct config_section *out)
{
    struct arena *a = config_arena(c);
    struct ccp_span path = arena_printf(a, "oauth.%.*s", CCP_FMT(name));
    void *target = arena_zalloc(a, sizeof(struct oauth_settings));
    *out = (struct config_section){path.p, settings_oauth_rows, NULL, target, "A login (OAuth)."};
    return path.p != NULL && target != NULL;
}

static struct ccp_span either(struct ccp_span set, const char *def)
{
    return set.n != 0 ? set : ccp_span_z(def != NULL ? def : "");
}

/* -- where the browser comes back to -- */

static bool loopback_host(struct ccp_span host)
{
    return url_is_localhost(host) || ccp_span_is(host, "::1") ||
           (url_is_ip(host) && ccp_span_starts(host, CCP_SPAN("127.")));
}

static const uint16_t *one_port(struct runtime *rt, uint16_t port)
{
    uint16_t *ports = arena_zalloc(arena_of(rt), 2 * sizeof(*ports));
    if (ports != NULL)
        ports[0] = port;
    return ports;
}

/* A redirect URI of the operator's: on this machine we listen there; elsewhere it is a page that shows a code. */
static void set_redirect(struct runtime *rt, struct oauth_provider *p, const struct oauth_settings *s, const char *path)
{
    struct url u;
    if (s->redirect_uri.n == 0)
        return;
    const char *wrong = url_parse(s->redirect_uri, &u);
    if (wrong != NULL) {
        config_fault(rt->config, path, "redirect_uri", false, "%s", wrong);
        return;
    }
    if (!loopback_host(u.host)) {
        p->paste_redirect = s->redirect_uri;
        p->flags = (p->flags & ~(unsigned)CCP_OAUTH_BROWSER) | CCP_OAUTH_PASTE;
        return;
    }
    if (ccp_span_is(u.scheme, "https"))
        config_fault(rt->config, path, "redirect_uri", false, "ccproxy listens without TLS: http:// on this machine");
    if (!u.has_port && u.query.n != 0) /* the URI is put together anew then, and would lose it */
        config_fault(rt->config, path, "redirect_uri", false, "with a query it needs a port");
    p->redirect_uri = u.has_port ? s->redirect_uri : (struct ccp_span){"", 0};
    p->redirect_host = u.host;
    p->redirect_path = u.path.n != 0 ? u.path : CCP_SPAN("/");
    p->ports = u.has_port ? one_port(rt, u.port) : NULL;
}

static void set_ways(struct runtime *rt, struct oauth_provider *p, const struct oauth_settings *s, const char *path)
{
    bool discovers = p->issuer.n != 0;
    p->flags = p->def->flags;
    if (p->def == &blank)
        p->flags = CCP_OAUTH_REFRESH | (p->authorize_url.n != 0 || discovers ? CCP_OAUTH_BROWSER : 0) |
                   (p->device_url.n != 0 || discovers ? CCP_OAUTH_DEVICE : 0);
    if (s->token_body != 0)
        p->flags = (p->flags & ~(unsigned)CCP_OAUTH_JSON) | (s->token_body == 2 ? CCP_OAUTH_JSON : 0);
    if (!s->pkce)
        p->flags |= CCP_OAUTH_NO_PKCE;
    p->redirect_host = either((struct ccp_span){"", 0}, p->def->redirect_host);
    if (p->redirect_host.n == 0)
        p->redirect_host = CCP_SPAN("127.0.0.1");
    p->redirect_path = either((struct ccp_span){"", 0}, p->def->redirect_path);
    if (p->redirect_path.n == 0)
        p->redirect_path = CCP_SPAN("/callback");
    p->ports = p->def->ports;
    p->paste_redirect = either((struct ccp_span){"", 0}, p->def->paste_redirect);
    set_redirect(rt, p, s, path);
    if (s->callback_port != 0)
        p->ports = one_port(rt, (uint16_t)s->callback_port);
    if (s->callback_port != 0 && p->redirect_uri.n != 0)
        config_fault(rt->config, path, "callback_port", false, "redirect_uri names a port already");
}

/* -- checks -- */

static void check_urls(struct runtime *rt, const char *path, const struct oauth_settings *s)
{
    const struct {
        const char *key;
        struct ccp_span url;
    } urls[] = {{"issuer", s->issuer},         {"authorize_url", s->authorize_url}, {"token_url", s->token_url},
                {"revoke_url", s->revoke_url}, {"device_url", s->device_url},       {"session_url", s->session_url}};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        const char *wrong = urls[i].url.n != 0 ? oauth_url_refusal(urls[i].url) : NULL;
        if (wrong != NULL)
            config_fault(rt->config, path, urls[i].key, false, "%s", wrong);
    }
}

/* A block that sets a value or two and nothing a login of its own needs was meant for a built-in one. */
static bool misspelt(struct runtime *rt, const char *path, const struct oauth_provider *p)
{
    const char *known[LOGINS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < rt->plugin_count && n < LOGINS_MAX; i++)
        if (rt->plugins[i].manifest->oauth != NULL)
            known[n++] = rt->plugins[i].manifest->oauth->name;
    const char *near = p->def == &blank && p->client_id.n == 0 ? config_nearest(p->name, known, n) : NULL;
    if (near != NULL)
        config_fault(rt->config, path, NULL, false, "unknown table (did you mean \"%s\"?)", near);
    return near != NULL;
}

static void check_block(struct runtime *rt, const char *path, const struct oauth_provider *p)
{
    if (misspelt(rt, path, p))
        return;
    if (p->client_id.n == 0)
        config_fault(rt->config, path, "client_id", false, "is missing: every login needs one");
    if (p->issuer.n == 0 && p->token_url.n == 0)
        config_fault(rt->config, path, "token_url", false, "is missing: a login needs it, or an issuer to ask");
    if (p->issuer.n == 0 && p->authorize_url.n == 0 && p->device_url.n == 0)
        config_fault(rt->config, path, "authorize_url", false,
                     "is missing: a login needs it, a device_url, or an issuer to ask");
}

#define NOT_TRUSTED                                                                                                    \
    "a file of the current folder may not say how logins are made or where they are kept; pass --config to trust the " \
    "file"

static void check_trust(struct runtime *rt, const char *path, const struct ccp_config_row *rows)
{
    for (; rows->key != NULL; rows++)
        if (config_set_untrusted(rt->config, path, rows->key))
            config_fault(rt->config, path, rows->key, false, NOT_TRUSTED);
}

/* -- making them -- */

static struct ccp_span joined(struct runtime *rt, const struct ccp_list *list)
{
    struct ccp_span all = {"", 0};
    for (size_t i = 0; i < list->n; i++) {
        struct ccp_span pieces[] = {all, all.n != 0 ? CCP_SPAN(" ") : CCP_SPAN(""), list->v[i]};
        all = arena_cat(arena_of(rt), pieces, 3);
    }
    return all;
}

static void drop_secret(void *arg)
{
    secret_unref(arg);
}

/* A manifest's secret is that of its own client, and of no other. */
static struct ccp_secret *secret_of(struct runtime *rt, const struct ccp_oauth_provider *def,
                                    const struct oauth_settings *s, const char *path)
{
    if (s->client_secret != NULL || s->client_id.n != 0 || def->client_secret == NULL)
        return s->client_secret;
    struct ccp_secret *secret = secret_new(ccp_span_z(def->client_secret));
    if (secret != NULL && arena_defer(arena_of(rt), drop_secret, secret))
        return secret;
    secret_unref(secret);
    config_fault(rt->config, path, "client_secret", false, "out of memory");
    return NULL;
}

static void fill(struct runtime *rt, struct oauth_provider *p, const struct ccp_oauth_provider *def,
                 struct ccp_span name, const struct oauth_settings *s, const char *path)
{
    const struct upstream_settings *u = &rt->settings.upstream;
    *p = (struct oauth_provider){
        .name = name,
        .label = either(s->label, def->label),
        .def = def,
        .issuer = either(s->issuer, def->issuer),
        .authorize_url = either(s->authorize_url, def->authorize_url),
        .token_url = either(s->token_url, def->token_url),
        .revoke_url = either(s->revoke_url, def->revoke_url),
        .device_url = either(s->device_url, def->device_url),
        .session_url = either(s->session_url, def->session_url),
        .client_id = either(s->client_id, def->client_id),
        .client_secret = secret_of(rt, def, s, path),
        .scopes = s->scopes.n != 0 ? joined(rt, &s->scopes) : either((struct ccp_span){"", 0}, def->scopes),
        /* More than was granted may not be asked for (RFC 6749 section 6): without a word it is the same again. */
        .refresh_scopes = s->scopes.n != 0 ? CCP_SPAN("") : either((struct ccp_span){"", 0}, def->refresh_scopes),
        .proxy = s->proxy,
        .no_proxy = s->no_proxy,
        .ca_file = s->ca_file,
        .allow_private = s->allow_private,
        .connect_ms = u->connect_timeout,
        .total_ms = 30 * 1000,
    };
    if (p->label.n == 0)
        p->label = name;
    check_urls(rt, path, s);
    check_block(rt, path, p);
    check_trust(rt, path, settings_oauth_rows);
    set_ways(rt, p, s, path);
}

/* The block of a built-in login stands under its name or one of its aliases. False = no memory. */
static bool bind_login(struct runtime *rt, const struct ccp_oauth_provider *def, struct ccp_span name,
                       struct ccp_span block)
{
    struct config_section section;
    struct oauth_provider *p = &rt->logins[rt->login_count++];
    if (!section_of_login(rt->config, block.n != 0 ? block : name, &section))
        return false;
    config_bind(rt->config, &section);
    fill(rt, p, def, name, section.target, section.path);
    p->configured = block.n != 0;
    p->settings = section.target;
    p->path = section.path;
    return true;
}

static const struct ccp_oauth_provider *builtin(struct runtime *rt, struct ccp_span name)
{
    for (size_t i = 0; i < rt->plugin_count; i++) {
        const struct ccp_oauth_provider *def = rt->plugins[i].manifest->oauth;
        if (def != NULL && (ccp_span_is(name, def->name) || has_alias(def, name)))
            return def;
    }
    return NULL;
}

static struct ccp_span block_of(struct runtime *rt, const struct ccp_oauth_provider *def, const struct ccp_span *names,
                                size_t n)
{
    struct ccp_span found = {"", 0};
    for (size_t i = 0; i < n; i++) {
        if (builtin(rt, names[i]) != def)
            continue;
        if (found.n != 0)
            config_fault(rt->config, arena_printf(arena_of(rt), "oauth.%.*s", CCP_FMT(names[i])).p, NULL, false,
                         "[oauth.%.*s] is for the same login", CCP_FMT(found));
        found = names[i];
    }
    return found;
}

bool logins_bind(struct runtime *rt)
{
    struct ccp_span names[LOGINS_MAX + 1];
    size_t blocks = config_tables(rt->config, "oauth", names, LOGINS_MAX + 1);
    if (blocks > LOGINS_MAX) {
        config_fault(rt->config, "oauth", NULL, false, "there may be %d [oauth.<name>] blocks at most", LOGINS_MAX);
        config_claim(rt->config, "oauth");
        blocks = LOGINS_MAX;
    }
    check_trust(rt, "auth", settings_auth_rows);
    rt->logins = arena_zalloc(arena_of(rt), (rt->plugin_count + blocks + 1) * sizeof(struct oauth_provider));
    if (rt->logins == NULL)
        return false;
    for (size_t i = 0; i < rt->plugin_count; i++) {
        const struct ccp_oauth_provider *def = rt->plugins[i].manifest->oauth;
        if (def != NULL && !bind_login(rt, def, ccp_span_z(def->name), block_of(rt, def, names, blocks)))
            return false;
    }
    for (size_t i = 0; i < blocks; i++) {
        if (builtin(rt, names[i]) != NULL)
            continue;
        if (!store_provider_ok(names[i]))
            config_fault(rt->config, arena_printf(arena_of(rt), "oauth.%.*s", CCP_FMT(names[i])).p, NULL, false,
                         "names of logins are lower-case letters, digits, - and _");
        if (!bind_login(rt, &blank, names[i], names[i]))
            return false;
    }
    return true;
}

/* -- what providers say of them -- */

static bool has_origin(const struct oauth_provider *l, struct ccp_span origin)
{
    for (size_t i = 0; i < l->origins.n; i++)
        if (ccp_span_eq(l->origins.v[i], origin))
            return true;
    return false;
}

static void add_origin(struct runtime *rt, struct oauth_provider *l, struct ccp_span origin)
{
    struct ccp_span *v = arena_alloc(arena_of(rt), (l->origins.n + 1) * sizeof(*v));
    if (v == NULL || origin.n == 0 || has_origin(l, origin))
        return;
    if (l->origins.n == RECORD_ORIGINS) {
        config_fault(rt->config, l->path, NULL, false, "a login may serve %d addresses at most", RECORD_ORIGINS);
        return;
    }
    if (l->origins.n != 0)
        memcpy(v, l->origins.v, l->origins.n * sizeof(*v));
    v[l->origins.n] = origin;
    l->origins = (struct ccp_list){v, l->origins.n + 1};
}

/* A login's own servers are reached as its provider's are, unless the block says otherwise. */
static void inherit(struct oauth_provider *l, const struct provider *p)
{
    if (l->proxy.n == 0) {
        l->proxy = p->s.proxy;
        l->no_proxy = l->no_proxy.n != 0 ? l->no_proxy : p->s.no_proxy;
    }
    if (l->ca_file.n == 0)
        l->ca_file = p->s.ca_file;
    l->allow_private = l->allow_private || p->s.allow_private;
}

void logins_finish(struct runtime *rt)
{
    const struct upstream_settings *u = &rt->settings.upstream;
    for (size_t i = 0; i < rt->provider_count; i++) {
        const struct provider *p = &rt->providers[i];
        struct oauth_provider *l = (struct oauth_provider *)p->login.login;
        if (l == NULL)
            continue;
        add_origin(rt, l, p->login.origin);
        inherit(l, p);
    }
    for (size_t i = 0; i < rt->login_count; i++) {
        struct oauth_provider *l = &rt->logins[i];
        if (l->proxy.n == 0) {
            l->proxy = u->proxy;
            l->no_proxy = l->no_proxy.n != 0 ? l->no_proxy : u->no_proxy;
        }
        l->allow_private = l->allow_private || u->allow_private;
    }
}

static void drop_trust(void *arg)
{
    trust_unref(arg);
}

/* The store belongs to the configuration, as the login does: whoever renews it keeps a reference to that only. */
static bool keep_trust(struct runtime *rt, struct oauth_provider *l, struct trust *trust)
{
    l->trust = trust;
    return arena_defer(arena_of(rt), drop_trust, trust);
}

bool logins_load_trust(struct runtime *rt, struct ccp_span *why)
{
    const char *text = NULL;
    for (size_t i = 0; i < rt->login_count; i++) {
        struct oauth_provider *l = &rt->logins[i];
        struct trust *trust = l->ca_file.n == 0 ? trust_ref(rt->trust) : trust_load(l->ca_file.p, &text);
        if (trust == NULL) {
            *why = arena_printf(arena_of(rt), "ca_file of login %.*s: %s", CCP_FMT(l->name), text);
            return false;
        }
        if (!keep_trust(rt, l, trust)) {
            trust_unref(trust);
            l->trust = NULL;
            return false;
        }
    }
    return true;
}

/* -- where they are kept -- */

static const char *default_directory(struct runtime *rt)
{
    const char *state = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (state != NULL && state[0] == '/') /* systemd may name several, separated by colons */
        return arena_printf(arena_of(rt), "%.*s/credentials", (int)strcspn(state, ":"), state).p;
    if (xdg != NULL && xdg[0] == '/')
        return arena_printf(arena_of(rt), "%s/ccproxy/credentials", xdg).p;
    return home != NULL && home[0] == '/' ? arena_printf(arena_of(rt), "%s/.config/ccproxy/credentials", home).p : NULL;
}

bool runtime_store_options(struct runtime *rt, struct store_options *out)
{
    const struct auth_settings *s = &rt->settings.auth;
    *out = (struct store_options){
        .directory = s->directory.n != 0 ? s->directory.p : default_directory(rt),
        .encryption = (enum store_encryption)s->encryption,
        .key_file = s->key_file.n != 0 ? s->key_file.p : NULL,
        .passphrase_file = s->passphrase_file.n != 0 ? s->passphrase_file.p : NULL,
    };
    return out->directory != NULL;
}
