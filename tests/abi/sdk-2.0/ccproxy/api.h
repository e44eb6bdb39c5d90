/*
 * The services the core offers to plugins: a table of functions, reached through the exchange or the
 * plugin's env, so that a shared object needs nothing exported by the executable.
 *
 * The table only grows at its end. A plugin is refused by a core with a lower minor version than it was built with, so
 * whatever its headers declare is there.
 *
 * Threads: calls with an exchange belong to its worker. Calls marked BLOCKS may only be made where blocking is allowed:
 * in `open`, `close`, tasks, `observe`, commands, and functions given to `work`. All others may be called from
 * anywhere.
 */
#ifndef CCPROXY_API_H
#define CCPROXY_API_H

#include "plugin.h"

struct ccp_timer;      /* the core's */
struct ccp_arena;      /* memory that is freed as a whole */
struct ccp_sse_reader; /* the core's */

/* A request of the plugin's own to some server. The same rules as for upstreams: http only to literal loopback and
 * private addresses, a name that resolves to a private address only with allow_private. */
struct ccp_fetch {
    uint32_t size;          /* sizeof(struct ccp_fetch) */
    struct ccp_span method; /* empty = GET, or POST with a body */
    struct ccp_span url;
    const struct ccp_header *headers; /* no host, content-length, connection or transfer-encoding */
    size_t header_count;
    struct ccp_span body;            /* empty = none */
    const struct ccp_secret *bearer; /* from a CCP_SECRET setting, or NULL */
    uint64_t timeout_ms;             /* of the whole call; 0 = 30 s */
    size_t max_bytes;                /* of the answer; 0 = 1 MiB */
    bool allow_private;              /* the name may resolve to a private address */
};
/* What came of it. Text and body live in the arena that was given. */
struct ccp_fetched {
    int status;                   /* of HTTP; 0 = none came */
    struct ccp_span body;         /* in the arena */
    struct ccp_span why;          /* empty = the whole answer is here */
    struct ccp_span content_type; /* empty = not said */
    uint64_t retry_after_ms;      /* 0 = not said */
};

/* A child process. Its environment holds PATH, HOME, LANG, TZ and what `env` adds, never ccproxy's own; it gets no
 * descriptors but its three streams, and is killed with its whole group when the time is over. */
struct ccp_run {
    uint32_t size;
    const char *const *argv; /* NULL-terminated; argv[0] with '/' or looked up in PATH */
    const char *const *env;  /* "NAME=value", NULL-terminated, or NULL */
    struct ccp_span input;   /* of its standard input */
    uint64_t timeout_ms;     /* 0 = 30 s */
    size_t max_output;       /* of each stream; 0 = 1 MiB; what is more is read and dropped */
};
struct ccp_ran {
    int status;                /* exit status; -1 = it did not run or did not exit by itself */
    int signal;                /* 0 = none */
    bool timed_out, truncated; /* it was killed for its time; more came than max_output */
    struct ccp_span out, err;  /* in the arena */
    struct ccp_span why;       /* empty = it exited by itself */
};

/* A streaming answer of a route. `writable`: after stream_write said PAUSE, the client took what was queued. `ended`:
 * exactly once, when the exchange is over for whatever reason; the exchange is gone then. */
struct ccp_stream_events {
    void (*writable)(void *arg);
    void (*ended)(void *arg);
};

/* The table. Text and memory that it returns belong to the exchange or the arena that was given; what it is given it
 * copies, where a member does not say otherwise. */
struct ccp_api {
    uint32_t size;         /* of this table; newer cores append */
    uint16_t major, minor; /* of the plugin interface: CCP_ABI_MAJOR, CCP_ABI_MINOR of the core */

    /* -- the request (client's side) -- */
    struct ccp_span (*method)(struct ccp_exchange *x);
    struct ccp_span (*path)(struct ccp_exchange *x);  /* canonical, without query */
    struct ccp_span (*query)(struct ccp_exchange *x); /* without '?', credential parameters removed */
    struct ccp_span (*header)(struct ccp_exchange *x, struct ccp_span name); /* first of that name, or p = NULL */
    const struct ccp_header *(*headers)(struct ccp_exchange *x, size_t *n);
    struct ccp_span (*body)(struct ccp_exchange *x);          /* as it came, whole; decoded only if it had to be read */
    struct ccp_span (*peer)(struct ccp_exchange *x);          /* address text */
    struct ccp_span (*request_id)(struct ccp_exchange *x);    /* ours */
    struct ccp_span (*key_name)(struct ccp_exchange *x);      /* name of the client's ccproxy key, or empty */
    int (*http_version)(struct ccp_exchange *x);              /* 10, 11, 20 */
    enum ccp_format (*client_format)(struct ccp_exchange *x); /* by its path; CCP_FORMAT_NONE = no provider call */
    enum ccp_op (*op)(struct ccp_exchange *x);                /* by method and path */
    /* -- known after routing -- */
    struct ccp_span (*provider)(struct ccp_exchange *x);     /* id, or empty */
    struct ccp_span (*client_model)(struct ccp_exchange *x); /* as the client wrote it, or empty */
    struct ccp_span (*upstream_model)(struct ccp_exchange *x);
    /* -- known at the end -- */
    /* `size` = sizeof(*out); of a larger struct than the core's the rest is zeroed. */
    void (*summary)(struct ccp_exchange *x, struct ccp_summary *out, size_t size);

    /* -- memory: the exchange's arena; NULL when its budget is spent -- */
    void *(*alloc)(struct ccp_exchange *x, size_t n);
    struct ccp_span (*print)(struct ccp_exchange *x, const char *fmt, ...); /* p = NULL when refused */

    /* -- answering -- */
    /* Records the first failure; later ones are ignored. Returns CCP_FAILED. `why` is copied. */
    enum ccp_verdict (*fail)(struct ccp_exchange *x, enum ccp_status status, const char *fmt, ...);
    /* A whole answer by a middleware or a route; returns CCP_DONE. Body is copied into the arena. */
    enum ccp_verdict (*respond)(struct ccp_exchange *x, int status, struct ccp_span content_type, struct ccp_span body);
    bool (*add_response_header)(struct ccp_exchange *x, struct ccp_span name, struct ccp_span value);
    /* Parks (CCP_WAIT): `cancel` is called if the exchange ends before `resume`. */
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

    /* -- routes and state of an exchange -- */
    struct ccp_span (*route_rest)(struct ccp_exchange *x); /* what slash-star stood for, without the slash */
    bool (*is_admin)(struct ccp_exchange *x);
    /* One pointer per plugin and exchange, NULL at first; for what `alloc` gave. NULL = no memory. */
    void **(*slot)(struct ccp_exchange *x, const struct ccp_plugin_env *env);
    /* The value of a query parameter, decoded; p = NULL when it is not there. */
    struct ccp_span (*query_get)(struct ccp_exchange *x, struct ccp_span name);
    /* Sets or, with value.p NULL, removes a header of the request that PROVIDER_REQUEST_PREPARED carries. False: not a
     * header that may be set (hop-by-hop, a credential), bad bytes, or no memory. */
    bool (*set_upstream_header)(struct ccp_exchange *x, struct ccp_upstream_request *request, struct ccp_span name,
                                struct ccp_span value);
    /* Is this a header whose value may be a credential (authorization, cookie, x-api-key, ...)? For those who write
     * headers down. */
    bool (*header_is_secret)(struct ccp_span name);

    /* -- streaming answers of routes -- */
    /* Sends the head; returns CCP_DONE. The exchange stays until stream_end or until the client leaves. */
    enum ccp_verdict (*stream_open)(struct ccp_exchange *x, int status, struct ccp_span content_type,
                                    const struct ccp_stream_events *events, void *arg);
    enum ccp_push (*stream_write)(struct ccp_exchange *x, struct ccp_span bytes); /* copied */
    /* One server-sent event; `name` and `id` may be empty. `data` may have several lines. */
    enum ccp_push (*stream_event)(struct ccp_exchange *x, struct ccp_span name, struct ccp_span id,
                                  struct ccp_span data);
    void (*stream_end)(struct ccp_exchange *x);
    /* Reading server-sent events. NULL: no memory. Dies with the exchange. */
    struct ccp_sse_reader *(*sse_reader)(struct ccp_exchange *x, size_t max_event,
                                         bool (*on_event)(void *arg, struct ccp_span name, struct ccp_span data),
                                         void *arg);
    bool (*sse_feed)(struct ccp_sse_reader *reader, struct ccp_span bytes); /* false: an event was too large, or
                                                                               on_event said stop */

    /* -- work that may block, on one of a few threads -- */
    /* `run(arg)` there; then `done(arg, x)` on the worker of x, always, exactly once; x is NULL if the exchange ended
     * meanwhile. With x NULL from the start `done` (may be NULL) runs right after, on the same thread. `arg` is the
     * caller's until done returned. False: too much is waiting; nothing will be called. If the plugin was disabled, or
     * the server stops, before `run` began, that is left out and `done` gets NULL. */
    bool (*work)(const struct ccp_plugin_env *env, struct ccp_exchange *x, void (*run)(void *arg),
                 void (*done)(void *arg, struct ccp_exchange *x), void *arg);

    /* -- arenas, for whoever has no exchange; one thread at a time -- */
    struct ccp_arena *(*arena_new)(size_t max); /* bytes it may hold; NULL: no memory */
    void (*arena_free)(struct ccp_arena *a);
    void *(*arena_alloc)(struct ccp_arena *a, size_t n);
    struct ccp_span (*arena_print)(struct ccp_arena *a, const char *fmt, ...); /* p = NULL when refused */
    /* As json_parse and json_text, in the arena. */
    enum ccp_status (*arena_json_parse)(struct ccp_arena *a, struct ccp_span text, struct ccp_json **root,
                                        struct ccp_json_error *error);
    struct ccp_span (*arena_json_text)(struct ccp_arena *a, const struct ccp_json *string);
    /* The text as a JSON string with its quotes; for building answers. With x or a, the other one NULL. */
    struct ccp_span (*json_quote)(struct ccp_exchange *x, struct ccp_arena *a, struct ccp_span text);

    /* -- the world: BLOCKS -- */
    bool (*fetch)(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct ccp_fetch *what,
                  struct ccp_fetched *out, size_t out_size); /* true = a whole answer came, whatever its status */
    bool (*run)(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct ccp_run *what, struct ccp_ran *out,
                size_t out_size); /* true = it exited by itself, whatever its status */
    /* Files of the plugin's own, kept over restarts, below the state folder: 0600, replaced as a whole and synced.
     * `file` is a plain name. False: *why says why not; "missing" (p = NULL in *out and true) is no failure. */
    bool (*state_read)(const struct ccp_plugin_env *env, const char *file, size_t max, struct ccp_arena *a,
                       struct ccp_span *out, struct ccp_span *why);
    bool (*state_write)(const struct ccp_plugin_env *env, const char *file, struct ccp_span bytes,
                        struct ccp_span *why);
    /* The folder itself (made 0700), for plugins that keep many files. Empty: there is no place, *why says why. */
    struct ccp_span (*state_folder)(const struct ccp_plugin_env *env, struct ccp_span *why);

    /* -- plugins among each other -- */
    /* Functions and instance of a service that the manifest names in `requires` or `uses`; NULL = not there. Ask in
     * `open`; the answer never changes. */
    const void *(*service)(const struct ccp_plugin_env *env, const char *name, void **self);
    /* Says "custom.<name>" with a JSON payload (copied) to whoever hears it. x may be NULL; with one, the event tells
     * its request. False: dropped, because the queue is full or the payload is larger than 64 KiB. */
    bool (*emit)(const struct ccp_plugin_env *env, struct ccp_exchange *x, const char *name, struct ccp_span json);
    /* Does anybody hear it? For payloads that cost something. */
    bool (*heard)(const struct ccp_plugin_env *env, enum ccp_event event);

    /* -- figures of the core, for whoever shows them: docs/plugins.md lists the names -- */
    bool (*figure)(const struct ccp_plugin_env *env, const char *name, uint64_t *out); /* false: no such figure */

    /* -- for those who write requests down -- */
    /* Overwrites with '*' every place where a secret of ccproxy's own stands in these bytes: keys of clients and
     * providers, headers that the operator set, tokens that this exchange was sent with; as they are, and as JSON, URLs
     * and base64 spell them. Give a body as a whole: at the end of the bytes the beginning of a secret counts, too.
     * Returns the number of places; SIZE_MAX: no memory, nothing was looked at. */
    size_t (*redact)(struct ccp_exchange *x, char *bytes, size_t n);
    struct ccp_span (*authority)(struct ccp_exchange *x); /* Host or :authority, as the client wrote it */
};

#endif
