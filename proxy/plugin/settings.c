/*
 * Rules between settings: what a single row cannot know. Adds faults to the configuration, never fails itself.
 */
#include <base/url.h>
#include <ccproxy/plugin.h>
#include <plugin/settings.h>

#include <arpa/inet.h>
#include <regex.h>

size_t settings_sections(struct settings *s, struct config_section *out)
{
    const struct config_section all[] = {
        {"", settings_top_rows, NULL, &s->top, "Which plugins run."},
        {"server", settings_server_rows, NULL, &s->server, "Where and how to listen."},
        {"logging", settings_logging_rows, NULL, &s->logging, "The server's log."},
        {"security", settings_security_rows, NULL, &s->security, "Keys that clients must present."},
        {"cors", settings_cors_rows, NULL, &s->cors, "Browsers."},
        {"upstream", settings_upstream_rows, NULL, &s->upstream, "Connections to providers."},
        {"routing", settings_routing_rows, NULL, &s->routing, "Requests without a provider prefix."},
        {"auth", settings_auth_rows, NULL, &s->auth, "Stored logins."},
        {"plugin_discovery", settings_discovery_rows, NULL, &s->discovery, "Plugins that are not built in."},
        {"plugin_limits", settings_limit_rows, NULL, &s->limits, "When a plugin that misbehaves is disabled."},
    };
    memcpy(out, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

static void free_regex(void *arg)
{
    regfree(arg);
}

static void check_mappings(struct config *c, const char *path, struct ccp_tables *t)
{
    struct model_mapping *m = t->v;
    for (size_t i = 0; i < t->n; i++) {
        if (m[i].match.n == 0)
            config_fault(c, path, "model_mappings", false, "match is empty");
        if (m[i].target.n == 0)
            config_fault(c, path, "model_mappings", false, "target is empty");
        if (m[i].kind != MAP_REGEX)
            continue;
        regex_t *re = arena_alloc(config_arena(c), sizeof(*re));
        if (re == NULL || regcomp(re, m[i].match.p, REG_EXTENDED | REG_NOSUB) != 0)
            config_fault(c, path, "model_mappings", false, "\"%.*s\" is not a POSIX extended regular expression",
                         CCP_FMT(m[i].match));
        else if (arena_defer(config_arena(c), free_regex, re))
            m[i].regex = re;
    }
}

static bool mapping_hits(const struct model_mapping *m, struct ccp_span model)
{
    char text[256];
    switch (m->kind) {
    case MAP_EXACT:
        return ccp_span_eq(model, m->match);
    case MAP_PREFIX:
        return ccp_span_starts(model, m->match);
    case MAP_SUFFIX:
        return ccp_span_ends(model, m->match);
    default:
        if (m->regex == NULL || model.n >= sizeof(text))
            return false;
        memcpy(text, model.p, model.n);
        text[model.n] = '\0';
        return regexec(m->regex, text, 0, NULL, 0) == 0;
    }
}

const struct model_mapping *settings_map_model(const struct ccp_tables *mappings, struct ccp_span model)
{
    const struct model_mapping *m = mappings->v;
    for (size_t i = 0; i < mappings->n; i++)
        if (mapping_hits(&m[i], model))
            return &m[i];
    return NULL;
}

static void check_proxy(struct config *c, const char *path, struct ccp_span proxy)
{
    struct url u;
    if (proxy.n == 0)
        return;
    struct ccp_span text = proxy;
    if (ccp_span_starts(text, CCP_SPAN("socks5h://")))
        text = ccp_span_skip(text, 6); /* leaves "h://": put a scheme that url_parse knows in its place */
    else if (ccp_span_starts(text, CCP_SPAN("socks5://")))
        text = ccp_span_skip(text, 5);
    const char *wrong;
    if (text.p != proxy.p) {
        struct ccp_span host = ccp_span_skip(text, ccp_span_find(text, ':') + 3);
        struct ccp_span pieces[] = {CCP_SPAN("http://"), host};
        wrong = url_parse(arena_cat(config_arena(c), pieces, 2), &u);
    } else {
        wrong = url_parse(proxy, &u);
    }
    if (wrong != NULL)
        config_fault(c, path, "proxy", false, "%s (http, https, socks5 and socks5h proxies are possible)", wrong);
}

static void check_security(struct config *c, struct security_settings *s)
{
    struct security_key *k = s->keys.v;
    if (s->allow_unauthenticated && config_set_untrusted(c, "security", "allow_unauthenticated"))
        config_fault(c, "security", "allow_unauthenticated", false,
                     "a file of the current folder may not open the server to others; pass --config to trust the file");
    for (size_t i = 0; i < s->keys.n; i++) {
        if (k[i].name.n == 0)
            config_fault(c, "security", "keys", false, "a key needs a name");
        if (k[i].token == NULL)
            config_fault(c, "security", "keys", false, "key \"%.*s\" has no token", CCP_FMT(k[i].name));
        if (ccp_span_is(k[i].name, "default") && s->auth_token != NULL)
            config_fault(c, "security", "keys", false, "the name \"default\" belongs to auth_token");
        for (size_t j = 0; j < i; j++)
            if (ccp_span_eq(k[i].name, k[j].name))
                config_fault(c, "security", "keys", false, "two keys are named \"%.*s\"", CCP_FMT(k[i].name));
    }
}

static void check_server(struct config *c, struct server_settings *s)
{
    if ((s->tls_cert.n == 0) != (s->tls_key.n == 0))
        config_fault(c, "server", s->tls_cert.n == 0 ? "tls_key" : "tls_cert", false,
                     "tls_cert and tls_key go together");
    bool octal = s->unix_socket_mode.n >= 3 && s->unix_socket_mode.n <= 4;
    for (size_t i = 0; i < s->unix_socket_mode.n; i++)
        octal = octal && s->unix_socket_mode.p[i] >= '0' && s->unix_socket_mode.p[i] <= '7';
    if (!octal)
        config_fault(c, "server", "unix_socket_mode", false, "is not an octal mode such as \"0600\"");
    if (s->host.n == 0 && s->unix_socket.n == 0)
        config_fault(c, "server", "host", false, "nothing to listen on: host is empty and unix_socket is not set");
    for (size_t i = 0; i < s->host.n; i++)
        if (!url_is_ip(s->host.v[i]) && !ccp_span_is(s->host.v[i], "localhost"))
            config_fault(c, "server", "host", false, "\"%.*s\" is not an IP address", CCP_FMT(s->host.v[i]));
}

#define BORROWED                                                                                                       \
    "a file of the current folder may not send what it takes from the environment (\"${NAME}\") or from other files "  \
    "to an address of its choice; pass --config to trust the file"

static void check_cors(struct config *c, const struct cors_settings *s)
{
    for (size_t i = 0; s->credentials && i < s->origins.n; i++)
        if (ccp_span_is(s->origins.v[i], "*"))
            config_fault(c, "cors", "credentials", false,
                         "would let every web page act as its visitor: name the origins instead of \"*\"");
}

/* The default must not queue what max_in_flight lets in: only a limit that somebody wrote makes requests wait. */
static void settle_host_limit(struct config *c, struct upstream_settings *u)
{
    if (!config_is_set(c, "upstream", "max_connections_per_host", NULL))
        u->max_connections_per_host = 0;
}

void settings_check(struct config *c, struct settings *s)
{
    if (s->logging.level > CCP_LOG_OFF) /* "warning" */
        s->logging.level = CCP_LOG_WARN;
    check_server(c, &s->server);
    check_security(c, &s->security);
    check_cors(c, &s->cors);
    settle_host_limit(c, &s->upstream);
    check_proxy(c, "upstream", s->upstream.proxy);
    check_mappings(c, "routing", &s->routing.model_mappings);
    if (config_borrows(c, "routing")) /* a model's name travels upstream too */
        config_fault(c, "routing", "model_mappings", false, BORROWED);
}

bool settings_plain_allowed(const struct url *u)
{
    unsigned a, b;
    if (url_is_localhost(u->host))
        return true;
    if (!url_is_ip(u->host))
        return false;
    if (u->ipv6) {
        struct in6_addr v6; /* fc00::/7, or loopback */
        char text[64] = "";
        memcpy(text, u->host.p, u->host.n < sizeof(text) ? u->host.n : sizeof(text) - 1);
        return inet_pton(AF_INET6, text, &v6) == 1 && ((v6.s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LOOPBACK(&v6));
    }
    if (sscanf(u->host.p, "%u.%u", &a, &b) != 2)
        return false;
    return a == 127 || a == 10 || (a == 172 && b >= 16 && b <= 31) || (a == 192 && b == 168);
}

static void check_base_url(struct config *c, const char *path, struct provider_settings *p)
{
    struct url u;
    if (p->base_url.n == 0) {
        if (strncmp(path, "providers.", 10) == 0)
            config_fault(c, path, "base_url", false, "is missing: a [providers.<name>] block needs it");
        return;
    }
    const char *wrong = url_parse(p->base_url, &u);
    if (wrong == NULL && u.query.n != 0)
        wrong = "a base URL has no query";
    if (wrong != NULL)
        config_fault(c, path, "base_url", false, "%s", wrong);
    else if (ccp_span_is(u.scheme, "http") && !p->allow_private && !settings_plain_allowed(&u))
        config_fault(c, path, "base_url", false,
                     "http:// is for loopback and private addresses only; use https:// or set allow_private = true");
}

#define NOT_TRUSTED                                                                                                    \
    "a file of the current folder may not set this for a provider with a stored credential; pass --config to trust "   \
    "the file"
#define NOT_BY_REQUEST                                                                                                 \
    "may not be set while ccproxy runs for a provider with a stored credential: it would decide where the credential " \
    "is sent; set it in the configuration file"

static bool on_loopback(struct ccp_span base_url)
{
    struct url u;
    return url_parse(base_url, &u) == NULL && (url_is_localhost(u.host) || ccp_span_is(u.host, "::1") ||
                                               (url_is_ip(u.host) && ccp_span_starts(u.host, CCP_SPAN("127."))));
}

/* Does a file of the current folder choose whom this provider's requests reach? */
static bool redirected(struct config *c, const char *path, const struct provider_settings *p)
{
    static const char *const ways[] = {"proxy", "ca_file"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (config_set_untrusted(c, path, ways[i]) || config_set_untrusted(c, "upstream", ways[i]))
            return true;
    return config_set_untrusted(c, path, "base_url") && !on_loopback(p->base_url);
}

/* A file that was found in the current folder, or a request, must not send a key of the user's elsewhere: neither one
 * that the environment or a flag gives, nor the client's own under passthrough. A literal loopback address is no
 * elsewhere. */
static void check_trust(struct config *c, const char *path, struct provider_settings *p)
{
    static const char *const guarded[] = {"proxy", "ca_file", "headers"};
    const char *why = config_untrusted(c) ? NOT_TRUSTED : NOT_BY_REQUEST;
    bool stored = p->api_key != NULL && !config_set_untrusted(c, path, "api_key");
    bool passed = p->auth == AUTH_PASSTHROUGH && strncmp(path, "plugins.", 8) == 0;
    if (config_borrows(c, path) && redirected(c, path, p))
        config_fault(c, path, "base_url", false, BORROWED);
    if (!stored && !passed)
        return; /* nothing to lose, or the file sends its own key */
    if (config_set_untrusted(c, path, "base_url") && !on_loopback(p->base_url))
        config_fault(c, path, "base_url", false, "%s", why);
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
        if (config_set_untrusted(c, path, guarded[i]))
            config_fault(c, path, guarded[i], false, "%s", why);
        if (config_set_untrusted(c, "upstream", guarded[i]))
            config_fault(c, "upstream", guarded[i], false, "%s", why);
    }
}

/* Fields that frame the message or name its hop; a second one would desynchronise the connection. */
static bool belongs_to_transport(struct ccp_span name)
{
    static const char *const fields[] = {"host",   "content-length",   "transfer-encoding", "connection",
                                         "te",     "trailer",          "upgrade",           "keep-alive",
                                         "expect", "proxy-connection", "accept-encoding",   "x-ccproxy-token"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (ccp_span_ieq(name, ccp_span_z(fields[i])))
            return true;
    return false;
}

void settings_check_provider(struct config *c, const char *path, struct provider_settings *p)
{
    check_base_url(c, path, p);
    check_proxy(c, path, p->proxy);
    check_mappings(c, path, &p->model_mappings);
    check_trust(c, path, p);
    for (size_t i = 0; i < p->headers.n; i++) {
        struct ccp_span name = p->headers.v[i].name, value = p->headers.v[i].value;
        if (belongs_to_transport(name))
            config_fault(c, path, "headers", false, "%.*s is set by ccproxy itself", CCP_FMT(name));
        for (size_t k = 0; k < name.n; k++)
            if (!(name.p[k] == '-' || name.p[k] == '_' || (name.p[k] >= '0' && name.p[k] <= '9') ||
                  ((name.p[k] | 0x20) >= 'a' && (name.p[k] | 0x20) <= 'z'))) {
                config_fault(c, path, "headers", false, "\"%.*s\" is not a header name", CCP_FMT(name));
                break;
            }
        for (size_t k = 0; k < value.n; k++)
            if ((unsigned char)value.p[k] < 0x20 || value.p[k] == 0x7f) {
                config_fault(c, path, "headers", false, "the value of %.*s has control characters", CCP_FMT(name));
                break;
            }
    }
}
