/*
 * Changes to a running server, inside: admin.c queues them, admin_jobs.c makes them, admin_answer.c says what came of
 * it. All but the queue on the main thread.
 */
#ifndef APP_ADMIN_H
#define APP_ADMIN_H

#include <app/server.h>
#include <chain/admin.h>

/* admin_jobs.c: does one job and writes its answer, whatever happens. */
void admin_do(struct server *s, struct admin_job *job);

/* admin_answer.c: faults of a configuration as they are collected, for {"error": {..., "faults": [...]}}. */
struct admin_faults {
    struct ccp_buf list; /* JSON strings with commas between them */
    size_t n;
    const char *state_path; /* places in a file that was never written are left out of the texts */
};

void admin_faults_init(struct admin_faults *f, const char *state_path);
void admin_fault(void *faults, bool warning, struct ccp_span text); /* a load_report; warnings are dropped */
void admin_refuse(struct admin_job *job, int status, const struct admin_faults *faults, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* {"plugin", "settings", ...}; `changes` NULL = none were made. */
void admin_show(struct admin_job *job, const struct runtime *rt, const struct plugin_instance *p);
void admin_changed(struct admin_job *job, struct runtime *rt, const struct plugin_instance *p);
/* {"plugin", "status", ...} */
void admin_done(struct admin_job *job, const struct plugin_instance *p, bool reopened);

#endif
