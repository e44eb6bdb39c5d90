/*
 * Inside of the log, shared by log.c (format, rings), log_limit.c (lines of one kind), log_sink.c (thread) and
 * log_file.c (descriptor).
 */
#ifndef BASE_LOG_IMPL_H
#define BASE_LOG_IMPL_H

#include <base/log.h>

#include <pthread.h>
#include <stdatomic.h>

#define LOG_RING       (256u * 1024u)
#define LOG_LINE_MAX   3300u
#define LOG_KIND_LINES 100u /* of one kind in one second */
#define LOG_STOP_MS    1000 /* for what is queued when the log stops, however slow its reader is */

/* What stands before each line in a ring. Places count from the line's first byte. */
struct log_mark {
    uint32_t n;       /* bytes that follow */
    uint32_t written; /* so many of them are the line; the rest is `who` of a line that does not name it */
    uint16_t who_at, who_n, text_at, text_n;
    uint8_t level, json, bulk;
    uint64_t unix_us;
};

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
    atomic_ullong give_up_ms; /* monotonic; after it nothing waits for the sink any more, 0 = not stopping */
    atomic_int fd;
    int wake_fd;
    pthread_t thread;
    char *file;
};

extern struct log_state log_global;

/* Writes at once from the calling thread; for before start and after stop. */
void log_sink_direct(struct ccp_span line);
/* Writes whole lines; false = some did not get through, which were counted. One thread at a time. */
bool log_write_lines(const char *p, size_t n);
/* Makes the log thread look around, if it sleeps. */
void log_wake(void);
/* log_tap.c: shows one record to the tap. The log thread's. */
bool log_tap_is_wanted(void);
void log_tap_show(const struct log_mark *mark, const char *bytes);
/* One whole line, escaped, with the time; at most max bytes (LOG_LINE_MAX is always enough). Returns its length. */
size_t log_format(char *out, size_t max, enum ccp_log_level level, const char *who, struct ccp_span text);

/* May one more line of this kind be written in this second (of the wall clock)? False = it is counted. */
bool log_limit_pass(struct ccp_span who, struct ccp_span what, uint64_t second);
/* The log thread's: is anything held back? Lines about it, for all kinds whose second is over, into out. */
bool log_limit_pending(void);
size_t log_limit_report(char *out, size_t max, uint64_t second);

#endif
