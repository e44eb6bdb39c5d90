/*
 * The exchange, seen from inside the chain.
 *
 * One struct, one owner (its worker), one arena. State moves only through exchange_state(), which asserts the
 * legal edges; every way to end leads through exchange_finish() -> exchange_end(), once.
 */
#ifndef CHAIN_EXCHANGE_IMPL_H
#define CHAIN_EXCHANGE_IMPL_H

#include <auth/auth.h>
#include <base/arena.h>
#include <base/loop.h>
#include <chain/chain.h>
#include <chain/usage_scan.h>
#include <format/delta.h>
#include <format/format.h>
#include <plugin/runtime.h>
#include <wire/coding.h>
#include <wire/sse.h>

/* A runtime as one worker holds it: counted without atomics while exchanges use it. */
struct model_list;
struct desk;

struct snapshot {
    struct runtime *rt;
    size_t users; /* exchanges, plus one while it is the worker's current one */
    struct chain_worker *w;
    struct model_list *lists; /* by provider index, made when first needed; see models_fetch.c */
};

struct chain_worker {
    struct loop *loop;
    const struct ccp_transport *http;
    void *http_self;
    struct auth_view *auth;         /* credentials of stored logins, or NULL: there are none */
    struct executor *executor;      /* of plugins' threads, or NULL: there are none */
    const atomic_ullong *watched;   /* events that somebody watches although no plugin of this runtime hears them */
    size_t number;                  /* of this worker, for the executor */
    const struct admin_port *admin; /* who changes the server, or NULL: nobody does */
    struct desk *desk;              /* of those who watch events here, or NULL: nobody can; hub.c */
    struct snapshot *current;
    struct arena_cache cache;
    struct exchange *first; /* all that run */
    size_t in_flight;
    atomic_ulong *gauge; /* the same number for everybody else, or NULL */
    bool draining;
    unsigned char random[256]; /* for request ids */
    size_t random_left;
};

/* Streams of events; watch_route.c. */
enum watch_route { WATCH_NONE, WATCH_EVENTS, WATCH_MAKE, WATCH_TAKE };

enum exchange_state {
    X_NEW,       /* waits for its first turn */
    X_ENTERING,  /* middlewares run */
    X_PARKED,    /* one of them waits */
    X_UPSTREAM,  /* the upstream request is under way, no head yet */
    X_ANSWERING, /* the head went to the client */
    X_FINISHING, /* nothing more will be sent; the end is queued */
    X_STATES
};

/* What the path said. */
struct route {
    struct provider *provider; /* from the prefix, or chosen by model */
    struct ccp_span prefix;    /* "claude" or empty */
    struct ccp_span rest;      /* canonical path after the prefix, "/v1/messages" */
    enum ccp_format format;    /* the client's; CCP_FORMAT_NONE for local routes */
    enum ccp_op op;
    bool local;  /* answered here: health, plugins, root */
    bool public; /* no key needed */
    /* local: an administrator's business. Its bodies hold settings, ids of streams, and what tells of other exchanges:
     * they are neither logged nor said to hooks, and no more are the answer's headers. */
    bool untold;
    bool stream_path;                       /* Gemini streamGenerateContent */
    struct ccp_span path_model;             /* Gemini: model within rest */
    const char *allow;                      /* set when the path exists but not with this method */
    const char *hint;                       /* text for an unknown path that is nearly right */
    const struct route_entry *plugin_route; /* local: a plugin answers */
    struct ccp_span plugin_rest;            /* what its slash-star stands for */
    enum watch_route watch;                 /* local: a stream of events */
    struct ccp_span watched;                /* ... of this plugin, or empty */
};

struct exchange {
    struct ccp_exchange pub; /* first */
    struct chain_worker *w;
    struct snapshot *snap;
    struct runtime *rt;
    struct exchange *next, **prev; /* in w->first */
    struct arena arena;
    enum exchange_state state;
    struct loop_task task; /* start, resume or end, by state */
    const struct chain_responder *responder;
    void *client;
    bool client_gone;
    struct chain_request req;
    uint64_t started_us, first_byte_us, upstream_head_us, upstream_sent_us, upstream_end_us;
    int upstream_status;
    bool error_told;               /* http.error was said */
    bool up_stream, up_error_told; /* of this attempt: provider.stream.end is owed; its error was said */
    struct usage_scan *usage;      /* follows an answer that passes; NULL = nobody wants its token counts */

    struct ccp_span raw_query, path, query, request_id;
    struct ccp_span ticket;     /* the secret that the path ended with; it is no part of `path` any more */
    struct ccp_header *headers; /* the client's, without what matched a key */
    size_t header_count;
    struct ccp_span connection; /* value of Connection, for hop-by-hop */

    struct route route;
    const struct security_key *shown; /* the ccproxy key that came with the request */
    const struct security_key *key;   /* the same, once it was asked for; NULL = none presented or none configured */
    bool authenticated, admin;
    struct ccp_span body; /* decoded when it had to be read */
    bool body_decoded;
    bool crosses;                /* the provider is known to speak another format */
    struct arena work;           /* what only lives until the upstream request is made: the parsed body, the prompt */
    struct ccp_json *tree;       /* the body, parsed into `work`; only when it has to be translated */
    enum ccp_format body_format; /* what the body is written in: the route's, or Responses on the Chat route */
    enum ccp_format spoken;      /* upstream; the route's unless the exchange crosses formats */
    struct crossing *crossing;   /* crossing.c; NULL = bytes pass */
    struct deltas *deltas;       /* deltas.c; NULL = no middleware reads the answer */
    struct ccp_span model_raw;   /* JSON string in body, with quotes; empty = none */
    struct ccp_span client_model, upstream_model;
    bool wants_stream;
    bool models_asked; /* upstream lists were asked for once */
    bool routed;       /* the provider is chosen; what to speak with it may have had to wait for its list */

    size_t entered;
    uint64_t passed_by;          /* bit i: chain[i] was not entered, because its plugin is disabled */
    struct slot *slots;          /* what plugins keep here; api.c */
    struct job_link *jobs;       /* off-loop work that will come back; api_work.c */
    struct local_stream *stream; /* a streaming answer of a route; stream.c */
    void (*park_cancel)(void *arg);
    void *park_arg;
    enum ccp_verdict resumed;
    bool resumed_early;
    bool hooked; /* a hook is in its call: it sees, but neither answers nor parks */

    enum ccp_status status; /* first failure */
    struct ccp_span error, error_code;
    struct ccp_response_head head;
    bool head_sent, complete; /* complete: the client got a whole answer */
    uint64_t bytes_out;
    unsigned dropped;     /* members of the request that translation could not carry */
    struct ccp_span lost; /* their names, for x-ccproxy-dropped; empty = nothing */
    struct ccp_stage terminal;
    struct ccp_stage *stages; /* first stage to receive upstream bytes */

    const struct ccp_transport *transport;
    void *transport_self;
    struct ccp_transfer *transfer;
    struct ccp_upstream_request up;
    struct auth_credential *credential;      /* of a stored login; a reference */
    const struct auth_credential *refused;   /* the one before it, which upstream refused; the arena's */
    const struct auth_credential *described; /* the one in the request that is being built */
    struct auth_wait credential_wait;
    struct loop_timer credential_patience;
    uint64_t credential_refused;                     /* serial of the one that upstream refused, or 0 */
    bool credential_asked, credential_news, renewed; /* waited once; the wait is over; one refusal was answered so */
    int attempts;
    bool upstream_refused;              /* the answer was judged not to be given; its body is ignored */
    struct ccp_buf first;               /* those bytes */
    bool judging, retry;                /* the head waits for its first bytes; send the same request again */
    int waiting_status;                 /* of the upstream's head */
    enum coding waiting_coding;         /* of its body */
    size_t waiting_length, own_headers; /* its length; answer headers that were there before the attempt */
    bool paused;

    bool sse; /* the answer is an event stream */
    struct sse_boundary boundary;
    struct format_tail tail;
    struct ccp_buf held; /* an unfinished event, kept back so that a cut never looks like an event */
    bool split;          /* an event too large to hold is partly out */
    struct loop_timer keepalive;
    uint64_t last_byte_ms;
};

static inline struct exchange *exchange_of(struct ccp_exchange *pub)
{
    return (struct exchange *)pub;
}

/* exchange.c */
void exchange_state(struct exchange *x, enum exchange_state to);
/* Records the first failure; the text is copied into the arena. */
void exchange_fail(struct exchange *x, enum ccp_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void exchange_vfail(struct exchange *x, enum ccp_status status, const char *fmt, va_list ap);
/* Nothing more will be sent: queues the end. */
void exchange_finish(struct exchange *x);
/* An answer without end goes on under the worker's newest configuration, so that it keeps no old one alive: its
 * middlewares see their end now. `key` is its client's key there, or NULL. False: a middleware of the old one takes
 * part in the answer, and it stays. */
bool exchange_move(struct exchange *x, const struct security_key *key);

/* run.c */
void run_start(struct exchange *x);
void run_continue(struct exchange *x, enum ccp_verdict verdict);
/* Was chain[i] left out for this exchange? */
static inline bool run_passed_by(const struct exchange *x, size_t i)
{
    return i < 64 && (x->passed_by >> i & 1);
}

/* hooks.c. hooks_emit only tests whether anybody hears it; what `m` costs to fill in is spent after hooks_heard. */
void hooks_say(struct exchange *x, enum ccp_event event, const struct ccp_moment *m);
static inline bool hooks_heard(const struct exchange *x, enum ccp_event event)
{
    const struct runtime *rt = x->rt;
    return (rt->heard_in_line | rt->observed | atomic_load_explicit(x->w->watched, memory_order_relaxed)) >> event & 1;
}
static inline void hooks_emit(struct exchange *x, enum ccp_event event, const struct ccp_moment *m)
{
    if (hooks_heard(x, event))
        hooks_say(x, event, m);
}
/* An event of a plugin's own about this exchange: in line and for observers. False: it was dropped. */
bool hooks_custom(struct exchange *x, struct ccp_span source, const struct ccp_moment *m);
/* The exchange's part of a copy for observers. */
void hooks_describe(struct exchange *x, struct ccp_event_info *info, struct ccp_summary *sum);

/* moments.c: events with what they bring, each told as often as hook.h promises. */
uint64_t moment_now(const struct exchange *x); /* us since its start, never 0 */
void moment_http_request(struct exchange *x);
void moment_http_response(struct exchange *x);
/* The client is told of the recorded failure; `status` is what HTTP calls it. Only the first call counts. */
void moment_http_error(struct exchange *x, int status);
void moment_sent(struct exchange *x); /* an attempt begins */
void moment_head(struct exchange *x, int status, const struct ccp_header *h, size_t n, bool stream);
void moment_upstream_bytes(struct exchange *x, struct ccp_span bytes);
/* What is wrong with this attempt's answer; only the first call of an attempt counts. */
void moment_provider_error(struct exchange *x, int status, struct ccp_span text);
/* The attempt is over, also when it is given up; `why` empty = its answer came whole. Only the first call counts. */
void moment_upstream_end(struct exchange *x, struct ccp_span why);

/* api_work.c: the exchange ends; what its work brings finds nobody. */
void jobs_forget(struct exchange *x);

/* route.c: path and method to route; never fails, unknown paths have op NONE and local false. */
void route_classify(struct exchange *x);

/* router.c: provider, model and the format to speak. CCP_NEXT; CCP_WAIT = parked, to be called again; CCP_FAILED
 * (exchange_fail was called). */
enum ccp_verdict router_choose(struct exchange *x);

/* local.c: health, plugins, root. */
enum ccp_verdict local_serve(struct exchange *x);
/* models.c: lists that ccproxy answers itself; false = ask the upstream. */
bool models_serve(struct exchange *x, enum ccp_verdict *verdict);
/* models_fetch.c: drops what a snapshot remembers. */
void models_forget(struct snapshot *s);

/* body.c: reads what must be read of the request body (model, stream; all of it into x->tree when x->crosses). False =
 * failed. */
bool body_read(struct exchange *x, bool needed);
/* The tree, for an exchange that turned out to cross only when its model was known. False = failed. */
bool body_parse(struct exchange *x);
/* Only takes off its content-encoding, for routes that read it themselves. False = failed. */
bool body_decode(struct exchange *x);

/* attempt.c */
enum ccp_verdict attempt_start(struct exchange *x);
/* upstream_request.c: everything of x->up. False = failed. */
bool attempt_build(struct exchange *x);
/* Limits, proxy, trust and credential of a provider into a fresh request. False = its login has none just now. */
bool attempt_describe(struct exchange *x, const struct provider *p, enum ccp_format f, struct ccp_upstream_request *up);
/* Headers of a request that ccproxy makes on its own behalf. False = no memory. */
bool attempt_own_headers(struct exchange *x, const struct provider *p, struct ccp_upstream_request *up);
/* api_upstream.c: provider.request.prepared, and what its hooks may do to x->up. False = failed. */
bool attempt_offer(struct exchange *x);
void attempt_stop(struct exchange *x);
/* After the answer was judged, or when the credential came: ends this transfer, then sends, or answers the failure.
 * From a task. */
void attempt_next(struct exchange *x);

/* credential.c: stored logins. */
/* Can requests to this provider be tried now? And if not: why, and what to do. For routing and health. */
bool credential_usable(const struct exchange *x, const struct provider *p);
struct ccp_span credential_missing(const struct exchange *x, const struct provider *p);
/* Gets the provider's credential. NEXT: it is there, or none is needed. WAIT: attempt_next runs when there is news. */
enum ccp_verdict credential_acquire(struct exchange *x);
/* Upstream refused it. True: acquire again and send again; false: that was done before. */
bool credential_renewable(struct exchange *x);
/* Into a request to this provider. False: there is none. */
bool credential_describe(struct exchange *x, const struct provider *p, struct ccp_upstream_request *up);
void credential_release(struct exchange *x);

/* crossing.c, crossing_answer.c: requests and answers that change their format on the way. */
bool crossing_needed(const struct exchange *x);
/* Translates the request into x->up (URL below the base in *path, body). False = failed. */
bool crossing_request(struct exchange *x, struct ccp_span *path);
/* A token count that no upstream can give is estimated here and answered. False = it has to be asked for. */
bool crossing_estimate(struct exchange *x);
/* May this header of the upstream's answer go on to a client of another format? */
bool crossing_keeps(struct ccp_span name);
void crossing_open(struct exchange *x);          /* the answer's head is there and may be given */
bool crossing_answers(const struct exchange *x); /* it was */
enum ccp_push crossing_body(struct exchange *x, struct ccp_span bytes);
void crossing_done(struct exchange *x, enum ccp_status status, struct ccp_span why);
/* Ends a stream that has begun with the recorded failure. False = there is no translated stream that could say it. */
bool crossing_fail(struct exchange *x);

/* fit.c: a body that passes in its own format is changed where the provider's rules say so; then x->up.body is set and
 * *changed true. False = failed. */
bool fit_body(struct exchange *x, bool *changed);

/* judge.c: true = the answer may go to the client. False with x->judging: its first bytes decide (judge_body);
 * false without: attempt_next was queued. */
bool judge_head(struct exchange *x, int status);
bool judge_body(struct exchange *x, struct ccp_span bytes, bool end);
/* Records that the upstream refused our own key, or a stored login that was renewed. */
void judge_key_refused(struct exchange *x);
void judge_login_refused(struct exchange *x);

/* answer.c: the way to the client. */
bool answer_header(struct exchange *x, struct ccp_span name, struct ccp_span value);
/* Head through the middlewares to the client. content_length SIZE_MAX = unknown. */
void answer_head(struct exchange *x, int status, size_t content_length);
enum ccp_push answer_body(struct exchange *x, struct ccp_span bytes, bool last);
/* A whole local answer. */
void answer_whole(struct exchange *x, int status, struct ccp_span content_type, struct ccp_span body);
/* Turns the recorded failure into bytes: a response, an error event, or a broken connection. */
void answer_failure(struct exchange *x);

/* deltas.c, deltas_body.c: middlewares that read the answer as deltas. */
/* Asks who wants to, before the answer's head. False: no memory, the exchange has failed. */
bool deltas_open(struct exchange *x);
/* A delta_sink's put; `self` is the exchange. False: the answer ends here, exchange_fail was called. */
bool deltas_put(void *self, const struct delta *d);
/* Whoever has seen a beginning but no end gets an error. */
void deltas_close(struct exchange *x);
/* The head waits, so that what is refused at once is a plain error: until there are bytes to give, or else until a
 * keep-alive would be due; then `open` is called. */
void deltas_hold_head(struct exchange *x, void (*open)(struct exchange *x));
/* Bytes in one format: read, shown, then given as they came. */
void deltas_begin(struct exchange *x);
enum ccp_push deltas_body(struct exchange *x, struct ccp_span bytes);
void deltas_done(struct exchange *x, enum ccp_status status, struct ccp_span why);
/* Is the answer a JSON array of which whole elements have been given, so that one more may tell of an error? */
bool deltas_in_array(const struct exchange *x);

/* rename.c: the stage that restores the client's model name in a same-format answer; NULL = not needed. */
struct ccp_stage *rename_open(struct exchange *x);

/* stream.c: answers that a route writes piece by piece. */
void stream_writable(struct exchange *x);
void stream_close(struct exchange *x); /* tells its owner */

/* watch_route.c: takes the id of a stream out of the path, before anybody writes that down. */
void watch_hide(struct exchange *x);
/* Is this the path of a stream of events? Fills in x->route. */
bool watch_match(struct exchange *x, struct ccp_span path);
enum ccp_verdict watch_serve(struct exchange *x);
/* watch_desk.c: the worker's configuration is another one. Who may no longer watch is told so, the others go on under
 * it. */
void watch_reconfigured(struct chain_worker *w);
void watch_drain(struct chain_worker *w); /* nobody watches any more */
void watch_leave(struct chain_worker *w); /* the worker goes; what was posted for it may still come */

/* pipe.c: upstream bytes of a same-format answer. */
void pipe_open(struct exchange *x);
enum ccp_push pipe_body(struct exchange *x, struct ccp_span bytes);
/* Whole events, at once. */
enum ccp_push pipe_give(struct exchange *x, struct ccp_span events);
void pipe_done(struct exchange *x, enum ccp_status status, struct ccp_span why);
void pipe_close(struct exchange *x);

/* usage.c: token counts. usage_open: the answer's head was given. usage_of: what is known by now; nothing while no hook
 * asks. */
void usage_open(struct exchange *x);
struct ccp_usage usage_of(const struct exchange *x);
static inline void usage_feed(struct exchange *x, struct ccp_span bytes)
{
    if (x->usage != NULL)
        usage_scan_feed(x->usage, bytes);
}

/* verbose.c: a piece of a body that begins at `offset`, into the log when [logging] verbose_api asks for it. */
void verbose_body(const struct exchange *x, const char *direction, uint64_t offset, struct ccp_span bytes);

/* core_*.c */
extern const struct ccp_middleware core_request_id, core_host, core_cors, core_auth;
/* core_auth.c: takes everything that matches a ccproxy key out of headers and query, before any plugin sees them, and
 * notes the key in x->shown. False = no memory: exchange_fail was called, the query is empty. */
bool auth_take_keys(struct exchange *x);
/* core_auth.c: may this key use the chosen provider and model? False = failed. */
bool auth_scope(struct exchange *x);
bool auth_may_use(const struct exchange *x, const struct provider *p);
bool auth_may_see(const struct exchange *x, struct ccp_span model);
/* core_host.c: is this origin one of [cors] origins? */
bool cors_origin_allowed(const struct exchange *x, struct ccp_span origin);

/* api.c */
extern const struct ccp_api chain_api;

#endif
