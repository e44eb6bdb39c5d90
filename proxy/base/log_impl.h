/*
 * Inside of the log, shared by log.c (format, rings) and log_sink.c (descriptor, thread).
 */
#ifndef BASE_LOG_IMPL_H
#define BASE_LOG_IMPL_H

#include <base/log.h>

#include <pthread.h>
#include <stdatomic.h>

#define LOG_RING (256u * 1024u)

struct log_ring {
    struct log_ring *next; /* written once, before publication */
    atomic_size_t head;    /* bytes ever written; by the owner thread */
    atomic_size_t tail;    /* bytes ever read; by the log thread */
    char bytes[LOG_RING];
};

struct log_state {
    atomic_int level, format;
    _Atomic(struct log_ring *) rings;
    atomic_bool running;
    atomic_uint run; /* how often the log was stopped: rings of an earlier run are gone */
    atomic_int asleep;
    atomic_ullong dropped;
    atomic_int fd;
    int wake_fd;
    pthread_t thread;
    char *file;
};

extern struct log_state log_global;

/* Writes at once from the calling thread; for before start and after stop. */
void log_sink_direct(struct ccp_span line);

#endif
