/*
 * The threads that wait for getaddrinfo, so that nobody else has to.
 *
 * Made when a lookup finds none idle, up to the cap; each ends after IDLE_SECONDS without work. They are detached:
 * getaddrinfo cannot be interrupted, so neither a worker's end nor the program's may wait for one. A thread
 * touches nothing but the resolver, which it helps to hold. All signals are blocked in it.
 */
#include <upstream/resolve_impl.h>

#include <base/fault.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    IDLE_SECONDS = 10,
    STACK_BYTES = 512 * 1024, /* name service modules run on it; only touched pages cost memory */
};

static bool usable(const struct addrinfo *a)
{
    return (a->ai_family == AF_INET && a->ai_addrlen == sizeof(struct sockaddr_in)) ||
           (a->ai_family == AF_INET6 && a->ai_addrlen == sizeof(struct sockaddr_in6));
}

static void copy_one(struct address *to, const struct addrinfo *from)
{
    memcpy(&to->addr, from->ai_addr, from->ai_addrlen);
    to->len = from->ai_addrlen;
    if (from->ai_family == AF_INET)
        ((struct sockaddr_in *)&to->addr)->sin_port = 0;
    else
        ((struct sockaddr_in6 *)&to->addr)->sin6_port = 0;
}

struct addresses *addresses_copy(const struct addrinfo *list, const char **why)
{
    size_t n = 0;

    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        n += usable(a);
    n = n < RESOLVE_ADDRESSES_MAX ? n : RESOLVE_ADDRESSES_MAX;
    *why = n == 0 ? resolve_no_host : resolve_no_memory;
    struct addresses *out =
        n == 0 || CCP_FAULT("resolve.addresses") ? NULL : calloc(1, sizeof(*out) + n * sizeof(struct address));
    if (out == NULL)
        return NULL;
    *why = NULL;
    out->refs = 1;
    for (const struct addrinfo *a = list; out->n < n; a = a->ai_next)
        if (usable(a))
            copy_one(&out->v[out->n++], a);
    return out;
}

/* A name that does not exist, against a lookup that went wrong and may go well the next time. */
static const char *reason(int code)
{
    return code == EAI_NONAME || code == EAI_NODATA ? resolve_no_host : resolve_failed;
}

static struct addresses *look_up(const struct resolver_options *o, const char *name, const char **why)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int code = CCP_FAULT("resolve.system") ? EAI_AGAIN : o->lookup(name, &hints, &list);

    if (code != 0) {
        *why = reason(code);
        return NULL;
    }
    struct addresses *found = addresses_copy(list, why);
    if (list != NULL)
        o->release(list);
    return found;
}

/* False = nothing came for a while. Lock held. */
static bool wait_for_work(struct resolver *r)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    r->idle++;
    while (r->first == NULL && !r->closing && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&r->work, &r->lock, &until);
    r->idle--;
    return r->first != NULL;
}

static void *run(void *arg)
{
    struct resolver *r = arg;
    struct lookup *l;

    pthread_setname_np(pthread_self(), "resolver");
    pthread_mutex_lock(&r->lock);
    do {
        while ((l = resolver_next(r)) != NULL) {
            const char *why = NULL;
            pthread_mutex_unlock(&r->lock);
            struct addresses *found = look_up(&r->options, l->name, &why);
            pthread_mutex_lock(&r->lock);
            resolver_settle(r, l, found, why);
        }
    } while (wait_for_work(r));
    r->threads--;
    resolver_let_go(r);
    return NULL;
}

static bool spawn(struct resolver *r)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setsigmask_np(&attributes, &all);
    bool made = !CCP_FAULT("resolve.thread") && pthread_create(&thread, &attributes, run, r) == 0;
    pthread_attr_destroy(&attributes);
    if (made) {
        r->threads++;
        r->holders++;
    }
    return made;
}

bool resolver_staff(struct resolver *r)
{
    if (r->queued > r->idle && r->threads < r->options.threads)
        return spawn(r) || r->threads != 0;
    pthread_cond_signal(&r->work);
    return true;
}
