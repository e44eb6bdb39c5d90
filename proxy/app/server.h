/*
 * A running server: listeners, workers and the configuration they work with.
 *
 * Made, changed and taken down by the main thread only. Workers get a new configuration as a message and read their
 * own pointer; nothing here is shared with them but what http/ shares.
 */
#ifndef APP_SERVER_H
#define APP_SERVER_H

#include <app/app.h>
#include <app/watchdog.h>
#include <auth/auth.h>
#include <chain/chain.h>
#include <chain/hub.h>
#include <http/http.h>
#include <upstream/upstream.h>

#include <pthread.h>

struct server;

/* One loop on a thread of its own, with all that lives on that loop. */
struct worker {
    struct server *server;
    struct http_worker *http;
    struct upstream *upstream;
    struct chain_worker *chain;
    struct auth_view *auth; /* or NULL */
    pthread_t thread;
    bool running;
};

struct server {
    const struct cli *cli;
    struct runtime *rt; /* the newest configuration; changed under rt_lock, for observers on the service thread */
    pthread_mutex_t rt_lock;
    struct auth *auth;         /* the credential service; NULL: logins have no place on this machine */
    struct executor *executor; /* threads of plugins */
    struct hub *hub;           /* of those who watch events */
    struct admin *admin;       /* changes that requests asked for */
    struct config *bound;      /* the one of the start: http/ keeps pointing at its texts */
    struct http_options options;
    struct http_listeners *listeners;
    struct resolver *resolver; /* shared by the workers' upstreams */
    struct worker *workers;
    size_t worker_n;
    struct watchdog *watchdog;
    int ended_fd;  /* eventfd: counts workers whose loop ended */
    int signal_fd; /* signalfd; there before anybody is served, when descriptors may run out */
    bool draining, logging;
};

/* worker.c */
bool worker_open(struct worker *w, struct server *s);
bool worker_start(struct worker *w, size_t number);
/* Takes over the reference. Applies from the worker's next turn on. */
void worker_set_runtime(struct worker *w, struct runtime *rt);
/* After its loop ended, or before it was started. */
void worker_close(struct worker *w);

/* server.c: [server] as http/ wants it; borrows the texts. */
void server_options(struct http_options *o, const struct server_settings *s);
/* The steps of a start; each prints what is wrong and returns an exit code. */
int server_bind(struct server *s);
int server_open(struct server *s);
int server_start(struct server *s);
void server_close(struct server *s);
/* A listener that others can reach, and nobody asks them for a key, and nobody said that this is meant. */
bool server_is_open_to_all(const struct server *s, const struct settings *settings);

/* signals.c: returns when every worker has ended. */
int server_run(struct server *s);
bool signals_block(void);
int signals_open(void); /* a signalfd of what signals_block blocked; -1 = none to be had */

/* reload.c */
void server_reload(struct server *s);
/* The two halves of it. A configuration of today, bound and opened beside the one in use; NULL = there are faults, they
 * were reported, and nothing has changed. `state` NULL = as its file says; `restart`: see runtime_host. */
struct runtime *server_prepare(struct server *s, const struct ccp_span *state, struct ccp_span restart,
                               load_report *report, void *arg);
/* Puts it into use; takes it over. False: no memory, the old one goes on. */
bool server_apply(struct server *s, struct runtime *rt);

/* admin.c: what the workers' admin_port leads to. `fd` is readable while something waits; admin_turn does one of it. */
bool admin_open(struct server *s); /* before the workers */
int admin_fd(const struct admin *a);
const struct admin_port *admin_port_of(const struct admin *a);
void admin_turn(struct admin *a);
void admin_close(struct server *s); /* after the workers; NULL is fine */

/* plugins.c: the executor, before plugins are opened; what a runtime is opened with. */
int plugins_open_executor(struct server *s);
struct runtime_host plugins_host(struct server *s, struct ccp_span restart);

/* events.c: the hub, when the number of workers is known and before the executor starts; close when nothing is served
 * any more and while the workers still take messages. */
int events_open(struct server *s);
void events_close(struct server *s);

/* credentials.c. open before the workers, start after them; `use` when a configuration comes, before workers see it.
 * set_runtime takes over the reference and drops the old one's. */
int credentials_open(struct server *s);
int credentials_start(struct server *s);
bool credentials_use(struct server *s, struct runtime *rt);
void credentials_set_runtime(struct server *s, struct runtime *rt);

/* logging.c: applies [logging]; NULL = fine. */
const char *logging_apply(const struct logging_settings *l);

/* privilege.c */
void privilege_harden(void); /* no core dumps, no attaching, /proc/PID closed to the same user */
void privilege_soften(void); /* when all secrets are gone: lets leak checkers look */
/* NULL = fine, else why not. `socket` may be NULL: a unix socket that the user shall own. */
const char *privilege_drop(const char *user, const char *socket);

/* banner.c */
void banner_print(const struct server *s);

#endif
