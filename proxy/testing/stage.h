/*
 * The stage a case is played on: what is asked of one run, what was recorded, and playing it.
 *
 * The real chain without sockets: a loop turned by hand, a transport that records what would go upstream and answers
 * from the script, a responder that records what the client would get. How the upstream's body is cut, and how often
 * the client is slow, is the caller's choice (struct rhythm); the outcome must not depend on it. Recording allocates
 * with plain malloc, so that armed fault points hit the chain and nothing else.
 */
#ifndef TESTING_STAGE_H
#define TESTING_STAGE_H

#include <testing/case_file.h>

#include <base/buf.h>
#include <base/loop.h>
#include <chain/chain.h>
#include <plugin/runtime.h>

enum cutting { CUT_WHOLE, CUT_BYTES, CUT_RANDOM, CUT_ONCE };

struct rhythm {
    enum cutting cutting;
    size_t cut_at;          /* CUT_ONCE: the length of the first of two pieces */
    bool slow_client;       /* pauses at random */
    size_t gone_after;      /* the client leaves after so many steps; 0 = never */
    bool gone_at_once;      /* it left before the exchange began to work */
    size_t abort_after;     /* the worker ends everything after so many steps; 0 = never */
    bool draining;          /* the worker drains before the request comes */
    struct runtime *reload; /* becomes the worker's after two steps; or NULL */
    unsigned random;
    const char *fault; /* armed while the exchange runs (base/fault.h), or NULL */
};

struct stage_kept {
    struct stage_kept *next;
    char bytes[];
};

struct stage_sent {
    struct ccp_span method, url;
    struct ccp_header headers[CASE_HEADERS];
    size_t header_n;
    struct ccp_span body;
};

struct stage_transfer {
    const struct case_upstream *script;
    struct ccp_transfer_events events;
    void *arg;
    bool live, paused, headed;
    size_t at, silent;
};

struct stage {
    const struct test_case *c;
    struct rhythm rhythm;
    struct loop loop;
    struct runtime *runtime;
    struct chain_worker *worker;
    struct exchange *x;
    struct stage_kept *kept; /* what was recorded; plain malloc, so that armed faults hit the chain only */
    /* upstream */
    struct stage_transfer transfers[CASE_UPSTREAMS + 1];
    struct stage_sent sent[CASE_UPSTREAMS + 1];
    size_t sent_n;
    /* client */
    char *client_body;
    int status;
    struct ccp_header headers[CASE_HEADERS];
    size_t header_n, content_length;
    struct ccp_buf body;
    bool last, aborted, ended, paused, in_begin;
    unsigned heads;
    struct ccp_span events[CASE_EVENTS];
    size_t event_n;
    char wrong[512]; /* a broken rule of the contract */
};

/* The case's configuration as an open runtime, with further manifests (NULL-terminated, or NULL); NULL with *why. */
struct runtime *case_runtime(const struct test_case *c, const struct ccp_plugin *const *extra, char *why, size_t max);

/* Plays the whole exchange. The stage keeps what was recorded until stage_release; a broken rule of chain/chain.h is in
 * s->wrong. The process's clock is the stage's meanwhile. */
void stage_play(struct stage *s, const struct test_case *c, struct runtime *runtime, struct rhythm rhythm);
void stage_release(struct stage *s);

/* For recording: a copy of both texts, which lives as long as the stage. */
struct ccp_span stage_keep2(struct stage *s, struct ccp_span a, struct ccp_span b);
struct ccp_span stage_keep(struct stage *s, struct ccp_span a);
unsigned stage_dice(struct stage *s, unsigned sides);
/* Notes the first broken rule. */
void stage_broken(struct stage *s, const char *what);

/* stage_upstream.c: the transport, and one step of a transfer (its head, a piece of its body, or its end). */
extern const struct ccp_transport stage_transport;
void stage_transfer_step(struct stage *s, struct stage_transfer *t);
enum ccp_status stage_status_named(struct ccp_span name); /* of status.def; CCP_INTERNAL for others */

#endif
