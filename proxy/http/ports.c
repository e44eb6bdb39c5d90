/*
 * The ways into a worker from outside of h2o: descriptors watched for others (the upstream's epoll set), and
 * calls posted by other threads.
 */
#include <http/http_impl.h>

#include <base/fault.h>
#include <base/log.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static void on_watched(h2o_socket_t *sock, const char *err)
{
    struct watch *watch = sock->data;
    loop_works(&watch->w->loop); /* the loop may have slept since its last turn */
    watch->ready(watch->arg);
}

bool http_worker_watch(struct http_worker *w, int fd, void (*ready)(void *arg), void *arg)
{
    if (w->watch_n == HTTP_MAX_WATCHES || CCP_FAULT("http.watch"))
        return false;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* h2o closes what it is given */
    if (copy < 0)
        return false;
    struct watch *watch = &w->watches[w->watch_n++];
    *watch = (struct watch){.w = w, .ready = ready, .arg = arg};
    watch->sock = h2o_evloop_socket_create(w->evloop, copy, H2O_SOCKET_FLAG_DONT_READ);
    watch->sock->data = watch;
    h2o_socket_read_start(watch->sock, on_watched);
    return true;
}

static struct post *take_posts(struct http_worker *w, bool last)
{
    pthread_mutex_lock(&w->post_lock);
    struct post *list = w->posts;
    w->posts = NULL;
    w->posts_last = &w->posts;
    w->ended = w->ended || last;
    pthread_mutex_unlock(&w->post_lock);
    return list;
}

void ports_run_posts(struct http_worker *w, bool last)
{
    for (struct post *p = take_posts(w, last); p != NULL;) {
        struct post *next = p->next;
        p->fn(p->arg);
        free(p);
        p = next;
    }
}

static void on_posted(void *arg)
{
    struct http_worker *w = arg;
    uint64_t count;
    if (read(w->post_fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
        log_error("http", "eventfd: %s", strerror(errno));
    ports_run_posts(w, false);
}

void ports_wake(struct http_worker *w)
{
    uint64_t one = 1;
    if (write(w->post_fd, &one, sizeof(one)) < 0) { /* full: the reader is awake anyway */
    }
}

bool http_worker_post(struct http_worker *w, void (*fn)(void *arg), void *arg)
{
    struct post *p = CCP_FAULT("http.post") ? NULL : malloc(sizeof(*p));
    if (p == NULL)
        return false;
    *p = (struct post){.fn = fn, .arg = arg};
    pthread_mutex_lock(&w->post_lock);
    bool taken = !w->ended;
    if (taken) {
        *w->posts_last = p;
        w->posts_last = &p->next;
        ports_wake(w);
    }
    pthread_mutex_unlock(&w->post_lock);
    if (!taken)
        free(p);
    return taken;
}

bool ports_open(struct http_worker *w)
{
    w->gone_ep = epoll_create1(EPOLL_CLOEXEC);
    w->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->gone_ep >= 0 && w->post_fd >= 0 && http_worker_watch(w, w->gone_ep, conn_ready_gone, w) &&
           http_worker_watch(w, w->post_fd, on_posted, w);
}

void ports_close(struct http_worker *w)
{
    for (size_t i = 0; i < w->watch_n; i++)
        h2o_socket_close(w->watches[i].sock);
    w->watch_n = 0;
    if (w->gone_ep >= 0)
        close(w->gone_ep);
    if (w->post_fd >= 0)
        close(w->post_fd);
}
