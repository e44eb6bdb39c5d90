/*
 * The services the core offers to plugins: a table of functions, reached through the exchange or the
 * plugin's env, so that a shared object needs nothing exported by the executable.
 *
 * Threads: calls with an exchange belong to its worker. `log` and `now_*` may be called from anywhere.
 */
#ifndef CCPROXY_API_H
#define CCPROXY_API_H

#include "plugin.h"

struct ccp_timer; /* the core's */

struct ccp_api {
    uint32_t size; /* of this table; newer cores append */
    uint16_t major, minor;

    /* -- the request (client's side) -- */
    struct ccp_span (*method)(struct ccp_exchange *x);
    struct ccp_span (*path)(struct ccp_exchange *x);  /* canonical, without query */
    struct ccp_span (*query)(struct ccp_exchange *x); /* without '?', credential parameters removed */
    struct ccp_span (*header)(struct ccp_exchange *x, struct ccp_span name); /* first of that name, or p = NULL */
    const struct ccp_header *(*headers)(struct ccp_exchange *x, size_t *n);
    struct ccp_span (*body)(struct ccp_exchange *x);
    struct ccp_span (*peer)(struct ccp_exchange *x);       /* address text */
    struct ccp_span (*request_id)(struct ccp_exchange *x); /* ours */
    struct ccp_span (*key_name)(struct ccp_exchange *x);   /* name of the client's ccproxy key, or empty */
    int (*http_version)(struct ccp_exchange *x);           /* 10, 11, 20 */
    enum ccp_format (*client_format)(struct ccp_exchange *x);
    enum ccp_op (*op)(struct ccp_exchange *x);
    /* -- known after routing -- */
    struct ccp_span (*provider)(struct ccp_exchange *x);     /* id, or empty */
    struct ccp_span (*client_model)(struct ccp_exchange *x); /* as the client wrote it, or empty */
    struct ccp_span (*upstream_model)(struct ccp_exchange *x);
    /* -- known at the end -- */
    void (*summary)(struct ccp_exchange *x, struct ccp_summary *out);

    /* -- memory: the exchange's arena; NULL when its budget is spent -- */
    void *(*alloc)(struct ccp_exchange *x, size_t n);
    struct ccp_span (*print)(struct ccp_exchange *x, const char *fmt, ...); /* p = NULL when refused */

    /* -- answering -- */
    /* Records the first failure; later ones are ignored. Returns CCP_FAILED. `why` is copied. */
    enum ccp_verdict (*fail)(struct ccp_exchange *x, enum ccp_status status, const char *fmt, ...);
    /* A whole answer by a middleware or a route; returns CCP_DONE. Body is copied into the arena. */
    enum ccp_verdict (*respond)(struct ccp_exchange *x, int status, struct ccp_span content_type, struct ccp_span body);
    bool (*add_response_header)(struct ccp_exchange *x, struct ccp_span name, struct ccp_span value);
    /* Parks (CCP_WAIT): `cancel` is called if the exchange ends before ccp_continue. */
    void (*park)(struct ccp_exchange *x, void (*cancel)(void *arg), void *arg);
    void (*resume)(struct ccp_exchange *x, enum ccp_verdict verdict);

    /* -- time on the worker's loop; a timer dies with its exchange -- */
    struct ccp_timer *(*timer)(struct ccp_exchange *x, void (*fire)(void *arg), void *arg);
    void (*timer_set)(struct ccp_timer *timer, uint64_t ms); /* one shot; again = moved */
    void (*timer_stop)(struct ccp_timer *timer);
    uint64_t (*now_ms)(void);      /* monotonic */
    uint64_t (*now_unix_us)(void); /* wall clock */

    /* -- JSON; the tree lives in the exchange's arena -- */
    enum ccp_status (*json_parse)(struct ccp_exchange *x, struct ccp_span text, struct ccp_json **root,
                                  struct ccp_json_error *error);
    /* The string's value as UTF-8; the raw span itself when nothing is escaped. p = NULL when refused. */
    struct ccp_span (*json_text)(struct ccp_exchange *x, const struct ccp_json *string);

    /* -- logging: one line per call, secrets never; plugin's name is added -- */
    void (*log)(const struct ccp_plugin_env *env, enum ccp_log_level level, const char *fmt, ...);
    /* An access-log style record, written as it is and one line each (fields are escaped by the caller). */
    void (*log_record)(const struct ccp_plugin_env *env, struct ccp_span line);
    /* Does the server write its log as JSON just now? */
    bool (*log_json)(void);
    /* May one more record of this kind be written in this second? Of each kind of a plugin 100 may; false = it is
     * counted, and the server's log tells how many there were. `kind` is a word of the plugin's own, never input. */
    bool (*log_room)(const struct ccp_plugin_env *env, struct ccp_span kind);

    /* -- the credential of the upstream request that `prepare` is working on -- */
    bool (*uses_login)(struct ccp_exchange *x); /* a stored login, not a key */
    /* A fact of its account ("account_id", "endpoint", "plan"; see ccp_oauth_call.fact), or empty. */
    struct ccp_span (*credential_fact)(struct ccp_exchange *x, const char *name);
};

#endif
