/*
 * The settings of the core: one plain struct per table of the configuration, and the rows that fill them.
 *
 * Plugins bring their own rows; what all providers share (base_url, auth, api_key, ...) is here too, because
 * the core acts on it. Bound memory belongs to the configuration snapshot.
 */
#ifndef PLUGIN_SETTINGS_H
#define PLUGIN_SETTINGS_H

#include <ccproxy/config.h>
#include <config/config.h>

enum h2c_mode { H2C_LOOPBACK, H2C_ON, H2C_OFF };

struct server_settings {
    struct ccp_list host;
    int64_t port;
    struct ccp_span unix_socket;
    struct ccp_span unix_socket_mode; /* octal text */
    int64_t workers;                  /* 0 = number of cores */
    struct ccp_span user;
    struct ccp_span tls_cert, tls_key;
    bool http2;
    int h2c; /* enum h2c_mode */
    struct ccp_list allowed_hosts, trusted_proxies;
    int64_t max_connections, max_streams_per_connection, max_in_flight;
    uint64_t max_body_bytes, memory_limit, body_min_rate;
    uint64_t header_timeout, idle_timeout, write_timeout, drain_timeout, keepalive_interval;
};

struct logging_settings {
    int level;  /* enum ccp_log_level; "warning" is an alias, see settings.c */
    int format; /* 0 auto, 1 text, 2 json */
    struct ccp_span file;
    bool verbose_api;
};

struct security_key {
    struct ccp_span name;
    struct ccp_secret *token;
    bool admin;
    struct ccp_list providers, models; /* empty = all */
};

struct security_settings {
    struct ccp_secret *auth_token;
    struct ccp_tables keys; /* struct security_key */
    bool allow_unauthenticated;
};

struct cors_settings {
    struct ccp_list origins, methods, headers, expose_headers;
    bool credentials;
    uint64_t max_age;
};

enum upstream_choice { UPSTREAM_AUTO, UPSTREAM_CURL };

struct upstream_settings {
    uint64_t connect_timeout, first_byte_timeout, idle_timeout, total_timeout;
    bool http2;
    int transport; /* enum upstream_choice */
    struct ccp_span proxy, no_proxy, ca_file;
    int64_t max_connections_per_host; /* 0 = nobody set one: no limit but max_in_flight */
    uint64_t max_event_bytes;
    bool allow_private;
};

enum mapping_kind { MAP_EXACT, MAP_PREFIX, MAP_SUFFIX, MAP_REGEX };

struct model_mapping {
    struct ccp_span match, target;
    int kind; /* enum mapping_kind */
    struct ccp_span provider;
    const void *regex; /* compiled by settings_check for MAP_REGEX */
};

struct routing_settings {
    struct ccp_span default_provider;
    struct ccp_tables model_mappings; /* struct model_mapping */
};

struct top_settings {
    bool enable_plugins;
    struct ccp_list enabled_plugins, disabled_plugins;
    bool plugins_disable_local_discovery;
};

/* [plugin_discovery] */
struct discovery_settings {
    struct ccp_list directories; /* empty = the default ones, see instances.c */
    struct ccp_list allow;       /* SHA-256 in hex; empty = any */
    uint64_t probe_timeout;      /* ms */
};

/* [plugin_limits] */
struct limit_settings {
    uint64_t slow_call; /* ms */
    int64_t failures;
    uint64_t window;     /* ms */
    uint64_t stuck_call; /* ms */
};

enum provider_auth { AUTH_AUTO, AUTH_OAUTH, AUTH_API_KEY, AUTH_PASSTHROUGH, AUTH_NONE };

struct model_card {
    struct ccp_span id, display_name;
    int64_t max_input_tokens, max_tokens;
};

/* Shared by [plugins.<provider>] and [providers.<name>]. */
struct provider_settings {
    bool enabled;
    struct ccp_span base_url;
    int auth; /* enum provider_auth */
    struct ccp_secret *api_key;
    struct ccp_span oauth, account, auth_file;
    struct ccp_map headers;
    uint64_t timeout; /* 0 = [upstream] first_byte_timeout */
    struct ccp_span proxy, no_proxy, ca_file;
    bool allow_private, http2;
    struct ccp_tables model_mappings; /* struct model_mapping */
    struct ccp_tables models;         /* struct model_card */
    bool raw;
    bool stream_only;
    /* [providers.<name>] only */
    int format; /* enum ccp_format */
    struct ccp_span prefix;
};

/* [auth] */
struct auth_settings {
    struct ccp_span directory; /* empty = see runtime_store_options */
    int encryption;            /* enum store_encryption */
    struct ccp_span key_file, passphrase_file;
    uint64_t refresh_before; /* ms */
};

/* [oauth.<name>]: what replaces a built-in login's values, or a login of its own. Empty = not replaced. */
struct oauth_settings {
    struct ccp_span label, issuer, authorize_url, token_url, revoke_url, device_url, session_url;
    struct ccp_span client_id;
    struct ccp_secret *client_secret;
    struct ccp_list scopes;
    struct ccp_span redirect_uri;
    int64_t callback_port; /* 0 = as registered, or any */
    bool pkce;
    int token_body; /* 0 = the login's own, 1 = form, 2 = json */
    struct ccp_span proxy, no_proxy, ca_file;
    bool allow_private;
};

/* Shared by all [plugins.<name>]. */
struct plugin_switch {
    bool enabled; /* of a system plugin; a provider has it in its own settings */
    bool required;
    struct ccp_map tasks; /* name -> interval, "on" or "off" */
};

struct settings {
    struct top_settings top;
    struct server_settings server;
    struct logging_settings logging;
    struct security_settings security;
    struct cors_settings cors;
    struct upstream_settings upstream;
    struct routing_settings routing;
    struct auth_settings auth;
    struct discovery_settings discovery;
    struct limit_settings limits;
};

extern const struct ccp_config_row settings_top_rows[], settings_server_rows[], settings_logging_rows[],
    settings_security_rows[], settings_cors_rows[], settings_upstream_rows[], settings_routing_rows[],
    settings_auth_rows[], settings_discovery_rows[], settings_limit_rows[];
extern const struct ccp_config_row settings_provider_rows[]; /* of a built-in provider */
extern const struct ccp_config_row settings_block_rows[];    /* of [providers.<name>]: the same and format, prefix */
extern const struct ccp_config_row settings_oauth_rows[];    /* of [oauth.<name>] */
extern const struct ccp_config_row settings_switch_rows[];   /* `enabled`, for system plugins */
extern const struct ccp_config_row settings_plugin_rows[];   /* the others of plugin_switch */

/* Fills `sections` (at least 16) with the core's tables bound to *s; returns how many. */
size_t settings_sections(struct settings *s, struct config_section *sections);
/* Rules between keys: adds faults to the configuration. */
void settings_check(struct config *c, struct settings *s);
/* May this URL be spoken to without TLS as it is written: a literal loopback or private address, or localhost? */
struct url;
bool settings_plain_allowed(const struct url *u);
/* Checks one provider's values at "plugins.x" or "providers.x". */
void settings_check_provider(struct config *c, const char *path, struct provider_settings *p);

/* First hit of a mapping list, or NULL. `provider` NULL = any. */
const struct model_mapping *settings_map_model(const struct ccp_tables *mappings, struct ccp_span model);

#endif
