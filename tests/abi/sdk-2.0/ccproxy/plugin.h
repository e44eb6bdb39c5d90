/*
 * The plugin manifest: one const record that declares everything; no code runs to declare it.
 *
 *     CCP_PLUGIN(access_log) = { CCP_ABI_HERE, .name = "access_log", .version = "1.0.0", ... };
 *
 * The same source builds into the executable or as a shared object; the id is the name with '-' written as '_'.
 *
 * What lasts: structs of this SDK only grow at the end, enumerations and event.def only get new members at the end,
 * functions of ccp_api never change. A record tells how large each struct was where it was built, so a core with larger
 * ones reads what is there and takes the rest as zero. A major version breaks this, and such plugins are refused.
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
#define CCP_ABI_MAJOR 2
#define CCP_ABI_MINOR 0

/* Sizes of the structs that a manifest points to, as the plugin was built. Grows at the end like all others. */
struct ccp_sizes {
    uint32_t size; /* of this struct */
    uint32_t config_row, provider, body_rule, model_list, transport, middleware, hook, route, task, action, service,
        command, option, oauth_provider, oauth_file, program, flag;
};

/* What the core looks at before anything else of a record. Filled by CCP_ABI_HERE. */
struct ccp_abi {
    uint32_t magic;                /* CCP_ABI_MAGIC */
    uint16_t major, minor;         /* of the plugin interface it was built with */
    uint32_t size;                 /* of struct ccp_plugin */
    const struct ccp_sizes *sizes; /* of what the record points to */
};

/* The sizes as they are where this is compiled. */
#define CCP_SIZES_HERE                                                                                                 \
    {                                                                                                                  \
        sizeof(struct ccp_sizes), sizeof(struct ccp_config_row), sizeof(struct ccp_provider),                          \
            sizeof(struct ccp_body_rule), sizeof(struct ccp_model_list), sizeof(struct ccp_transport),                 \
            sizeof(struct ccp_middleware), sizeof(struct ccp_hook), sizeof(struct ccp_route), sizeof(struct ccp_task), \
            sizeof(struct ccp_action), sizeof(struct ccp_service), sizeof(struct ccp_command),                         \
            sizeof(struct ccp_option), sizeof(struct ccp_oauth_provider), sizeof(struct ccp_oauth_file),               \
            sizeof(struct ccp_program), sizeof(struct ccp_flag)                                                        \
    }

/* The first line of every manifest. */
#define CCP_ABI_HERE                                                                                                   \
    .abi = {CCP_ABI_MAGIC, CCP_ABI_MAJOR, CCP_ABI_MINOR, sizeof(struct ccp_plugin),                                    \
            &(const struct ccp_sizes)CCP_SIZES_HERE}

/* A provider has the settings that all providers share, and is not switched off by enable_plugins = false. */
enum ccp_plugin_kind { CCP_PLUGIN_PROVIDER, CCP_PLUGIN_SYSTEM };

/* Of ccp_api.log; OFF is for settings only. */
enum ccp_log_level { CCP_LOG_DEBUG, CCP_LOG_INFO, CCP_LOG_WARN, CCP_LOG_ERROR, CCP_LOG_OFF };

/* What `open` gets. Valid until `close` returned. */
struct ccp_plugin_env {
    const struct ccp_api *api;
    struct ccp_span name;
    const void *config; /* the struct that the manifest's rows were bound into; immutable */
    void *core;         /* the core's own */
};

/* Who may call a route. */
enum ccp_access {
    CCP_ACCESS_KEY,    /* any valid key, like the rest of the server; open while no key is configured. Below /plugins
                          for GET; other methods there are for admins */
    CCP_ACCESS_ADMIN,  /* an admin key */
    CCP_ACCESS_PUBLIC, /* nobody is asked for a key */
};

/* A path that the plugin answers itself. */
struct ccp_route {
    const char *methods; /* "GET" or "GET, POST"; GET stands for HEAD too */
    /* Below /plugins/<name>: "/stats". Or, with `prefix` ("/metrics"), below that: "" is the prefix itself. A trailing
     * slash-star takes any rest; ccp_api.route_rest tells it. */
    const char *path;
    const char *prefix; /* NULL, or a first segment of its own; never one that the core or another plugin has */
    enum ccp_access access;
    const char *tag, *summary; /* for listings; may be NULL */
    enum ccp_verdict (*serve)(void *self, struct ccp_exchange *x);
};

/* POST /plugins/<name>/<action>, for admins. The core reads the body, which must be JSON that fits the schema (an empty
 * body counts as {}), and answers 400 with the place where it does not. */
struct ccp_action {
    const char *name; /* "flush" */
    const char *summary;
    /* JSON schema of the input: type, properties, required, additionalProperties, items, enum, minimum, maximum,
     * minLength, maxLength, minItems, maxItems, title, description, default. NULL = only {}. */
    const char *input;
    enum ccp_verdict (*run)(void *self, struct ccp_exchange *x, const struct ccp_json *input);
};

/* Work at intervals, on a thread that may block; never two runs of one task at once. */
struct ccp_task {
    const char *name, *summary;
    uint64_t interval_ms;                          /* from the end of one run to the next */
    uint64_t first_ms;                             /* after the plugin was opened; 0 = one interval */
    uint64_t jitter_ms;                            /* up to so much is added at random */
    uint64_t backoff_max_ms;                       /* after failures the interval doubles up to this; 0 = it does not */
    bool off;                                      /* runs only if the setting `tasks` gives it an interval */
    bool (*run)(void *self, struct ccp_span *why); /* false: failed, with a text (static or the instance's) */
};

/* Functions that a plugin offers to others, under a name with a version: "ratings/1". What they are is between the two;
 * the table and the instance live until every plugin that uses them was closed. */
struct ccp_service {
    const char *name;
    const void *functions;
};

/* An option of a command: --name VALUE, or --name alone when value is NULL. */
struct ccp_option {
    const char *name, *value, *help;
};

/* A flag of `ccproxy serve` that sets one key of the plugin: --name VALUE is plugins.<plugin>.<key> = VALUE. */
struct ccp_flag {
    const char *name, *value, *key, *help;
};

/* One call of a command; the functions print and look up. */
struct ccp_cli {
    uint32_t size;
    const struct ccp_plugin_env *env;
    void *self;                  /* the instance, if the command opens the plugin */
    const char *const *operands; /* operand_count of them, between `least` and `most` */
    size_t operand_count;        /* between `least` and `most` of the command */
    bool json;                   /* --json was given */
    /* By its name without dashes: the value, "" for one without, NULL = not given. */
    const char *(*option)(const struct ccp_cli *cli, const char *name);
    void (*print)(const struct ccp_cli *cli, const char *fmt, ...);             /* standard output */
    int (*complain)(const struct ccp_cli *cli, int code, const char *fmt, ...); /* "ccproxy: ..."; returns code */
    void *core;                                                                 /* the core's own */
};

/* `ccproxy <name> ...`, or in auth_commands `ccproxy auth <name> ...`. Every command has --help, --config and --set;
 * --json too if `json`. Exit codes: 0 ok, 1 failed, 2 usage, 69 unavailable, 77 refused, 78 configuration. */
struct ccp_command {
    const char *name; /* "ratings" or "ratings list": lower case words, the first one no command of the core */
    const char *operands, *summary, *details; /* "[FILE]" or "", one line, more lines or NULL */
    const struct ccp_option *options;         /* ends with a NULL name; NULL = none */
    size_t least, most;                       /* operands */
    bool json, opens;                         /* opens: the plugin is opened first, as in the server */
    int (*run)(const struct ccp_cli *cli);
};

/* Answer of `check`: is this instance usable now? */
enum ccp_health { CCP_HEALTH_PASS, CCP_HEALTH_WARN, CCP_HEALTH_FAIL };

/* The vendor's own program for the same service. The core looks for it at start, by name in PATH and by the version
 * that stands beside it (package.json of `package`, or a folder named like a version); it is never run. */
struct ccp_program {
    const char *name;    /* "claude" */
    const char *package; /* npm: "@anthropic-ai/claude-code" */
};

/* The manifest. Static and const, with all that it points to; a member that is not set is not there. */
struct ccp_plugin {
    struct ccp_abi abi;                   /* first, for ever */
    const char *name, *version, *summary; /* name: [a-z][a-z0-9_-]*, at most 64; version: "1.2.3" */
    enum ccp_plugin_kind kind;            /* what it is in lists, and how it is switched */
    /* Plugins that must be open before, NULL-terminated, or NULL: "ratings" or "ratings >= 1.2". */
    const char *const *needs;

    const struct ccp_config_row *config; /* ends with a row whose key is NULL; NULL = no settings */
    size_t config_size;                  /* of the struct that the rows fill: sizeof */

    const struct ccp_provider *provider;     /* with CCP_PLUGIN_PROVIDER only */
    const struct ccp_middleware *middleware; /* ends with a NULL name */
    const struct ccp_hook *hooks;            /* ends with a NULL name */
    const struct ccp_route *routes;          /* ends with NULL methods */

    /* Makes the instance; NULL on failure with a text in *why (static, or from env->api). Any thread, may block for a
     * moment, before requests come. A plugin without `open` has no instance: `self` is NULL everywhere. */
    void *(*open)(const struct ccp_plugin_env *env, struct ccp_span *why);
    /* Health in one line of text (static or owned by the instance). Any thread, must not block. */
    enum ccp_health (*check)(void *self, struct ccp_span *why);
    /* When nothing of it runs any more: no exchange, task or observer. Any thread, may block for a moment. */
    void (*close)(void *self);
    const struct ccp_oauth_provider *oauth; /* a login that this plugin brings, or NULL */
    const struct ccp_program *program;      /* shown by its health, or NULL */

    const char *core;                        /* version of ccproxy that it needs: ">= 0.2", or NULL */
    const char *const *after;                /* like needs, but they may be missing */
    const struct ccp_service *provides;      /* ends with a NULL name */
    const char *const *requires;             /* services of others that must be there: "ratings/1" */
    const char *const *uses;                 /* the same, but they may be missing */
    const struct ccp_task *tasks;            /* ends with a NULL name */
    const struct ccp_action *actions;        /* ends with a NULL name */
    const struct ccp_command *commands;      /* ends with a NULL name */
    const struct ccp_command *auth_commands; /* ends with a NULL name */
    const struct ccp_flag *flags;            /* ends with a NULL name */
    const char *const *aliases;              /* further names for settings and commands ("raw_http_logger"), or NULL */
    bool off;                                /* of a system plugin: not open until its section says enabled = true */
};

/* The one symbol of a plugin. */
#define CCP_PLUGIN(id)                                                                                                 \
    extern const struct ccp_plugin ccp_plugin_##id;                                                                    \
    __attribute__((visibility("default"))) const struct ccp_plugin ccp_plugin_##id

#endif
