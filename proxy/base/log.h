/*
 * The server's log.
 *
 * log_write formats into the calling thread's ring; the log thread writes the rings out, so a blocked pipe or
 * a full disk never blocks a worker: a full ring drops the line and counts it. Before log_start and after
 * log_stop lines go straight to the descriptor. Control bytes and bytes that are not UTF-8 are escaped; one
 * call is one line. Secrets have no printable form, so none can reach this place by accident.
 *
 * Of one kind (area and format string) at most 100 lines are written in a second; one line tells how many more
 * there were. What was dropped because the sink is slow or fails is told in the same way once it takes lines again.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <ccproxy/plugin.h>

#include <stdarg.h>

enum log_format { LOG_TEXT, LOG_JSON };

struct log_options {
    enum ccp_log_level level;
    enum log_format format;
    const char *file; /* NULL = standard error; opened 0600, appended */
};

/* Any thread. `who` is the area or plugin ("http", "access_log"). */
void log_write(enum ccp_log_level level, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void log_vwrite(enum ccp_log_level level, const char *who, const char *fmt, va_list ap);
/* The same without the limit per kind: for what the operator asked to see whole (bodies). */
void log_bulk(enum ccp_log_level level, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* May one more ready line of this kind be written in this second? False = it is counted and told later. Any thread;
 * neither text may come from outside, for kinds are remembered for ever. */
bool log_room(const char *who, struct ccp_span kind);
/* A ready line (access log): written as it is plus a line feed. The caller has escaped it. `who` is not written down,
 * it is for the tap; at most 255 bytes of it. */
void log_line(const char *who, struct ccp_span line);
bool log_enabled(enum ccp_log_level level);
enum log_format log_current_format(void);

/* Applies options; on failure the old ones stay and an errno text is returned, NULL = fine. */
const char *log_configure(const struct log_options *options);
const char *log_reopen(void); /* SIGUSR1, SIGHUP */
bool log_start(void);         /* starts the writing thread */
void log_stop(void);          /* writes out what is queued, for a second at most, ends the thread */
uint64_t log_dropped(void);   /* lines lost: a ring was full, or a write failed */
/* Escapes text for one field of a record, no NUL: control bytes, invalid UTF-8, line separators and
 * bidirectional marks never pass; with `json` quotes and backslashes too. Returns the length written. */
size_t log_escape(char *out, size_t max, struct ccp_span s, bool json);

/* One line on its way to the log, for whoever watches it. Spans are valid during the call. */
struct log_tapped {
    enum ccp_log_level level;
    struct ccp_span who;
    struct ccp_span text; /* without time, level and area; escaped as it is in the log */
    bool json;            /* as the inside of a JSON string */
    bool bulk;            /* log_bulk: part of a body */
    uint64_t unix_us;
};
/* Who else sees each line, on the log's thread, one call at a time; NULL = nobody. When this returns, no call of the
 * one from before is under way. Lines that are written without the thread (before log_start, after log_stop) and those
 * about missing lines are not shown. Not from within a tap. */
void log_set_tap(void (*tap)(void *self, const struct log_tapped *line), void *self);
/* Does the tap want lines just now? While it does not, they cost nothing more. Any thread. */
void log_tap_wanted(bool wanted);

#define log_debug(who, ...)                                                                                            \
    do {                                                                                                               \
        if (log_enabled(CCP_LOG_DEBUG))                                                                                \
            log_write(CCP_LOG_DEBUG, who, __VA_ARGS__);                                                                \
    } while (0)
#define log_info(who, ...)  log_write(CCP_LOG_INFO, who, __VA_ARGS__)
#define log_warn(who, ...)  log_write(CCP_LOG_WARN, who, __VA_ARGS__)
#define log_error(who, ...) log_write(CCP_LOG_ERROR, who, __VA_ARGS__)

#endif
