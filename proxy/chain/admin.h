/*
 * Changes to the running server that a request asks for: a port to the one thread that may make them.
 *
 * The request's exchange is parked while a job goes to that thread and comes back as a message to the worker. Each side
 * owns the job while it has it; the exchange may end meanwhile, then nobody reads the answer. What the change is and
 * how it is made is not known here.
 */
#ifndef CHAIN_ADMIN_H
#define CHAIN_ADMIN_H

#include <base/buf.h>

struct chain_worker;
struct exchange;

enum admin_verb {
    ADMIN_SHOW,   /* GET config */
    ADMIN_CONFIG, /* POST config: `text` is a JSON object */
    ADMIN_ENABLE, /* the others have no text */
    ADMIN_DISABLE,
    ADMIN_RESTART,
    ADMIN_RELOAD,
};

struct admin_job {
    enum admin_verb verb;
    struct ccp_span plugin; /* name of a plugin that the worker's configuration has; text and plugin are the job's */
    struct ccp_span text;
    size_t worker; /* where it comes from */
    struct admin_job *next;
    /* The answer: JSON, not secret. Written by whoever does the job, before admin_answered or admin_drop. */
    int status;
    struct ccp_buf answer;
    struct exchange *x; /* the worker's own; NULL when it has ended */
};

struct admin_port {
    /* Takes the job over. False: too many wait; the job is still the caller's. Any worker's thread. */
    bool (*submit)(void *self, struct admin_job *job);
    void *self;
};

/* The port must outlive the worker. Before the first exchange. */
void chain_worker_set_admin(struct chain_worker *w, const struct admin_port *port);
/* The way back: on the thread of job->worker, as a posted message. Frees the job. */
void admin_answered(void *job);
/* Instead of that, when the worker takes no messages any more. Any thread. */
void admin_drop(struct admin_job *job);

#endif
