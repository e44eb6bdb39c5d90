/*
 * The runtime: one configuration with everything that was made from it.
 *
 * Built whole from a configuration snapshot (settings bound, plugins opened in dependency order, chain sorted,
 * hooks indexed, providers resolved), then immutable and shared by all workers. A reload builds a new one
 * beside the old; exchanges keep the one they started with, and the last reference closes its plugins.
 */
#ifndef PLUGIN_RUNTIME_H
#define PLUGIN_RUNTIME_H

#include <auth/auth.h>
#include <base/url.h>
#include <ccproxy/ccproxy.h>
#include <config/config.h>
#include <plugin/detect.h>
#include <plugin/settings.h>

#include <stdatomic.h>

struct trust;

enum plugin_state { PLUGIN_ACTIVE, PLUGIN_DISABLED, PLUGIN_FAILED };

struct plugin_instance {
    const struct ccp_plugin *manifest;
    struct ccp_plugin_env env;
    void *self;
    enum plugin_state state;
    struct ccp_span why;      /* of PLUGIN_FAILED */
    int provider;             /* index into providers, -1 = none */
    struct detection program; /* the vendor's own, as it was found when the runtime opened */
};

/* A provider that requests can be sent to: of a plugin, or of a [providers.<name>] block. */
struct provider {
    struct ccp_span id, prefix, label;
    const struct ccp_provider *def;
    void *self; /* instance of the plugin, or NULL */
    bool enabled;
    bool compatible; /* not the vendor's own server: a block, or another base_url */
    unsigned formats;
    struct provider_settings s;
    struct url base;   /* parsed base_url; unused with an own transport */
    bool literal_host; /* base_url (or the proxy, if there is one) names an IP literal or localhost */
    bool allow_private;
    struct ccp_upstream_limits limits;
    struct ccp_span proxy, no_proxy;
    struct trust *trust;      /* own ca_file, or NULL */
    enum provider_auth auth;  /* resolved: never AUTH_AUTO unless nothing is there */
    struct auth_use login;    /* AUTH_OAUTH: the credential it uses; login.login NULL = none */
    bool usable;              /* a request can be tried now; with a login: if auth_report says so */
    struct ccp_span unusable; /* text for people otherwise: "set plugins.claude_api.api_key ..." */
};

struct middleware_entry {
    const struct ccp_middleware *m;
    void *self;
    struct ccp_span owner; /* "core" or the plugin's name */
};

struct hook_entry {
    const struct ccp_hook *h;
    void *self;
    struct ccp_span owner;
    atomic_ulong failures;
};

struct route_entry {
    const struct ccp_route *r;
    void *self;
    struct ccp_span plugin;
};

struct runtime {
    atomic_uint refs;
    struct config *config;
    struct settings settings;
    struct plugin_instance *plugins;
    size_t plugin_count;
    size_t opened; /* the first `opened` of open_order are open */
    size_t *open_order;
    struct provider *providers;
    size_t provider_count;
    struct oauth_provider *logins; /* of plugins, then of [oauth.<name>] blocks */
    size_t login_count;
    struct middleware_entry *chain; /* sorted by layer + order; core ones included */
    size_t chain_count;
    struct hook_entry **hooks[CCP_EVENT_COUNT];
    size_t hook_count[CCP_EVENT_COUNT];
    uint64_t heard; /* CCP_HEARS mask */
    struct route_entry *routes;
    size_t route_count;
    struct trust *trust; /* default store: system + [upstream] ca_file */
    uint64_t generation;
    atomic_bool outdated; /* a newer configuration was refused; health says so. Set by main, read by workers */
};

/* What the core (chain/) brings into every runtime: its middlewares and the API table for plugins. */
struct runtime_core {
    const struct ccp_middleware *const *middlewares; /* NULL-terminated */
    const struct ccp_api *api;
};

/* All manifests built in, NULL-terminated, in the order of the build's list. */
const struct ccp_plugin *const *registry_builtin(void);

/* NULL = the manifest is sound, else which rule it breaks. */
const char *abi_refusal(const struct ccp_abi *abi);

/* Binds and checks everything without opening a plugin: `config check`, `plugins list`. Faults are in the
 * configuration. Takes over the reference to c. NULL = no memory. */
struct runtime *runtime_bind(struct config *c);
/* Then: loads trust stores and opens the plugins. False with a text in *why; a provider without credentials is
 * no failure. */
bool runtime_open(struct runtime *rt, const struct runtime_core *core, struct ccp_span *why);
/* Only sorts the chain, without opening anything: `plugins order`. */
bool runtime_plan(struct runtime *rt, const struct runtime_core *core);
struct runtime *runtime_ref(struct runtime *rt);
void runtime_unref(struct runtime *rt); /* the last one closes the plugins in reverse order */

/* Sections of the whole configuration for show and example. Returns the number; max 64. For `example` pass a
 * runtime made from an empty configuration. */
size_t runtime_sections(struct runtime *rt, struct config_section *out, size_t max);

struct provider *runtime_provider(struct runtime *rt, struct ccp_span id);        /* by id or NULL */
struct provider *runtime_prefix(struct runtime *rt, struct ccp_span prefix);      /* enabled or not; NULL */
struct plugin_instance *runtime_plugin(struct runtime *rt, struct ccp_span name); /* or NULL */
/* A login by name or alias; NULL = none. */
const struct oauth_provider *runtime_login(const struct runtime *rt, struct ccp_span name);
/* [auth] as the store wants it. Texts live in the configuration. False: no home folder to put logins into. */
bool runtime_store_options(struct runtime *rt, struct store_options *out);

/* Orders manifests so that needs come first. Returns NULL, or a text naming what is missing or the cycle. */
const char *order_plugins(const struct ccp_plugin *const *manifests, size_t n, size_t *order, struct arena *a);

#endif
