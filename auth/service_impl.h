/*
 * Inside of the credential service: what its files share.
 *
 * Threads: `struct account` belongs to the service thread alone; a renewal (renew.c) gets copies and answers by
 * message; a view belongs to its worker. What crosses goes through the mailbox (service.c), the workers' own
 * (auth_port), or stands in `struct auth` under its lock.
 */
#ifndef AUTH_SERVICE_IMPL_H
#define AUTH_SERVICE_IMPL_H

#include <auth/auth.h>
#include <auth/refresh.h>

#include <base/loop.h>
#include <base/secret.h>

#include <pthread.h>

enum { RENEWALS_MAX = 16 }; /* at once; further accounts wait for their turn */

enum message_kind {
    MSG_USES,    /* a configuration: accounts of interest */
    MSG_WANTED,  /* a worker has somebody waiting for this slot */
    MSG_REFUSED, /* the same, since upstream refused credential `serial` */
    MSG_RENEWED, /* a renewal ended */
    MSG_BLOCKED, /* a renewal holds a token that cannot be written */
    MSG_EVENT,   /* for the observers */
};

/* Lies in a list once; `queued` is guarded by the mailbox's lock. */
struct message {
    struct message *next;
    enum message_kind kind;
    bool queued;
    size_t slot, worker;
    uint64_t serial;
    uint64_t number; /* of a wish: how many this worker had of this slot */
};

struct message_uses {
    struct message m;      /* first */
    struct config *config; /* a reference */
    uint64_t refresh_before_ms;
    struct account **accounts; /* of all slots there are: the service needs no memory for them */
    size_t slots, n;
    struct auth_use v[];
};

struct message_event {
    struct message m;
    enum ccp_event event;
    struct auth_event what;
    char texts[800];
};

/* One login, account and file: created once, never freed before the service is. */
struct account {
    struct auth *a;
    size_t slot;
    struct config *config; /* keeps `login` alive */
    bool used;             /* by the newest configuration; else only requests that came before it may still ask */
    const struct oauth_provider *login;
    char name[STORE_LABEL_MAX + 1], label[STORE_LABEL_MAX + 1]; /* label empty: the only or first account */
    char *file;                                                 /* or NULL */
    uint64_t refresh_before;                                    /* seconds */
    char chosen[STORE_LABEL_MAX + 1];                           /* the label in use */

    enum auth_state state;
    char text[700]; /* why not ready, or what the last renewal said */
    bool degraded, settled, unpublished;
    bool dead;    /* the grant is gone; the access token may not be */
    bool blocked; /* the renewal holds a token that cannot be stored */
    struct auth_credential *credential;
    struct store_stamp stamp;
    bool stored;     /* there was such a file */
    bool unread;     /* and it could not be read */
    uint64_t *heard; /* by worker: number of its last wish that was looked at */

    struct loop_timer timer; /* the next renewal, retry or publication */
    struct renewal *renewal; /* under way, or NULL */
    uint64_t renewed_serial; /* of the credential that it is to replace, 0 = there was none */
    uint64_t refused;        /* serial of one that upstream refused meanwhile, or 0 */
    bool due;                /* one should begin as soon as there is room */
    bool force;              /* and it renews a token that is not expired */
    unsigned failures;       /* in a row */
    uint64_t retry_ms;       /* monotonic: not before; 0 = at once */
    uint64_t forced_ms;      /* when the last forced renewal succeeded; 0 = never */
    unsigned forced;         /* such renewals in a row, each soon after the other */
    int64_t begin_at;        /* Unix seconds at which renewing begins, 0 = not by the clock */
};

/* One slot as banner and main thread may read it; under the lock. */
struct slot_report {
    enum auth_state state;
    bool settled, degraded;
    struct auth_credential *credential; /* a reference, for where it may go */
    int64_t expires_at, next_attempt_at;
    char account[STORE_LABEL_MAX + 1], text[700];
};

struct slot_key {
    char *text; /* login, account and file, separated by line feeds */
    struct slot_report report;
    struct account *account; /* the service thread's, once it was told */
};

struct auth {
    struct store *store;
    struct auth_port port;
    pthread_t thread;
    bool running;
    atomic_bool stopping;
    int wake_fd; /* eventfd */

    pthread_mutex_t lock; /* the mailbox and the slot keys */
    pthread_cond_t changed;
    struct message *first, **last;
    struct slot_key **keys;
    size_t key_count, unsettled;

    /* the service thread's own */
    struct loop loop;
    struct account **accounts; /* by slot */
    size_t account_count;
    size_t renewals;
    uint64_t serial;
    struct watch *watch;

    struct auth_view **views; /* by worker; each is used on its worker's thread only */
};

/* -- service.c -- */

void service_post(struct auth *a, struct message *m);     /* any thread */
struct account *account_new(struct auth *a, size_t slot); /* NULL = no memory */
void account_release(struct account *c);
/* Takes it out of the mailbox if it lies there: its memory is about to go. Any thread, but for one that is handled now.
 */
void service_recall(struct auth *a, struct message *m);
/* Queues an event for the observers; any thread. */
void service_event(struct auth *a, enum ccp_event event, const struct oauth_provider *p, struct ccp_span account,
                   const char *request, const struct oauth_answer *answer, uint64_t generation);

/* -- account.c: on the service thread -- */

void account_use(struct account *c, const struct auth_use *use, struct config *config, uint64_t refresh_before_ms);
void account_look(struct account *c); /* has the store changed? then reads it */
void account_wanted(struct account *c);
void account_refused(struct account *c, uint64_t serial);
void account_blocked(struct account *c, const char *text);
void account_renewed(struct account *c, struct refresh_outcome *out);
/* The store's words for it; spans live as long as the account stays as it is. */
struct store_place account_place(const struct account *c);

/* -- publish.c: on the service thread -- */

/* Tells workers, report and observers what the account is now. */
void account_publish(struct account *c);
/* NULL = no memory. */
struct auth_credential *credential_new(const struct record *r, const struct account *c, uint64_t serial);
/* False: it was made for other addresses, which the report then says. NULL may go anywhere. */
bool credential_may_go(const struct auth_credential *c, struct ccp_span origin, struct auth_report *r);

/* -- renew.c -- */

struct renewal;
/* Starts one on a thread of its own; NULL = not now (too many, no memory). Its end comes as MSG_RENEWED. */
struct renewal *renewal_start(struct account *c, bool force);
/* Takes in its end: joins, hands the outcome to the account. */
void renewal_finish(struct auth *a, struct message *m);

/* -- watch.c: notices that files changed -- */

struct watch;
struct watch *watch_new(void); /* never fails: without inotify it is only the clock */
void watch_free(struct watch *w);
int watch_fd(const struct watch *w); /* -1 = none */
/* The folders to watch: the store's, and those of foreign files. */
void watch_folder(struct watch *w, const char *folder);
/* The folder of this file; of what it leads to, too, as a vendor's file may be a link. */
void watch_file(struct watch *w, const char *path);
/* Takes up those that were missing or were replaced; before files are looked at. */
void watch_again(struct watch *w);
/* Reads what came; true = something changed. */
bool watch_read(struct watch *w);
/* Milliseconds until files should be looked at in any case. */
uint64_t watch_interval(const struct watch *w);

/* -- view.c: a worker's side -- */

struct view_update {
    struct auth *a;
    size_t worker, slot;
    struct auth_report report;
    struct auth_credential *credential; /* a reference, or NULL */
    uint64_t retry_ms;                  /* monotonic: no renewal before; 0 = whenever it is asked for */
    bool renewing;                      /* more will follow soon */
    uint64_t heard;                     /* number of the worker's last wish that this takes into account */
    char texts[];
};
void view_apply(void *arg); /* struct view_update, freed here */
void view_drop(struct view_update *u);

#endif
