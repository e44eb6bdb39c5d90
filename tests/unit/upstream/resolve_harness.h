/*
 * Lookups that do what a name says, and a worker's side of the resolver in miniature that asks for such names.
 */
#ifndef TEST_UPSTREAM_RESOLVE_HARNESS_H
#define TEST_UPSTREAM_RESOLVE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <base/clock.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <upstream/resolve.h>

/* ---- lookups as told: the name says what happens ------------------------------------------------------------ */

static atomic_uint lookups, inside, most_inside; /* calls; at once */
static atomic_bool gate;                         /* open: "held…" returns */
static atomic_int flip;                          /* last byte of what "flip…" gives; < 0: that error code */

static void enter(void)
{
    unsigned now = atomic_fetch_add(&inside, 1) + 1, most = atomic_load(&most_inside);

    atomic_fetch_add(&lookups, 1);
    while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now))
        ;
}

static struct addrinfo *entry(uint8_t last, struct addrinfo *next)
{
    struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (void *)(a + 1);

    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(99)};
    in->sin_addr.s_addr = htonl(0xc0000200u | last);
    a->ai_family = AF_INET;
    a->ai_addrlen = sizeof(*in);
    a->ai_addr = (struct sockaddr *)in;
    a->ai_next = next;
    return a;
}

static int as_told(const char *host, const struct addrinfo *hints, struct addrinfo **out)
{
    int code, last = atomic_load(&flip);

    enter();
    code = hints->ai_socktype == SOCK_STREAM ? 0 : EAI_SOCKTYPE;
    if (strncmp(host, "slow", 4) == 0)
        usleep(100 * 1000);
    for (unsigned ms = 0; strncmp(host, "held", 4) == 0 && !atomic_load(&gate) && ms < 20000; ms++)
        usleep(1000);
    if (strncmp(host, "none", 4) == 0)
        code = EAI_NONAME;
    else if (strncmp(host, "again", 5) == 0)
        code = EAI_AGAIN;
    else if (strncmp(host, "flip", 4) == 0)
        code = last < 0 ? last : 0;
    *out = NULL;
    for (int i = strncmp(host, "many", 4) == 0 ? 20 : 1; code == 0 && strncmp(host, "empty", 5) != 0 && i > 0; i--)
        *out = entry(strncmp(host, "flip", 4) == 0 ? (uint8_t)last : (uint8_t)i, *out);
    atomic_fetch_sub(&inside, 1);
    return code;
}

static void release(struct addrinfo *list)
{
    for (struct addrinfo *next; list != NULL; list = next) {
        next = list->ai_next;
        free(list);
    }
}

/* ---- a worker in miniature ---------------------------------------------------------------------------------- */

struct side {
    struct loop loop;
    struct host_names *names;
};

struct asker {
    struct name_wait wait;
    int dones;
    unsigned last; /* last byte of the first address; 0 = none */
    size_t n;
    const char *why;
    struct asker *cancels; /* in its done */
    unsigned order;
};

static atomic_uint order;

static void no_wake(struct loop *loop)
{
    (void)loop;
}

static void keep(struct asker *a, struct addresses *found, const char *why)
{
    a->why = why;
    a->n = found != NULL ? found->n : 0;
    a->last = 0;
    if (found == NULL)
        return;
    struct sockaddr_in *in = (void *)&found->v[0].addr;
    a->last = in->sin_family == AF_INET ? ntohl(in->sin_addr.s_addr) & 0xff : 1000;
    assert_int_equal(in->sin_port, 0);
    addresses_unref(found);
}

static void on_done(struct name_wait *wait, struct addresses *found, const char *why)
{
    struct asker *a = (struct asker *)wait;

    a->dones++;
    a->order = atomic_fetch_add(&order, 1);
    keep(a, found, why);
    if (a->cancels != NULL)
        host_names_cancel(&a->cancels->wait);
}

static enum name_answer ask(struct side *s, struct asker *a, const char *name)
{
    struct addresses *found;
    const char *why;

    *a = (struct asker){.wait.done = on_done};
    s->loop.now_ms = clock_ms();
    enum name_answer answer = host_names_find(s->names, ccp_span_z(name), &a->wait, &found, &why);
    if (answer != NAME_WAIT)
        keep(a, found, why);
    assert_true(answer == NAME_WAIT || (found != NULL) == (answer == NAME_FOUND));
    return answer;
}

static void turn(struct side *s, int ms)
{
    struct pollfd p = {.fd = host_names_fd(s->names), .events = POLLIN};

    if (poll(&p, 1, ms) == 1) {
        s->loop.now_ms = clock_ms();
        host_names_ready(s->names);
    }
}

static void finish(struct side *s, struct asker *a)
{
    for (uint64_t end = clock_ms() + 10000; a->dones == 0 && clock_ms() < end;)
        turn(s, 20);
    assert_int_equal(a->dones, 1);
}

static struct side *side_new(struct resolver *r)
{
    struct side *s = calloc(1, sizeof(*s));

    loop_init(&s->loop, no_wake, s);
    s->names = host_names_new(r, &s->loop);
    assert_non_null(s->names);
    return s;
}

static void side_free(struct side *s)
{
    host_names_free(s->names);
    loop_release(&s->loop);
    free(s);
}

static void wait_inside(unsigned n)
{
    for (unsigned ms = 0; atomic_load(&inside) != n && ms < 10000; ms++)
        usleep(1000);
    assert_int_equal(atomic_load(&inside), n);
}

static struct resolver *resolver_of(struct resolver_options o)
{
    o.lookup = as_told;
    o.release = release;
    atomic_store(&gate, true); /* what an earlier test left hanging goes first */
    wait_inside(0);
    atomic_store(&lookups, 0);
    atomic_store(&most_inside, 0);
    atomic_store(&gate, false);
    struct resolver *r = resolver_new(&o);
    assert_non_null(r);
    return r;
}

#endif
