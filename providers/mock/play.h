/*
 * One running call: the reply that was prepared for it, and the production of its bytes piece by piece.
 *
 * play.c knows what comes next and when it is due; transfer.c knows who takes it. Neither keeps more than one
 * batch of bytes, however long the answer is.
 */
#ifndef MOCK_PLAY_H
#define MOCK_PLAY_H

#include "mock.h"

/* A batch of stream bytes is cut off at the first event after so many bytes. */
#define MOCK_BATCH 16384

enum mock_reply_kind { MOCK_REPLY_ERROR, MOCK_REPLY_STREAM, MOCK_REPLY_WHOLE, MOCK_REPLY_COUNT, MOCK_REPLY_EMBED };

struct mock_reply {
    enum mock_reply_kind kind;
    int status;
    const char *message;    /* of an error */
    uint64_t retry_after_s; /* 0 = none */
    const struct mock_config *config;
    const struct mock_writer *writer;
    struct mock_play play;
    size_t item, items; /* vectors */
    bool cut;           /* mock-cut: breaks off in the middle */
    bool broken;        /* it did: the transfer ends with a failure */
    bool finished;      /* nothing comes any more */
};

/* Reads the request and decides the reply. False when memory was refused. */
bool mock_reply_make(struct mock_reply *reply, struct mock *mock, struct ccp_exchange *x,
                     const struct ccp_upstream_request *request);
/* Milliseconds from the start to the response head. */
uint64_t mock_reply_head_due(const struct mock_reply *reply);
/* Adds the next bytes to play.out, which was reset. `elapsed` counts ms from the head on. When nothing is due
 * yet, nothing is added and the answer is how long to wait. */
uint64_t mock_reply_produce(struct mock_reply *reply, uint64_t elapsed);

#endif
