/* The resolver with lookups that do what the test says: joined, bounded, remembered, refreshed, left hanging. */
#include "resolve_harness.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>

/* ---- the tests ---------------------------------------------------------------------------------------------- */

static void one_lookup_for_all(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){0});
    struct side *sides[3];
    struct asker askers[30];

    for (int i = 0; i < 3; i++)
        sides[i] = side_new(r);
    for (int i = 0; i < 30; i++)
        assert_int_equal(ask(sides[i % 3], &askers[i], i % 2 ? "slow.example" : "SLOW.Example"), NAME_WAIT);
    for (int i = 0; i < 30; i++)
        finish(sides[i % 3], &askers[i]);
    for (int i = 3; i < 30; i++)
        assert_true(askers[i].order > askers[i - 3].order); /* first come, first told */
    assert_int_equal(askers[0].last, 1);
    assert_int_equal(atomic_load(&lookups), 1);
    assert_int_equal(ask(sides[1], &askers[0], "slow.example"), NAME_FOUND);
    assert_int_equal(askers[0].last, 1);
    struct side *late = side_new(r); /* the shared answer serves a worker that never asked */
    assert_int_equal(ask(late, &askers[0], "slow.example"), NAME_FOUND);
    assert_int_equal(atomic_load(&lookups), 1);
    side_free(late);
    for (int i = 0; i < 3; i++)
        side_free(sides[i]);
    resolver_free(r);
}

static void literals_need_no_thread(void **state)
{
    static const struct {
        const char *name;
        unsigned last;
        size_t n;
    } rows[] = {{"192.0.2.7", 7, 1}, {"2001:db8::1", 1000, 1}, {"localhost", 1000, 2}, {"a.localhost.", 1000, 2}};
    struct resolver *r = resolver_of((struct resolver_options){0});
    struct side *s = side_new(r);
    struct asker a;

    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            assert_int_equal(ask(s, &a, rows[i].name), NAME_FOUND);
            assert_int_equal(a.last, rows[i].last);
            assert_int_equal(a.n, rows[i].n);
        }
    assert_int_equal(ask(s, &a, ""), NAME_FAILED);
    char longer[300];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    assert_int_equal(ask(s, &a, longer), NAME_FAILED);
    assert_int_equal(atomic_load(&lookups), 0);
    side_free(s);
    resolver_free(r);
}

static void failures_have_their_words(void **state)
{
    static const char *const rows[][2] = {{"none.example", "no such host"},
                                          {"empty.example", "no such host"},
                                          {"again.example", "the name lookup failed"}};
    struct resolver *r = resolver_of((struct resolver_options){0});
    struct side *s = side_new(r);
    struct asker a;

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask(s, &a, rows[i][0]), NAME_WAIT);
        finish(s, &a);
        assert_string_equal(a.why, rows[i][1]);
        assert_int_equal(ask(s, &a, rows[i][0]), NAME_FAILED); /* remembered */
        assert_string_equal(a.why, rows[i][1]);
    }
    assert_int_equal(atomic_load(&lookups), 3);
    assert_int_equal(ask(s, &a, "many.example"), NAME_WAIT);
    finish(s, &a);
    assert_int_equal(a.n, RESOLVE_ADDRESSES_MAX);
    side_free(s);
    resolver_free(r);
}

static void failures_are_forgotten_soon(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){.negative_ttl_ms = 400});
    struct side *s = side_new(r);
    struct asker a;

    atomic_store(&flip, EAI_NONAME);
    ask(s, &a, "flip.example");
    finish(s, &a);
    assert_int_equal(ask(s, &a, "flip.example"), NAME_FAILED);
    usleep(410 * 1000);
    atomic_store(&flip, 9);
    assert_int_equal(ask(s, &a, "flip.example"), NAME_WAIT);
    finish(s, &a);
    assert_int_equal(a.last, 9);
    side_free(s);
    resolver_free(r);
}

static unsigned ask_until(struct side *s, unsigned wanted)
{
    struct asker a;

    for (uint64_t end = clock_ms() + 5000; clock_ms() < end;) {
        enum name_answer answer = ask(s, &a, "flip.example");
        if (answer == NAME_WAIT) /* an answer that was there serves until the new one has come */
            host_names_cancel(&a.wait);
        assert_int_not_equal(answer, NAME_WAIT);
        if (a.last == wanted)
            return a.last;
        turn(s, 5);
    }
    return a.last;
}

static void answers_age_and_are_replaced(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){.ttl_ms = 40, .negative_ttl_ms = 10});
    struct side *s = side_new(r);
    struct asker a;

    atomic_store(&flip, 1);
    ask(s, &a, "flip.example");
    finish(s, &a);
    assert_int_equal(ask(s, &a, "flip.example"), NAME_FOUND);
    atomic_store(&flip, 2);
    assert_int_equal(ask_until(s, 2), 2);
    atomic_store(&flip, EAI_AGAIN); /* a name server that fails takes nothing away ... */
    unsigned before = atomic_load(&lookups);
    for (uint64_t end = clock_ms() + 150; clock_ms() < end; turn(s, 5)) {
        assert_int_equal(ask(s, &a, "flip.example"), NAME_FOUND);
        assert_int_equal(a.last, 2);
    }
    assert_true(atomic_load(&lookups) > before + 1);
    atomic_store(&flip, EAI_NONAME); /* ... one that says that the host is gone does */
    assert_int_equal(ask_until(s, 0), 0);
    side_free(s);
    resolver_free(r);
}

static void threads_and_queue_are_bounded(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){.threads = 3, .queue = 4});
    struct side *s = side_new(r);
    struct asker askers[10];
    char name[32];
    unsigned busy = 0;

    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "held%d.example", i);
        if (ask(s, &askers[i], name) == NAME_FAILED) {
            assert_string_equal(askers[i].why, "too many name lookups are waiting");
            assert_true(i >= 7);
            busy++;
        }
    }
    assert_int_equal(busy, 3);
    wait_inside(3);
    assert_int_equal(ask(s, &askers[9], "held9.example"), NAME_FAILED); /* a full queue is not remembered for long */
    host_names_cancel(&askers[6].wait); /* nobody wants it: it leaves the queue and makes room */
    assert_int_equal(ask(s, &askers[9], "held9.example"), NAME_WAIT);
    atomic_store(&gate, true);
    for (int i = 0; i < 6; i++)
        finish(s, &askers[i]);
    finish(s, &askers[9]);
    assert_int_equal(askers[6].dones, 0);
    assert_int_equal(atomic_load(&most_inside), 3);
    assert_int_equal(atomic_load(&lookups), 7);
    side_free(s);
    resolver_free(r);
}

static void a_slow_name_delays_no_other(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){.threads = 2});
    struct side *s = side_new(r);
    struct asker held, quick;
    uint64_t longest = 0;

    assert_int_equal(ask(s, &held, "held.example"), NAME_WAIT);
    wait_inside(1);
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof(name), "quick%d.example", i);
        uint64_t began = clock_ms();
        assert_int_equal(ask(s, &quick, name), NAME_WAIT);
        finish(s, &quick);
        longest = clock_ms() - began > longest ? clock_ms() - began : longest;
    }
    assert_int_equal(held.dones, 0);
    assert_true(longest < 1000);
    host_names_cancel(&held.wait);
    atomic_store(&gate, true);
    side_free(s);
    resolver_free(r);
}

static void cancel_in_every_place(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){.threads = 1});
    struct side *s = side_new(r);
    struct asker a, b, c, d;

    a = (struct asker){.wait.done = on_done};
    host_names_cancel(&a.wait);
    ask(s, &a, "held.example"); /* runs */
    wait_inside(1);
    ask(s, &b, "held.example");
    ask(s, &c, "held.example");
    ask(s, &d, "next.example"); /* queued */
    host_names_cancel(&b.wait);
    host_names_cancel(&b.wait);
    host_names_cancel(&d.wait);
    a.cancels = &c; /* inside the done of another */
    atomic_store(&gate, true);
    finish(s, &a);
    turn(s, 50);
    assert_int_equal(b.dones + c.dones + d.dones, 0);
    assert_int_equal(atomic_load(&lookups), 1);
    /* The answer lies in the mailbox when its last waiter goes. */
    assert_int_equal(ask(s, &d, "next.example"), NAME_WAIT);
    for (unsigned ms = 0; atomic_load(&lookups) != 2 && ms < 10000; ms++)
        usleep(1000);
    wait_inside(0);
    usleep(20 * 1000);
    host_names_cancel(&d.wait);
    turn(s, 50);
    assert_int_equal(d.dones, 0);
    assert_int_equal(ask(s, &d, "next.example"), NAME_FOUND);
    side_free(s);
    resolver_free(r);
}

static void many_names_do_not_pile_up(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){0});
    struct side *s = side_new(r);
    struct asker a;
    char name[32];

    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "n%d.example", i);
        if (ask(s, &a, name) == NAME_WAIT)
            finish(s, &a);
        assert_int_equal(a.last, 1);
    }
    side_free(s);
    resolver_free(r);
}

static void nobody_waits_for_a_lookup_that_hangs(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){.ttl_ms = 1});
    struct side *s = side_new(r);
    struct asker a;
    uint64_t began = clock_us();

    ask(s, &a, "held.example");
    wait_inside(1);
    began = clock_us();
    host_names_cancel(&a.wait);
    side_free(s);
    resolver_free(r);
    assert_true(clock_us() - began < 1000 * 1000);
    assert_int_equal(atomic_load(&inside), 1);
    atomic_store(&gate, true); /* the thread frees what is left; leak and thread checkers look */
    wait_inside(0);
    usleep(50 * 1000);
}

/* Threads of this process that are called so. */
static unsigned threads_named(const char *wanted)
{
    char path[300], text[32];
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");

    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        n += f != NULL && fgets(text, sizeof(text), f) != NULL && strncmp(text, wanted, strlen(wanted)) == 0;
        if (f != NULL)
            fclose(f);
    }
    closedir(dir);
    return n;
}

static void threads_are_made_when_needed_and_leave(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){0});
    struct side *s = side_new(r);
    struct asker a;

    for (unsigned ms = 0; threads_named("resolver") != 0 && ms < 5000; ms++)
        usleep(1000); /* those of earlier tests */
    assert_int_equal(threads_named("resolver"), 0);
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%d.example", i);
        ask(s, &a, name);
        finish(s, &a);
    }
    assert_in_range(threads_named("resolver"), 1, 2); /* idle ones are used again */
    side_free(s);
    resolver_free(r);
    for (unsigned ms = 0; threads_named("resolver") != 0 && ms < 5000; ms++)
        usleep(1000);
    assert_int_equal(threads_named("resolver"), 0);
}

/* Two threads with a names each, asking and cancelling; for the thread checker. */
static void *hammer(void *arg)
{
    struct side *s = side_new(arg);
    struct asker askers[8] = {0};
    unsigned seed = (unsigned)(uintptr_t)s;

    for (int i = 0; i < 3000; i++) {
        struct asker *a = &askers[rand_r(&seed) % 8];
        char name[32];
        snprintf(name, sizeof(name), rand_r(&seed) % 4 ? "n%d.example" : "none%d.example", rand_r(&seed) % 50);
        host_names_cancel(&a->wait);
        ask(s, a, name);
        if (i % 3 == 0)
            turn(s, 0);
    }
    for (int i = 0; i < 8; i++)
        host_names_cancel(&askers[i].wait);
    side_free(s);
    return NULL;
}

static void two_workers_at_once(void **state)
{
    struct resolver *r = resolver_of((struct resolver_options){.ttl_ms = 3, .negative_ttl_ms = 1, .threads = 4});
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, r), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&most_inside) <= 4);
    resolver_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_lookup_for_all),
        cmocka_unit_test(literals_need_no_thread),
        cmocka_unit_test(failures_have_their_words),
        cmocka_unit_test(failures_are_forgotten_soon),
        cmocka_unit_test(answers_age_and_are_replaced),
        cmocka_unit_test(threads_and_queue_are_bounded),
        cmocka_unit_test(a_slow_name_delays_no_other),
        cmocka_unit_test(cancel_in_every_place),
        cmocka_unit_test(many_names_do_not_pile_up),
        cmocka_unit_test(nobody_waits_for_a_lookup_that_hangs),
        cmocka_unit_test(threads_are_made_when_needed_and_leave),
        cmocka_unit_test(two_workers_at_once),
    };
    return cmocka_run_group_tests_name("upstream/resolve", tests, NULL, NULL);
}
