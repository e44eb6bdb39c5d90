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
#include <plugin/discover.h>
#include <plugin/executor.h>
#include <plugin/settings.h>
#include <plugin/unit.h>

#include <stdatomic.h>

struct trust;

enum plugin_state { PLUGIN_ACTIVE, PLUGIN_DISABLED, PLUGIN_FAILED };

/* A plugin as one configuration sees it; the open one behind it may be shared with other runtimes. */
struct plugin_instance {
    const struct ccp_plugin *manifest;  /* of a shared object without functions until it is open */
    const struct plugin_source *source; /* NULL = built in */
    const char *path;                   /* of its section: "plugins.mock" */
    const struct ccp_config_row *rows;  /* of that section */
    void *target;                       /* what it was bound into */
    const struct plugin_switch *switches;
    const struct provider_settings *provider_settings; /* or NULL */
    const void *settings;                              /* its own struct */
    struct plugin_unit *unit;                          /* a reference; NULL = not open */
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
    struct ccp_span owner;    /* "core" or the plugin's name */
    struct plugin_unit *unit; /* NULL = the core's */
};

struct hook_entry {
    const struct ccp_hook *h;
    void *self;
    struct ccp_span owner;
    struct plugin_unit *unit; /* NULL in tests */
};

struct route_entry {
    const struct ccp_route *r;
    void *self;
    struct ccp_span plugin;
    struct plugin_unit *unit;
};

struct runtime {
    atomic_uint refs;
    struct config *config;
    const struct ccp_plugin *const *extra; /* see runtime_bind_with; or NULL */
    struct settings settings;
    struct plugin_instance *plugins;
    size_t plugin_count;
    size_t *open_order; /* of those that can be opened: what is needed comes first */
    size_t open_count;
    struct provider *providers;
    size_t provider_count;
    struct oauth_provider *logins; /* of plugins, then of [oauth.<name>] blocks */
    size_t login_count;
    struct middleware_entry *chain; /* sorted by layer + order; core ones included */
    size_t chain_count;
    struct hook_entry **hooks[CCP_EVENT_COUNT];
    size_t hook_count[CCP_EVENT_COUNT];
    uint64_t heard_in_line, observed; /* CCP_HEARS masks */
    bool reads_usage, reads_deltas;   /* some hook wants token counts; some middleware has on_delta */
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

/* A command opens plugins without what a server does with them: no tasks run. Or it only loads their code, and `open`
 * is not called: self stays NULL. */
enum runtime_purpose { RUNTIME_SERVES, RUNTIME_COMMAND, RUNTIME_CODE };

/* What a runtime is opened with. */
struct runtime_host {
    const struct runtime_core *core;
    struct executor *executor;      /* NULL: no tasks, no observers (tests, commands) */
    const struct runtime *previous; /* plugins about which nothing changed are taken from it; or NULL */
    struct ccp_span restart;        /* a plugin that is opened anew although nothing changed; or empty */
    enum runtime_purpose purpose;
};

/* All manifests built in, NULL-terminated, in the order of the build's list. */
const struct ccp_plugin *const *registry_builtin(void);

/* NULL = the manifest is sound, else which rule it breaks. */
const char *abi_refusal(const struct ccp_abi *abi);

/* Binds and checks everything without opening a plugin: `config check`, `plugins list`. Faults are in the
 * configuration. Takes over the reference to c. NULL = no memory. */
struct runtime *runtime_bind(struct config *c);
/* The same with further manifests, NULL-terminated, which live as long as the runtime: as if they were built in, and
 * instead of a built-in one of the same name. For the test kit of plugins. */
struct runtime *runtime_bind_with(struct config *c, const struct ccp_plugin *const *extra);
/* Then: loads trust stores and opens the plugins. False with a text in *why. A provider without credentials is no
 * failure, nor is a plugin that cannot be opened, unless its settings say `required = true`. Main thread. */
bool runtime_open(struct runtime *rt, const struct runtime_host *host, struct ccp_span *why);
/* Opens one plugin and, unless only its code is wanted, what it needs; instead of runtime_open, for commands. False:
 * *why. */
bool runtime_open_only(struct runtime *rt, struct plugin_instance *p, const struct runtime_host *host,
                       struct ccp_span *why);
/* Only sorts the chain, without opening anything: `plugins order`. */
bool runtime_plan(struct runtime *rt, const struct runtime_core *core);
/* Is this an option of ccproxy's own commands, or the first word of one (`auth`: behind "auth")? Plugins may not have
 * them. */
bool runtime_core_option(const char *name);
bool runtime_core_command(const char *name, bool auth);
struct runtime *runtime_ref(struct runtime *rt);
void runtime_unref(struct runtime *rt); /* the last one lets go of its plugins in reverse order */

/* Sections of the whole configuration for show and example, *n of them, in the configuration's memory; NULL = there is
 * none. For `example` pass a runtime made from an empty configuration. */
struct config_section *runtime_sections(struct runtime *rt, size_t *n);

struct provider *runtime_provider(struct runtime *rt, struct ccp_span id);        /* by id or NULL */
struct provider *runtime_prefix(struct runtime *rt, struct ccp_span prefix);      /* enabled or not; NULL */
struct plugin_instance *runtime_plugin(struct runtime *rt, struct ccp_span name); /* or NULL */
/* Is this a word that stands below /plugins/<name> for the core itself? Not for routes and actions of plugins. */
bool plugin_word_reserved(struct ccp_span word);
/* A login by name or alias; NULL = none. */
const struct oauth_provider *runtime_login(const struct runtime *rt, struct ccp_span name);
/* [auth] as the store wants it. Texts live in the configuration. False: no home folder to put logins into. */
bool runtime_store_options(struct runtime *rt, struct store_options *out);

/* Orders plugins so that what is needed comes first; stable. `why[i]` says why i cannot be opened (something it needs
 * is not there or too old, or the cycle it is in, by name), p = NULL if it can; only those that can are in `order`.
 * Returns their number; SIZE_MAX = no memory. */
size_t order_plugins(const struct ccp_plugin *const *manifests, size_t n, size_t *order, struct ccp_span *why,
                     struct arena *a);
/* Is version `have` ("1.2.3") what `want` asks for ("", ">= 1.2", "> 1", "= 2.0.1", "< 3")? Missing parts are 0. False
 * also for texts that are neither. */
bool version_fits(const char *have, struct ccp_span want);

#endif
