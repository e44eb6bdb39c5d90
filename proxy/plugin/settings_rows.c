/*
 * The rows of the core's tables. One row drives the file, the environment, flags, `config show`, the example
 * and the docs; adding a setting is one line here and one member in settings.h.
 */
#include <plugin/settings.h>

#include <ccproxy/exchange.h>

#define KIB    (1024ll)
#define MIB    (1024ll * 1024)
#define SECOND (1000ll)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define END                                                                                                            \
    {                                                                                                                  \
        .key = NULL                                                                                                    \
    }

#define T struct top_settings
const struct ccp_config_row settings_top_rows[] = {
    {"enable_plugins", CCP_BOOL, offsetof(T, enable_plugins), "true", .doc = "false switches every system plugin off"},
    {"enabled_plugins", CCP_LIST, offsetof(T, enabled_plugins), NULL,
     .doc = "only these plugins; absent = all, [] = none"},
    {"disabled_plugins", CCP_LIST, offsetof(T, disabled_plugins), "[]", .doc = "plugins to leave out"},
    {"plugins_disable_local_discovery", CCP_BOOL, offsetof(T, plugins_disable_local_discovery), "true",
     .flags = CCP_ROW_TRUSTED, .doc = "false: look into the folder plugins/ beside a file given with --config, too"},
    END,
};
#undef T

#define T struct server_settings
const struct ccp_config_row settings_server_rows[] = {
    {"host", CCP_LIST, offsetof(T, host), "[\"127.0.0.1\", \"::1\"]", .flags = CCP_ROW_RESTART,
     .doc = "addresses to listen on; [] = no TCP"},
    {"port", CCP_INT, offsetof(T, port), "8000", 0, 65535, .flags = CCP_ROW_RESTART,
     .doc = "0 = pick a free one and print it"},
    {"unix_socket", CCP_STRING, offsetof(T, unix_socket), "\"\"", .flags = CCP_ROW_RESTART,
     .doc = "additional unix socket"},
    {"unix_socket_mode", CCP_STRING, offsetof(T, unix_socket_mode), "\"0600\"", .flags = CCP_ROW_RESTART,
     .doc = "octal mode of the unix socket"},
    {"workers", CCP_INT, offsetof(T, workers), "0", 0, 256, .flags = CCP_ROW_RESTART,
     .doc = "worker threads; 0 = one per core"},
    {"user", CCP_STRING, offsetof(T, user), "\"\"", .flags = CCP_ROW_RESTART,
     .doc = "when started as root, become this user after binding"},
    {"tls_cert", CCP_STRING, offsetof(T, tls_cert), "\"\"", .doc = "PEM certificate chain; with tls_key: serve TLS"},
    {"tls_key", CCP_STRING, offsetof(T, tls_key), "\"\"", .doc = "PEM private key"},
    {"http2", CCP_BOOL, offsetof(T, http2), "true", .doc = "offer HTTP/2 by ALPN"},
    {"h2c", CCP_ENUM, offsetof(T, h2c), "\"loopback\"", .choices = "loopback|true|false", .flags = CCP_ROW_BOOL_ENUM,
     .doc = "HTTP/2 without TLS by prior knowledge: loopback and unix socket only, true, false"},
    {"allowed_hosts", CCP_LIST, offsetof(T, allowed_hosts), "[]",
     .doc = "Host names besides IP literals and localhost: names, \".suffix\", \"*\""},
    {"trusted_proxies", CCP_LIST, offsetof(T, trusted_proxies), "[]", .flags = CCP_ROW_RESTART,
     .doc = "addresses or networks whose X-Forwarded-For is believed for the log"},
    {"max_connections", CCP_INT, offsetof(T, max_connections), "4096", 1, 1000000},
    {"max_streams_per_connection", CCP_INT, offsetof(T, max_streams_per_connection), "100", 1, 100},
    {"max_in_flight", CCP_INT, offsetof(T, max_in_flight), "1000", 1, 1000000,
     .doc = "requests at once; more are answered 529 or 503 with Retry-After"},
    {"max_body_bytes", CCP_SIZE, offsetof(T, max_body_bytes), "\"32MiB\"", 1 * KIB, 1024 * MIB},
    {"memory_limit", CCP_SIZE, offsetof(T, memory_limit), "0",
     .doc = "at 80 % new requests get 529 or 503, at 95 % growth ends; 0 = 80 % of cgroup, RLIMIT_AS or RAM"},
    {"header_timeout", CCP_DURATION, offsetof(T, header_timeout), "\"10s\"", 100, HOUR},
    {"body_min_rate", CCP_SIZE, offsetof(T, body_min_rate), "\"1KiB/s\"", 0, 1024 * MIB,
     .doc = "slower uploads are cut; 0 = any speed"},
    {"idle_timeout", CCP_DURATION, offsetof(T, idle_timeout), "\"75s\"", SECOND, DAY,
     .doc = "idle client connections are closed"},
    {"write_timeout", CCP_DURATION, offsetof(T, write_timeout), "\"60s\"", 100, DAY,
     .doc = "a client that takes nothing for so long is cut"},
    {"drain_timeout", CCP_DURATION, offsetof(T, drain_timeout), "\"30s\"", 0, DAY,
     .doc = "time for running requests after SIGTERM"},
    {"keepalive_interval", CCP_DURATION, offsetof(T, keepalive_interval), "\"15s\"", 0, HOUR,
     .doc = "ping or comment on silent streams; 0 = none"},
    END,
};
#undef T

#define T struct logging_settings
const struct ccp_config_row settings_logging_rows[] = {
    {"level", CCP_ENUM, offsetof(T, level), "\"info\"", .choices = "debug|info|warn|error|off|warning",
     .doc = "debug, info, warn, error, off"},
    {"format", CCP_ENUM, offsetof(T, format), "\"auto\"", .choices = "auto|text|json",
     .doc = "auto = text on a terminal, else json"},
    {"file", CCP_STRING, offsetof(T, file), "\"\"", .doc = "append here instead of standard error (mode 0600)"},
    {"verbose_api", CCP_BOOL, offsetof(T, verbose_api), "false",
     .doc = "also log request and response bodies, the first 64 KiB of each"},
    END,
};
#undef T

#define T struct security_key
static const struct ccp_config_row key_rows[] = {
    {"name", CCP_STRING, offsetof(T, name), NULL, .flags = CCP_ROW_REQUIRED},
    {"token", CCP_SECRET, offsetof(T, token), NULL, .flags = CCP_ROW_REQUIRED},
    {"admin", CCP_BOOL, offsetof(T, admin), "false"},
    {"providers", CCP_LIST, offsetof(T, providers), "[]"},
    {"models", CCP_LIST, offsetof(T, models), "[]"},
    END,
};
#undef T

#define T struct security_settings
const struct ccp_config_row settings_security_rows[] = {
    {"auth_token", CCP_SECRET, offsetof(T, auth_token), "\"\"",
     .doc = "the key that clients must present; its name is \"default\""},
    {"keys", CCP_TABLES, offsetof(T, keys), NULL, .rows = key_rows, .row_size = sizeof(struct security_key),
     .doc = "[[security.keys]] name, token, admin = false, providers = [], models = []"},
    {"allow_unauthenticated", CCP_BOOL, offsetof(T, allow_unauthenticated), "false",
     .doc = "let a listener beyond loopback start without any key"},
    END,
};
#undef T

#define T struct cors_settings
const struct ccp_config_row settings_cors_rows[] = {
    {"origins", CCP_LIST, offsetof(T, origins), "[]",
     .doc = "web pages that may call: \"https://app.example\", or \"*\""},
    {"credentials", CCP_BOOL, offsetof(T, credentials), "false"},
    {"methods", CCP_LIST, offsetof(T, methods), "[\"GET\", \"POST\", \"DELETE\", \"OPTIONS\"]"},
    {"headers", CCP_LIST, offsetof(T, headers), "[\"*\"]"},
    {"expose_headers", CCP_LIST, offsetof(T, expose_headers), "[\"request-id\", \"x-request-id\", \"retry-after\"]"},
    {"max_age", CCP_DURATION, offsetof(T, max_age), "\"10m\"", 0, DAY},
    END,
};
#undef T

#define T struct upstream_settings
const struct ccp_config_row settings_upstream_rows[] = {
    {"connect_timeout", CCP_DURATION, offsetof(T, connect_timeout), "\"10s\"", 10, HOUR},
    {"first_byte_timeout", CCP_DURATION, offsetof(T, first_byte_timeout), "\"600s\"", 0, DAY,
     .doc = "until the upstream's response head; 0 = none"},
    {"idle_timeout", CCP_DURATION, offsetof(T, idle_timeout), "\"300s\"", 0, DAY, .doc = "between bytes of an answer"},
    {"total_timeout", CCP_DURATION, offsetof(T, total_timeout), "0", 0, 7 * DAY, .doc = "0 = none"},
    {"http2", CCP_BOOL, offsetof(T, http2), "false", .doc = "HTTP/2 to upstreams that offer it"},
    {"transport", CCP_ENUM, offsetof(T, transport), "\"auto\"", .choices = "auto|curl", .flags = CCP_ROW_RESTART,
     .doc = "auto: our own HTTP/1.1 client, libcurl for proxies and HTTP/2; curl: libcurl for everything"},
    {"proxy", CCP_STRING, offsetof(T, proxy), "\"\"", .flags = CCP_ROW_TRUSTED,
     .doc = "proxy URL; environment proxies are ignored, write \"${HTTPS_PROXY:-}\" to use them"},
    {"no_proxy", CCP_STRING, offsetof(T, no_proxy), "\"\"", .doc = "hosts reached without the proxy, comma separated"},
    {"ca_file", CCP_STRING, offsetof(T, ca_file), "\"\"", .flags = CCP_ROW_TRUSTED,
     .doc = "PEM certificates trusted in addition to the system's"},
    {"max_connections_per_host", CCP_INT, offsetof(T, max_connections_per_host), "256", 1, 100000,
     .doc = "when set: requests at once to one host, the rest wait; else max_in_flight bounds them"},
    {"max_event_bytes", CCP_SIZE, offsetof(T, max_event_bytes), "\"32MiB\"", 4 * KIB, 1024 * MIB,
     .doc = "no effect yet: largest event of a translated stream"},
    {"allow_private", CCP_BOOL, offsetof(T, allow_private), "false", .flags = CCP_ROW_TRUSTED,
     .doc = "names may resolve to private, loopback or link-local addresses"},
    END,
};
#undef T

#define T struct model_mapping
static const struct ccp_config_row mapping_rows[] = {
    {"match", CCP_STRING, offsetof(T, match), NULL, .flags = CCP_ROW_REQUIRED},
    {"target", CCP_STRING, offsetof(T, target), NULL, .flags = CCP_ROW_REQUIRED},
    {"kind", CCP_ENUM, offsetof(T, kind), "\"exact\"", .choices = "exact|prefix|suffix|regex"},
    {"provider", CCP_STRING, offsetof(T, provider), "\"\""},
    END,
};

/* Within a provider there is no other provider to go to. */
static const struct ccp_config_row own_mapping_rows[] = {
    {"match", CCP_STRING, offsetof(T, match), NULL, .flags = CCP_ROW_REQUIRED},
    {"target", CCP_STRING, offsetof(T, target), NULL, .flags = CCP_ROW_REQUIRED},
    {"kind", CCP_ENUM, offsetof(T, kind), "\"exact\"", .choices = "exact|prefix|suffix|regex"},
    END,
};
#undef T

#define T struct routing_settings
const struct ccp_config_row settings_routing_rows[] = {
    {"default_provider", CCP_STRING, offsetof(T, default_provider), "\"\"",
     .doc = "provider of requests without prefix whose model nothing else matches"},
    {"model_mappings", CCP_TABLES, offsetof(T, model_mappings), NULL, .rows = mapping_rows,
     .row_size = sizeof(struct model_mapping),
     .doc = "[[routing.model_mappings]] match, target, kind = exact|prefix|suffix|regex, provider; first hit wins"},
    END,
};
#undef T

#define T struct auth_settings
const struct ccp_config_row settings_auth_rows[] = {
    {"directory", CCP_STRING, offsetof(T, directory), "\"\"", .flags = CCP_ROW_TRUSTED | CCP_ROW_RESTART,
     .doc = "where logins are kept; default $STATE_DIRECTORY/credentials or $XDG_CONFIG_HOME/ccproxy/credentials"},
    {"encryption", CCP_ENUM, offsetof(T, encryption), "\"none\"", .choices = "none|key_file|passphrase_file",
     .flags = CCP_ROW_TRUSTED | CCP_ROW_RESTART, .doc = "of stored logins; after a change: ccproxy auth rekey"},
    {"key_file", CCP_STRING, offsetof(T, key_file), "\"\"", .flags = CCP_ROW_TRUSTED | CCP_ROW_RESTART,
     .doc = "32 bytes, raw or as hex or base64; mode 0600, or a systemd credential"},
    {"passphrase_file", CCP_STRING, offsetof(T, passphrase_file), "\"\"", .flags = CCP_ROW_TRUSTED | CCP_ROW_RESTART,
     .doc = "its first line is the passphrase"},
    {"refresh_before", CCP_DURATION, offsetof(T, refresh_before), "\"300s\"", 0, HOUR,
     .doc =
         "an access token that ends sooner is renewed before it is used; renewing begins two to three times as early"},
    END,
};
#undef T

#define T struct oauth_settings
const struct ccp_config_row settings_oauth_rows[] = {
    {"label", CCP_STRING, offsetof(T, label), "\"\"", .flags = CCP_ROW_TRUSTED, .doc = "name for people"},
    {"issuer", CCP_STRING, offsetof(T, issuer), "\"\"", .flags = CCP_ROW_TRUSTED,
     .doc = "URL that the other URLs are discovered from (RFC 8414)"},
    {"authorize_url", CCP_STRING, offsetof(T, authorize_url), "\"\"", .flags = CCP_ROW_TRUSTED},
    {"token_url", CCP_STRING, offsetof(T, token_url), "\"\"", .flags = CCP_ROW_TRUSTED},
    {"revoke_url", CCP_STRING, offsetof(T, revoke_url), "\"\"", .flags = CCP_ROW_TRUSTED},
    {"device_url", CCP_STRING, offsetof(T, device_url), "\"\"", .flags = CCP_ROW_TRUSTED},
    {"session_url", CCP_STRING, offsetof(T, session_url), "\"\"", .flags = CCP_ROW_TRUSTED,
     .doc = "copilot: where the session token comes from"},
    {"client_id", CCP_STRING, offsetof(T, client_id), "\"\"", .flags = CCP_ROW_TRUSTED},
    {"client_secret", CCP_SECRET, offsetof(T, client_secret), "\"\"", .flags = CCP_ROW_TRUSTED},
    {"scopes", CCP_LIST, offsetof(T, scopes), "[]", .flags = CCP_ROW_TRUSTED},
    {"redirect_uri", CCP_STRING, offsetof(T, redirect_uri), "\"\"", .flags = CCP_ROW_TRUSTED,
     .doc = "as registered; one that is not on this machine shows a code to paste"},
    {"callback_port", CCP_INT, offsetof(T, callback_port), "0", 0, 65535, .flags = CCP_ROW_TRUSTED,
     .doc = "where the browser comes back to; 0 = as registered, else any free port"},
    {"pkce", CCP_BOOL, offsetof(T, pkce), "true", .flags = CCP_ROW_TRUSTED},
    {"token_body", CCP_ENUM, offsetof(T, token_body), "\"default\"", .choices = "default|form|json",
     .flags = CCP_ROW_TRUSTED, .doc = "form or json; default the login's own, else form"},
    {"proxy", CCP_STRING, offsetof(T, proxy), "\"\"", .flags = CCP_ROW_TRUSTED,
     .doc = "of these servers; default that of the provider that uses the login"},
    {"no_proxy", CCP_STRING, offsetof(T, no_proxy), "\"\"", .flags = CCP_ROW_TRUSTED},
    {"ca_file", CCP_STRING, offsetof(T, ca_file), "\"\"", .flags = CCP_ROW_TRUSTED},
    {"allow_private", CCP_BOOL, offsetof(T, allow_private), "false", .flags = CCP_ROW_TRUSTED},
    END,
};
#undef T

#define T struct model_card
static const struct ccp_config_row card_rows[] = {
    {"id", CCP_STRING, offsetof(T, id), NULL, .flags = CCP_ROW_REQUIRED},
    {"display_name", CCP_STRING, offsetof(T, display_name), "\"\""},
    {"max_input_tokens", CCP_INT, offsetof(T, max_input_tokens), "0", 0, INT64_MAX},
    {"max_tokens", CCP_INT, offsetof(T, max_tokens), "0", 0, INT64_MAX},
    END,
};
#undef T

#define T struct provider_settings
#define SHARED_ROWS                                                                                                    \
    {"enabled", CCP_BOOL, offsetof(T, enabled), "true"},                                                               \
        {"auth",                                                                                                       \
         CCP_ENUM,                                                                                                     \
         offsetof(T, auth),                                                                                            \
         "\"auto\"",                                                                                                   \
         .choices = "auto|oauth|api_key|passthrough|none",                                                             \
         .doc = "auto = the key if one is set, else a stored login"},                                                  \
        {"oauth",                                                                                                      \
         CCP_STRING,                                                                                                   \
         offsetof(T, oauth),                                                                                           \
         "\"\"",                                                                                                       \
         .flags = CCP_ROW_TRUSTED,                                                                                     \
         .doc = "name of the login; default the provider's own"},                                                      \
        {"account", CCP_STRING, offsetof(T, account), "\"\"",                                                          \
         .doc = "label of its account; default the only or first one"},                                                \
        {"auth_file",                                                                                                  \
         CCP_STRING,                                                                                                   \
         offsetof(T, auth_file),                                                                                       \
         "\"\"",                                                                                                       \
         .flags = CCP_ROW_TRUSTED,                                                                                     \
         .doc = "use the vendor's own credential file in place, such as ~/.codex/auth.json"},                          \
        {"headers",                                                                                                    \
         CCP_MAP,                                                                                                      \
         offsetof(T, headers),                                                                                         \
         NULL,                                                                                                         \
         .flags = CCP_ROW_TRUSTED | CCP_ROW_SECRET_VALUES,                                                             \
         .doc = "added to upstream requests, replacing the client's"},                                                 \
        {"timeout", CCP_DURATION, offsetof(T, timeout), "0", 0, DAY, .doc = "replaces first_byte_timeout; 0 = not"},   \
        {"proxy", CCP_STRING, offsetof(T, proxy), "\"\"", .flags = CCP_ROW_TRUSTED},                                   \
        {"no_proxy", CCP_STRING, offsetof(T, no_proxy), "\"\""},                                                       \
        {"ca_file", CCP_STRING, offsetof(T, ca_file), "\"\"", .flags = CCP_ROW_TRUSTED},                               \
        {"allow_private", CCP_BOOL, offsetof(T, allow_private), "false", .flags = CCP_ROW_TRUSTED},                    \
        {"http2", CCP_BOOL, offsetof(T, http2), "false"},                                                              \
        {"model_mappings",                                                                                             \
         CCP_TABLES,                                                                                                   \
         offsetof(T, model_mappings),                                                                                  \
         NULL,                                                                                                         \
         .rows = own_mapping_rows,                                                                                     \
         .row_size = sizeof(struct model_mapping),                                                                     \
         .doc = "match, target, kind; first hit wins"},                                                                \
        {"models",                                                                                                     \
         CCP_TABLES,                                                                                                   \
         offsetof(T, models),                                                                                          \
         NULL,                                                                                                         \
         .rows = card_rows,                                                                                            \
         .row_size = sizeof(struct model_card),                                                                        \
         .flags = CCP_ROW_STRING_ITEM,                                                                                 \
         .doc = "ids, or tables with id, display_name; default the upstream's own list"},                              \
        {"stream_only", CCP_BOOL, offsetof(T, stream_only), "false",                                                   \
         .doc = "always ask upstream for a stream; clients that did not get the collected answer"},                    \
    {                                                                                                                  \
        "raw", CCP_BOOL, offsetof(T, raw), "false", .doc = "serve /<prefix>/raw/..."                                   \
    }

/* base_url and api_key of a built-in provider have their own defaults: see runtime_provider_rows. */
const struct ccp_config_row settings_provider_rows[] = {SHARED_ROWS, END};

const struct ccp_config_row settings_block_rows[] = {
    {"base_url", CCP_STRING, offsetof(T, base_url), NULL, .flags = CCP_ROW_TRUSTED | CCP_ROW_URL | CCP_ROW_REQUIRED,
     .doc = "in the form that vendor's SDK takes"},
    {"format", CCP_ENUM, offsetof(T, format), "\"openai-chat\"",
     .choices = "anthropic|openai-chat|openai-responses|gemini", .doc = "the format it speaks"},
    {"prefix", CCP_STRING, offsetof(T, prefix), "\"\"", .doc = "first path segment; default the name"},
    {"api_key", CCP_SECRET, offsetof(T, api_key), "\"\""},
    SHARED_ROWS,
    END,
};
#undef T

#define T struct discovery_settings
const struct ccp_config_row settings_discovery_rows[] = {
    {"directories", CCP_LIST, offsetof(T, directories), NULL, .flags = CCP_ROW_TRUSTED,
     .doc = "default: $XDG_CONFIG_HOME/ccproxy/plugins, ../lib/ccproxy/plugins of the program's folder when that is a "
            "bin, /usr/lib/ccproxy/plugins"},
    {"allow", CCP_LIST, offsetof(T, allow), "[]", .flags = CCP_ROW_TRUSTED,
     .doc = "only shared objects with one of these SHA-256 sums; [] = any that is safely owned"},
    {"probe_timeout", CCP_DURATION, offsetof(T, probe_timeout), "\"5s\"", 100, 60 * SECOND,
     .doc = "for the child process that reads what a new shared object declares"},
    END,
};
#undef T

#define T struct limit_settings
const struct ccp_config_row settings_limit_rows[] = {
    {"slow_call", CCP_DURATION, offsetof(T, slow_call), "\"100ms\"", 0, 60 * SECOND,
     .doc = "a call on a worker that takes longer counts as a failure of its plugin; 0 = none does"},
    {"failures", CCP_INT, offsetof(T, failures), "20", 0, 1000000,
     .doc = "so many failures within the window disable a plugin until it is restarted; 0 = never"},
    {"window", CCP_DURATION, offsetof(T, window), "\"1m\"", SECOND, DAY},
    {"stuck_call", CCP_DURATION, offsetof(T, stuck_call), "\"30s\"", 100, HOUR, .flags = CCP_ROW_RESTART,
     .doc = "an observer or task that takes longer is given up, and its plugin disabled"},
    END,
};
#undef T

#define T struct plugin_switch
const struct ccp_config_row settings_plugin_rows[] = {
    {"required", CCP_BOOL, offsetof(T, required), "false", .doc = "do not start without this plugin"},
    {"tasks", CCP_MAP, offsetof(T, tasks), NULL, .doc = "task = \"5m\", \"on\" or \"off\" instead of its own interval"},
    END,
};
#undef T

const struct ccp_config_row settings_switch_rows[] = {
    {"enabled", CCP_BOOL, offsetof(struct plugin_switch, enabled), "true"},
    END,
};
