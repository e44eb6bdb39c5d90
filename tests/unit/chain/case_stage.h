/*
 * The stage a case is played on: what is asked of one run, what was recorded, and the few tools for recording.
 *
 * Recording allocates with plain malloc, so that armed fault points hit the chain and nothing else.
 */
#ifndef UNIT_CASE_STAGE_H
#define UNIT_CASE_STAGE_H

#include "case_file.h"

#include <base/buf.h>
#include <base/clock.h>
#include <base/fault.h>
#include <base/loop.h>
#include <base/secret.h>
#include <chain/chain.h>
#include <plugin/runtime.h>

#include <unistd.h>

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

struct kept {
    struct kept *next;
    char bytes[];
};

struct sent {
    struct ccp_span method, url;
    struct ccp_header headers[CASE_HEADERS];
    size_t header_n;
    struct ccp_span body;
};

struct ccp_transfer {
    const struct upstream_script *script;
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
    struct kept *kept; /* what was recorded; plain malloc, so that armed faults hit the chain only */
    /* upstream */
    struct ccp_transfer transfers[CASE_UPSTREAMS + 1];
    struct sent sent[CASE_UPSTREAMS + 1];
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

static uint64_t play_us = 1000000;
static uint64_t play_clock(void)
{
    return play_us;
}

static void broken(struct stage *s, const char *what)
{
    if (s->wrong[0] == '\0')
        snprintf(s->wrong, sizeof(s->wrong), "%s", what);
}

static struct ccp_span keep2(struct stage *s, struct ccp_span a, struct ccp_span b)
{
    struct kept *k = malloc(sizeof(*k) + a.n + b.n + 1);
    k->next = s->kept;
    s->kept = k;
    if (a.n != 0)
        memcpy(k->bytes, a.p, a.n);
    if (b.n != 0)
        memcpy(k->bytes + a.n, b.p, b.n);
    return (struct ccp_span){k->bytes, a.n + b.n};
}

static struct ccp_span keep(struct stage *s, struct ccp_span a)
{
    return keep2(s, a, (struct ccp_span){NULL, 0});
}

static unsigned dice(struct stage *s, unsigned sides)
{
    s->rhythm.random = s->rhythm.random * 1103515245u + 12345u;
    return (s->rhythm.random >> 16) % sides;
}

#endif
