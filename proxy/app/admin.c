/*
 * The queue between the workers and the main thread: what requests ask to be changed, one at a time.
 *
 * A worker hands a job over under the lock and wakes main through an eventfd, which counts; main does one job for each
 * count and posts it back. A worker that has ended takes nothing back: then its job is dropped.
 */
#include <app/admin.h>

#include <base/fault.h>

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAITING_MAX = 64 };

struct admin {
    struct server *server;
    struct admin_port port;
    pthread_mutex_t lock;
    struct admin_job *first, **last; /* under the lock, like `waiting` */
    size_t waiting;
    int fd;
};

static bool submit(void *self, struct admin_job *job)
{
    struct admin *a = self;
    uint64_t one = 1;
    pthread_mutex_lock(&a->lock);
    bool room = a->waiting < WAITING_MAX && !CCP_FAULT("admin.submit");
    if (room) {
        job->next = NULL;
        *a->last = job;
        a->last = &job->next;
        a->waiting++;
    }
    pthread_mutex_unlock(&a->lock);
    /* cannot fail: the counter is never near its end, and the descriptor lives as long as the workers */
    return room && write(a->fd, &one, sizeof(one)) == sizeof(one);
}

static struct admin_job *take(struct admin *a)
{
    pthread_mutex_lock(&a->lock);
    struct admin_job *job = a->first;
    if (job != NULL) {
        a->first = job->next;
        a->waiting--;
        if (a->first == NULL)
            a->last = &a->first;
    }
    pthread_mutex_unlock(&a->lock);
    return job;
}

bool admin_open(struct server *s)
{
    struct admin *a = CCP_FAULT("admin.open") ? NULL : calloc(1, sizeof(*a));
    if (a == NULL)
        return false;
    *a = (struct admin){.server = s, .port = {submit, a}, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)};
    a->last = &a->first;
    pthread_mutex_init(&a->lock, NULL);
    s->admin = a;
    return a->fd >= 0;
}

int admin_fd(const struct admin *a)
{
    return a->fd;
}

const struct admin_port *admin_port_of(const struct admin *a)
{
    return &a->port;
}

void admin_turn(struct admin *a)
{
    uint64_t one;
    struct admin_job *job = read(a->fd, &one, sizeof(one)) == sizeof(one) ? take(a) : NULL;
    if (job == NULL)
        return;
    admin_do(a->server, job);
    if (!http_worker_post(a->server->workers[job->worker].http, admin_answered, job))
        admin_drop(job);
}

void admin_close(struct server *s)
{
    struct admin *a = s->admin;
    if (a == NULL)
        return;
    for (struct admin_job *job = take(a); job != NULL; job = take(a))
        admin_drop(job);
    if (a->fd >= 0)
        close(a->fd);
    pthread_mutex_destroy(&a->lock);
    free(a);
    s->admin = NULL;
}
