/*
 * Ends that go wrong: a `close` that does not return, while the server runs and after its stop; an `open` that fails
 * with work of its own under way; a hook in line that comes back after its runtime is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support_executor.h"

static struct executor *started(uint64_t stuck_ms)
{
    struct executor *e = executor_new(&(struct executor_port){.stuck_ms = stuck_ms});
    assert_non_null(e);
    assert_true(executor_start(e));
    return e;
}

static atomic_bool released;
static atomic_uint entered, left;

static void wait_for_release(void)
{
    atomic_fetch_add(&entered, 1);
    while (!atomic_load(&released))
        test_sleep_ms(2);
    atomic_fetch_add(&left, 1);
}

static void again(void)
{
    atomic_store(&released, false);
    atomic_store(&entered, 0);
    atomic_store(&left, 0);
}

static bool one_stuck(void *e)
{
    return executor_figures(e).stuck == 1;
}
static bool one_left(void *arg)
{
    return atomic_load(&left) == 1;
}

static bool both_left(void *arg)
{
    return atomic_load(&left) == 2;
}

/* -- close -- */

static void *open_it(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    return &entered;
}
static void close_later(void *self)
{
    wait_for_release();
}
static const struct ccp_plugin slow = {.name = "slow", .version = "1.0.0", .open = open_it, .close = close_later};

static void a_stuck_close_is_given_up(void **state)
{
    again();
    struct executor *e = started(100);
    struct plugin_unit *u = test_unit(e, &slow, NULL);
    assert_non_null(u);
    unit_unref(u);
    assert_true(test_until(one_stuck, e, 3000));
    atomic_store(&released, true);
    assert_true(test_until(one_left, NULL, 3000));
    executor_stop(e, 3000);
    executor_free(e);
}

static void a_stuck_close_does_not_hold_up_the_end(void **state)
{
    again();
    static struct executor *e; /* it and the unit stay in memory */
    static struct plugin_unit *u;
    e = started(150);
    u = test_unit(e, &slow, NULL);
    struct plugin_unit *other = test_unit(e, &slow, NULL);
    executor_stop(e, 1000);
    uint64_t began = clock_ms();
    unit_unref(u); /* as main does at the end */
    assert_in_range(clock_ms() - began, 140, 3000);
    assert_int_equal(atomic_load(&entered), 1);
    assert_int_equal(atomic_load(&left), 0);
    atomic_store(&released, true);
    unit_unref(other); /* this one returns */
    assert_int_equal(atomic_load(&entered), 2);
    assert_true(test_until(both_left, NULL, 3000));
    executor_free(e); /* leaves it: the thread could still have come back to it */
    assert_true(unit_of(&u->env) == u);
}

/* -- open -- */

static atomic_uint done;

static void run(void *arg)
{
    wait_for_release();
}
static void then(void *arg, struct ccp_exchange *x)
{
    assert_null(x);
    atomic_fetch_add(&done, 1);
}
static bool all_done(void *n)
{
    return atomic_load(&done) == *(unsigned *)n;
}

static struct executor *during_open;
enum { PIECES = 12 }; /* more than there are threads: the last ones wait */

static void *begin_and_fail(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    for (int i = 0; i < PIECES; i++)
        assert_non_null(
            executor_work(during_open, unit_of(env), &(struct executor_piece){SIZE_MAX, run, then, NULL, NULL, NULL}));
    *why = CCP_SPAN("no");
    return NULL;
}

static void a_failed_open_with_work_under_way(void **state)
{
    static const struct ccp_plugin hasty = {.name = "hasty", .version = "1.0.0", .open = begin_and_fail};
    unsigned all = PIECES;
    again();
    atomic_store(&done, 0);
    struct executor *e = during_open = started(10000);
    assert_null(test_unit(e, &hasty, NULL));
    atomic_store(&released, true);
    assert_true(test_until(all_done, &all, 5000));
    assert_in_range(atomic_load(&left), 0, POOL_THREADS); /* what had not begun was left out */
    executor_stop(e, 3000);
    executor_free(e);
}

/* -- a hook in line, on the hooks' thread -- */

static bool late(void *self, enum ccp_event event, struct ccp_exchange *x, const struct ccp_moment *m)
{
    wait_for_release();
    return true;
}
static bool let_go(void *rt)
{
    return atomic_load(&((struct runtime *)rt)->refs) == 1000000;
}

static void a_hook_comes_back_after_its_runtime(void **state)
{
    static const struct ccp_hook hook = {.name = "late", .events = CCP_HEARS(CUSTOM), .on_event = late};
    static const struct ccp_plugin plain = {.name = "plain", .version = "1.0.0"};
    struct test_runtime *t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);
    again();
    test_runtime_init(t);
    struct executor *e = started(100);
    struct plugin_unit *u = test_unit(e, &plain, NULL);
    test_runtime_hook(t, &hook, NULL, u);
    executor_set_runtime(e, &t->rt);
    struct ccp_moment m = {.size = sizeof(m), .name = CCP_SPAN("custom.a")};
    struct ccp_event_info info = {
        .size = sizeof(info), .event = CCP_EVENT_CUSTOM, .dotted = CCP_SPAN("custom.a"), .moment = &m};
    assert_true(executor_announce(e, &info));
    assert_true(test_until(one_stuck, e, 3000));
    executor_set_runtime(e, NULL); /* a reload */
    assert_true(test_until(let_go, &t->rt, 3000));
    free(t);
    atomic_store(&released, true);
    assert_true(test_until(one_left, NULL, 3000));
    unit_unref(u);
    executor_stop(e, 3000);
    executor_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stuck_close_is_given_up),
        cmocka_unit_test(a_failed_open_with_work_under_way),
        cmocka_unit_test(a_hook_comes_back_after_its_runtime),
        cmocka_unit_test(a_stuck_close_does_not_hold_up_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
