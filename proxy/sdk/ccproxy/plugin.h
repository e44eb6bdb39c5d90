/*
 * The plugin manifest: one const record that declares everything; no code runs to declare it.
 *
 *     CCP_PLUGIN(access_log) = { CCP_ABI_HERE, .name = "access_log", .version = "1.0", ... };
 *
 * The same source builds into the executable or as a shared object. Structs of this SDK only grow at the end.
 */
#ifndef CCPROXY_PLUGIN_H
#define CCPROXY_PLUGIN_H

#include "config.h"
#include "hook.h"
#include "json.h"
#include "middleware.h"
#include "oauth.h"
#include "provider.h"

#define CCP_ABI_MAGIC 0x43435031u /* "CCP1" */
#define CCP_ABI_MAJOR 1
#define CCP_ABI_MINOR 1

struct ccp_abi {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t size; /* of struct ccp_plugin as the plugin was built */
};

#define CCP_ABI_HERE .abi = {CCP_ABI_MAGIC, CCP_ABI_MAJOR, CCP_ABI_MINOR, sizeof(struct ccp_plugin)}

enum ccp_plugin_kind { CCP_PLUGIN_PROVIDER, CCP_PLUGIN_SYSTEM };

enum ccp_log_level { CCP_LOG_DEBUG, CCP_LOG_INFO, CCP_LOG_WARN, CCP_LOG_ERROR, CCP_LOG_OFF };

/* What `open` gets. Valid until `close` returned. */
struct ccp_plugin_env {
    const struct ccp_api *api;
    struct ccp_span name;
    const void *config; /* the struct that the manifest's rows were bound into */
    void *core;         /* the core's own */
};

/* One route under /plugins/<name>/ that the plugin answers itself. */
struct ccp_route {
    const char *method; /* "GET" */
    const char *path;   /* below the plugin's prefix, "/stats" */
    bool admin;         /* needs an admin key */
    enum ccp_verdict (*serve)(void *self, struct ccp_exchange *x);
};

/* Answer of `check`: is this instance usable now? */
enum ccp_health { CCP_HEALTH_PASS, CCP_HEALTH_WARN, CCP_HEALTH_FAIL };

/* The vendor's own program for the same service. The core looks for it at start, by name in PATH and by the version
 * that stands beside it (package.json of `package`, or a folder named like a version); it is never run. */
struct ccp_program {
    const char *name;    /* "claude" */
    const char *package; /* npm: "@anthropic-ai/claude-code" */
};

struct ccp_plugin {
    struct ccp_abi abi; /* first, for ever */
    const char *name, *version, *summary;
    enum ccp_plugin_kind kind;
    const char *const *needs; /* names of plugins that must be open before, NULL-terminated, or NULL */

    const struct ccp_config_row *config; /* ends with a row whose key is NULL; NULL = no settings */
    size_t config_size;

    const struct ccp_provider *provider;
    const struct ccp_middleware *middleware; /* ends with a NULL name */
    const struct ccp_hook *hooks;            /* ends with a NULL name */
    const struct ccp_route *routes;          /* ends with a NULL method */

    /* Makes the instance; NULL on failure with a text in *why. May run on any thread, before requests come. */
    void *(*open)(const struct ccp_plugin_env *env, struct ccp_span *why);
    /* Health in one line of text (static or owned by the instance). */
    enum ccp_health (*check)(void *self, struct ccp_span *why);
    void (*close)(void *self);
    const struct ccp_oauth_provider *oauth; /* a login that this plugin brings, or NULL */
    const struct ccp_program *program;      /* shown by its health, or NULL */
};

#define CCP_PLUGIN(id) const struct ccp_plugin ccp_plugin_##id

#endif
