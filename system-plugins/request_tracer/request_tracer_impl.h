/*
 * What the files of the request tracer share.
 *
 * trace.c collects what an exchange brings, on its worker, in the exchange's memory. hide.c writes heads without
 * credentials. compose.c makes the file's text when the exchange is over. files.c keeps the folder, on threads that may
 * block; routes.c shows it to admins. request_tracer.c holds settings and manifest.
 */
#ifndef REQUEST_TRACER_IMPL_H
#define REQUEST_TRACER_IMPL_H

#include <ccproxy/ccproxy.h>

#include <pthread.h>
#include <stdatomic.h>

enum {
    TEXT_SEEN = 4096, /* bytes of a text outside of heads and bodies that are looked at: more than any secret has */
    TEXT_SHOWN = 300, /* and of a line of the summary that are written: all of it is in SUMMARY */
    SUMMARY = 4096,   /* bytes of a trace in which its summary is looked for */
};

struct tracer_config {
    double sample;
    bool only_errors;
    struct ccp_list providers, paths, exclude_paths;
    uint64_t max_body, max_total, retention;
    int64_t max_files;
};

struct tracer {
    const struct ccp_plugin_env *env;
    const struct ccp_api *api;
    const struct tracer_config *config;
    struct ccp_span folder; /* NUL-terminated */
    /* Guards the two, and everything that removes files. */
    pthread_mutex_t lock;
    uint64_t files, bytes;
    atomic_ullong written, failed, dropped; /* dropped: for want of memory, or of a place in the queue */
    atomic_ullong complained_s;             /* when the log was last told */
    atomic_bool broken;                     /* the last file could not be written */
};

/* Text into memory whose size a first pass found out: with p NULL it only counts. */
struct sink {
    char *p;
    size_t n;
};
static inline void sink_add(struct sink *s, struct ccp_span t)
{
    if (s->p != NULL && t.n != 0)
        memcpy(s->p + s->n, t.p, t.n);
    s->n += t.n;
}
static inline void sink_z(struct sink *s, const char *z)
{
    sink_add(s, ccp_span_z(z));
}
/* Its beginning, without half a character at the end. Clients choose how long a model's name is. */
static inline struct ccp_span brief(struct ccp_span s, size_t most)
{
    if (s.n <= most)
        return s;
    while (most != 0 && ((unsigned char)s.p[most] & 0xc0) == 0x80)
        most--;
    return ccp_span_of(s.p, most);
}
static inline void sink_number(struct sink *s, uint64_t n)
{
    char digits[20];
    sink_add(s, ccp_span_of(digits, ccp_digits(digits, n, 1)));
}

/* -- trace.c -- */

/* A piece of a body, in the exchange's memory. */
struct piece {
    struct piece *next;
    size_t n, room;
    char bytes[];
};

/* One message of the exchange, or a note about it. */
struct section {
    struct section *next;
    const char *name; /* "client.request", "upstream.response", "note" */
    unsigned attempt; /* 0 = not of one */
    uint64_t at_us;   /* since the exchange began */
    struct ccp_span head;
    struct piece *first, *last;
    size_t body_n, body_total; /* kept, and seen */
};

struct trace {
    uint64_t unix_us;
    struct section *first, *last, *answer, *upstream; /* answer: of the client; upstream: the latest response */
    unsigned attempts;
    bool refused; /* memory for a part of it was refused */
};

bool trace_event(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m);
/* Is this one of the requests that the sample takes? The same id always gets the same answer. */
bool trace_sampled(struct ccp_span id, double sample);
bool trace_path_matches(struct ccp_span pattern, struct ccp_span path);

/* -- hide.c: text without credentials, judged by its place and, where the place says nothing, by its look -- */
void hide_path(struct sink *s, struct ccp_span path);
/* A query without '?'. */
void hide_query(const struct ccp_api *api, struct sink *s, struct ccp_span query);
void hide_url(const struct ccp_api *api, struct sink *s, struct ccp_span url);
/* "name: value\n" */
void hide_header(const struct ccp_api *api, struct sink *s, const struct ccp_header *h);
/* Does it begin, or does a word in it begin, like a vendor's key or a token? */
bool hide_looks_secret(struct ccp_span text);

/* -- compose.c -- */
/* The file's text, allocated; p NULL = no memory. Secrets of ccproxy's own are overwritten in it. */
struct ccp_span compose(const struct tracer *t, struct ccp_exchange *x, const struct trace *trace,
                        const struct ccp_summary *sum);

/* -- files.c: all of it blocks -- */
enum { FILES_NAME_MAX = 24 + 128 }; /* "2026-11-21-172703.123456-<id>" */
struct files_found {
    char name[FILES_NAME_MAX + 1];
    uint64_t size;
};
/* Name of a trace in `out`; what an id may not have in a file's name becomes '_'. */
void files_name(char out[FILES_NAME_MAX + 1], uint64_t unix_us, struct ccp_span id);
/* Counts what is there. False: the folder cannot be read. */
bool files_count(struct tracer *t);
/* Writes a new file, then removes the oldest ones beyond the limits. NULL, or why it failed. */
const char *files_write(struct tracer *t, const char *name, struct ccp_span text);
/* Removes what is older than the retention or beyond the limits. */
void files_prune(struct tracer *t);
/* Names, newest first, that stand behind `before` (a name, or empty) and have this id (or empty: any). Returns how
 * many; at most max. */
size_t files_list(const struct tracer *t, struct ccp_span before, struct ccp_span id, struct files_found *out,
                  size_t max);
/* The trace of this name, or the newest with this id. False = none. */
bool files_find(const struct tracer *t, struct ccp_span what, struct files_found *out);
/* Reads at most max bytes; allocated. p NULL = gone, or no memory. */
struct ccp_span files_read(const struct tracer *t, const char *name, size_t max);
bool files_remove(struct tracer *t, const char *name);
size_t files_clear(struct tracer *t);

/* -- routes.c -- */
enum ccp_verdict routes_list(void *self, struct ccp_exchange *x);
enum ccp_verdict routes_get(void *self, struct ccp_exchange *x);
enum ccp_verdict routes_delete(void *self, struct ccp_exchange *x);
enum ccp_verdict routes_clear(void *self, struct ccp_exchange *x, const struct ccp_json *input);

#endif
