/*
 * The test kit, seen from inside: one open plugin with everything that is played around it.
 *
 * Everything belongs to the test's thread, but what `lock` guards: observers and off-loop work run on threads of the
 * executor, and so do a plugin's fetches.
 */
#ifndef TESTING_KIT_IMPL_H
#define TESTING_KIT_IMPL_H

#include <ccproxy/testing.h>

#include <base/buf.h>
#include <base/loop.h>
#include <chain/chain.h>
#include <plugin/runtime.h>

#include <pthread.h>

#define KIT_HEADERS   64
#define KIT_PATIENCE  10000000 /* us of real time for an exchange or a queue */
#define KIT_IDLE      20000    /* us of real time without anything happening, before the clock jumps */
#define KIT_ENV_NAMES 6

/* A copy that lives as long as the test. */
struct kit_kept {
    struct kit_kept *next;
    char bytes[];
};

struct kit_script {
    struct kit_script *next;
    struct ccp_test_answer a; /* texts are copies */
    struct ccp_header headers[KIT_HEADERS];
    size_t header_count;
};

struct kit_sent {
    struct ccp_test_sent pub; /* first */
    struct kit_sent *next;
    struct ccp_header headers[KIT_HEADERS + 1]; /* and the credential */
};

struct kit_transfer {
    struct kit_transfer *next, **prev;
    struct ccp_test *t;
    const struct kit_script *script; /* NULL = none was prepared */
    struct ccp_transfer_events events;
    void *arg;
    bool paused, headed;
    size_t at;
};

struct kit_call {
    struct ccp_test_response pub; /* first */
    struct kit_call *next;
    struct ccp_test *t;
    struct exchange *x; /* NULL = over */
    char *request_body;
    struct ccp_span line; /* "GET /x" */
    struct ccp_header headers[KIT_HEADERS];
    struct ccp_buf body, events;
    bool slow, waits; /* waits: the chain was told PAUSE */
};

struct kit_post {
    struct kit_post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct ccp_test {
    const struct ccp_plugin *plugin;
    const struct ccp_plugin *extra[3]; /* the plugin, the spy, NULL */
    struct runtime_core core;
    struct ccp_api api; /* the chain's, with a fetch of the kit's own */
    struct executor *executor;
    struct runtime *runtime;
    struct loop loop;
    struct chain_worker *worker;
    struct kit_call *calls;
    struct kit_script *next_answer, **last_answer;
    struct kit_transfer *transfers;
    char folder[64];
    char *env[KIT_ENV_NAMES]; /* values before the test */
    int log;                  /* descriptor that the log is written to */

    pthread_mutex_t lock; /* guards all that follows */
    struct kit_kept *kept;
    struct kit_sent *sent, **last_sent;
    size_t sent_count;
    struct kit_script *next_fetch, **last_fetch;
    struct kit_post *posts, **last_post;
    struct ccp_buf events;
};

/* kit.c. What is open, or NULL: for the spy's `open`, which has no other way to know. */
struct ccp_test *kit_current(void);

/* kit_memory.c: plain malloc, and the end of the test if there is none. */
void *kit_alloc(size_t n); /* zeroed */
struct ccp_span kit_keep(struct ccp_test *t, struct ccp_span s);
struct ccp_span kit_keep2(struct ccp_test *t, struct ccp_span a, struct ccp_span b);
/* Lines "name: value" into headers of the test's memory; returns their number. */
size_t kit_headers(struct ccp_test *t, const char *lines, struct ccp_header *out, size_t max);
struct ccp_span kit_header(const struct ccp_header *headers, size_t n, const char *name);
struct kit_script *kit_script(struct ccp_test *t, const struct ccp_test_answer *answer);

/* kit_time.c: the clock is the system's and what the test added. */
void kit_clock_start(void);
void kit_clock_resume(void); /* somebody replaced it */
void kit_clock_stop(void);
void kit_clock_add(uint64_t us);
uint64_t kit_real_us(void);

/* kit_folder.c: a folder of the test's own, and the environment that points there. */
bool kit_folder_make(struct ccp_test *t);
void kit_folder_remove(struct ccp_test *t);

/* kit_upstream.c */
extern const struct ccp_transport kit_transport;
bool kit_upstream_step(struct ccp_test *t); /* true: something came */

/* kit_client.c: one turn of everything; true: something happened. */
bool kit_turn(struct ccp_test *t);
void kit_quiet(struct ccp_test *t); /* turns until nothing happens without time */
bool kit_post(void *self, size_t worker, void (*fn)(void *arg), void *arg); /* executor_port.post */

/* kit_fetch.c: ccp_api.fetch of the kit. */
bool kit_fetch(const struct ccp_plugin_env *env, struct ccp_arena *a, const struct ccp_fetch *what,
               struct ccp_fetched *out, size_t out_size);

/* kit_spy.c: the plugin that writes events down. */
extern const struct ccp_plugin kit_spy;

#endif
