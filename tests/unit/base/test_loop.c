/*
 * Timers and tasks on a clock that the test moves: order, moving, stopping from callbacks, rounds of tasks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/clock.h>
#include <base/fault.h>
#include <base/loop.h>

static uint64_t now_us;
static struct loop loop;
static unsigned woken;
static char seen[4096];

static uint64_t fake_clock(void)
{
    return now_us;
}

static void wake(struct loop *l)
{
    woken++;
}

static void saw(char c)
{
    size_t n = strlen(seen);
    seen[n] = c;
    seen[n + 1] = '\0';
}

static void turn_at(uint64_t ms)
{
    now_us = ms * 1000;
    loop_turn(&loop);
}

static int start(void **state)
{
    now_us = 1000 * 1000;
    woken = 0;
    seen[0] = '\0';
    clock_replace(fake_clock, NULL);
    loop_init(&loop, wake, NULL);
    return 0;
}

static int end(void **state)
{
    loop_release(&loop);
    clock_replace(NULL, NULL);
    return 0;
}

struct named_timer {
    struct loop_timer t; /* first */
    char name;
    struct loop_timer *other;
    uint64_t again;
};

static void fire(struct loop_timer *t)
{
    saw(((struct named_timer *)t)->name);
}

static void fire_and_stop(struct loop_timer *t)
{
    fire(t);
    loop_timer_stop(&loop, ((struct named_timer *)t)->other);
}

static void fire_again(struct loop_timer *t)
{
    fire(t);
    assert_true(loop_timer_set(&loop, t, ((struct named_timer *)t)->again));
}

static void in_order(void **state)
{
    struct named_timer a = {{fire}, 'a'}, b = {{fire}, 'b'}, c = {{fire}, 'c'};
    assert_int_equal(loop_wait(&loop, 500), 500);
    loop_timer_set(&loop, &b.t, 20);
    loop_timer_set(&loop, &c.t, 30);
    loop_timer_set(&loop, &a.t, 10);
    assert_int_equal(loop_wait(&loop, 500), 10);
    assert_int_equal(loop_wait(&loop, 3), 3);
    turn_at(1009);
    assert_string_equal(seen, "");
    turn_at(1010);
    assert_string_equal(seen, "a");
    assert_int_equal(a.t.slot, 0);
    turn_at(1500);
    assert_string_equal(seen, "abc");
    assert_int_equal(loop_wait(&loop, 500), 500);
}

static void moved_and_stopped(void **state)
{
    struct named_timer a = {{fire}, 'a'}, b = {{fire}, 'b'};
    loop_timer_set(&loop, &a.t, 10);
    loop_timer_set(&loop, &b.t, 20);
    loop_timer_set(&loop, &a.t, 30);
    assert_int_equal(loop.heap_n, 2);
    turn_at(1025);
    assert_string_equal(seen, "b");
    loop_timer_stop(&loop, &a.t);
    loop_timer_stop(&loop, &a.t);
    turn_at(2000);
    assert_string_equal(seen, "b");
    loop_timer_set(&loop, &a.t, UINT64_MAX);
    assert_int_equal(a.t.due, UINT64_MAX);
    assert_int_equal(loop_wait(&loop, 77), 77);
    loop_timer_stop(&loop, &a.t);
}

static void stop_from_a_callback(void **state)
{
    struct named_timer b = {{fire}, 'b'}, a = {{fire_and_stop}, 'a', &b.t};
    loop_timer_set(&loop, &a.t, 10);
    loop_timer_set(&loop, &b.t, 10);
    turn_at(1010);
    /* both were due; whichever came first, `a` stopped the other and no one fired twice */
    assert_true(strcmp(seen, "a") == 0 || strcmp(seen, "ba") == 0);
    assert_int_equal(loop.heap_n, 0);
}

static void set_again_from_its_callback(void **state)
{
    struct named_timer a = {{fire_again}, 'a', NULL, 0};
    loop_timer_set(&loop, &a.t, 0);
    assert_int_equal(woken, 1);
    turn_at(1000); /* must end although the clock stands still and the timer asks for 0 ms */
    assert_string_equal(seen, "a");
    turn_at(1001);
    assert_string_equal(seen, "aa");
    a.again = 5;
    turn_at(1002);
    turn_at(1006);
    assert_string_equal(seen, "aaa");
    turn_at(1007);
    assert_string_equal(seen, "aaaa");
    loop_timer_stop(&loop, &a.t);
}

/* 500 timers, moved and stopped at random: they fire sorted, and exactly those that were left. */
static void many(void **state)
{
    static struct named_timer t[500];
    unsigned r = 12345;
    size_t left = 0;
    for (size_t i = 0; i < 500; i++)
        t[i] = (struct named_timer){{fire}, '.'};
    for (size_t i = 0; i < 5000; i++) {
        r = r * 1103515245u + 12345u;
        size_t which = (r >> 8) % 500;
        if ((r >> 20) % 4 == 0)
            loop_timer_stop(&loop, &t[which].t);
        else
            assert_true(loop_timer_set(&loop, &t[which].t, (r >> 4) % 1000));
        for (size_t k = 0; i % 500 == 0 && k < loop.heap_n; k++) {
            assert_int_equal(loop.heap[k]->slot, k + 1);
            if (k != 0)
                assert_true(loop.heap[(k - 1) / 2]->due <= loop.heap[k]->due);
        }
    }
    for (size_t i = 0; i < 500; i++)
        left += t[i].t.slot != 0;
    assert_true(left > 100);
    for (uint64_t ms = 1000; ms <= 2000; ms++) {
        turn_at(ms);
        for (size_t i = 0; i < 500; i++)
            assert_true(t[i].t.slot == 0 || t[i].t.due > ms);
    }
    assert_int_equal(strlen(seen), left);
}

struct named_task {
    struct loop_task t; /* first */
    char name;
    struct loop_task *other;
};

static void run(struct loop_task *t)
{
    saw(((struct named_task *)t)->name);
}

static void run_and_queue(struct loop_task *t)
{
    run(t);
    loop_soon(&loop, ((struct named_task *)t)->other);
}

static void run_and_cancel(struct loop_task *t)
{
    run(t);
    loop_task_cancel(&loop, ((struct named_task *)t)->other);
}

static void tasks_in_order(void **state)
{
    struct named_task a = {{run}, 'a'}, b = {{run}, 'b'}, c = {{run}, 'c'};
    loop_soon(&loop, &a.t);
    loop_soon(&loop, &b.t);
    loop_soon(&loop, &a.t);
    loop_soon(&loop, &c.t);
    assert_int_equal(woken, 3);
    assert_int_equal(loop_wait(&loop, 9), 0);
    loop_turn(&loop);
    assert_string_equal(seen, "abc");
    assert_int_equal(woken, 3); /* the turn itself asks for no further turn */
    loop_turn(&loop);
    assert_string_equal(seen, "abc");
    assert_int_equal(loop_wait(&loop, 9), 9);
}

static void queued_during_a_turn(void **state)
{
    struct named_task b = {{run}, 'b'}, a = {{run_and_queue}, 'a', &b.t}, self = {{run_and_queue}, 's'};
    self.other = &self.t;
    loop_soon(&loop, &a.t);
    loop_soon(&loop, &self.t);
    loop_turn(&loop);
    assert_string_equal(seen, "as");
    assert_int_equal(loop_wait(&loop, 9), 0);
    assert_int_equal(woken, 4);
    loop_turn(&loop);
    assert_string_equal(seen, "asbs");
    loop_task_cancel(&loop, &self.t);
    loop_turn(&loop);
    assert_string_equal(seen, "asbs");
}

static void cancelled(void **state)
{
    for (int which = 0; which < 3; which++) {
        struct named_task t[3] = {{{run}, 'a'}, {{run}, 'b'}, {{run}, 'c'}}, d = {{run}, 'd'};
        static const char *const want[] = {"bcd", "acd", "abd"};
        seen[0] = '\0';
        for (int i = 0; i < 3; i++)
            loop_soon(&loop, &t[i].t);
        loop_task_cancel(&loop, &t[which].t);
        loop_task_cancel(&loop, &t[which].t);
        loop_soon(&loop, &d.t);
        loop_turn(&loop);
        assert_string_equal(seen, want[which]);
    }
    struct named_task only = {{run}, 'x'};
    loop_soon(&loop, &only.t);
    loop_task_cancel(&loop, &only.t);
    assert_null(loop.first);
    assert_null(loop.last);
    assert_int_equal(loop_wait(&loop, 9), 9);
}

static void cancelled_by_a_task(void **state)
{
    struct named_task c = {{run}, 'c'}, a = {{run_and_cancel}, 'a', &c.t}, b = {{run}, 'b'};
    seen[0] = '\0';
    loop_soon(&loop, &a.t);
    loop_soon(&loop, &b.t);
    loop_soon(&loop, &c.t); /* the last before the round's end */
    loop_turn(&loop);
    assert_string_equal(seen, "ab");
    assert_null(loop.first);
    loop_soon(&loop, &b.t);
    loop_turn(&loop);
    assert_string_equal(seen, "abb");
}

struct timer_that_queues {
    struct loop_timer t; /* first */
    struct loop_task *task;
};

static void fire_queue(struct loop_timer *t)
{
    loop_soon(&loop, ((struct timer_that_queues *)t)->task);
}

static void a_timers_task_runs_in_the_same_turn(void **state)
{
    struct named_task a = {{run}, 'a'};
    struct timer_that_queues q = {{fire_queue}, &a.t};
    loop_timer_set(&loop, &q.t, 1);
    turn_at(1001);
    assert_string_equal(seen, "a");
}

#ifdef CCP_FAULTS
static void refused_memory(void **state)
{
    struct named_timer a = {{fire}, 'a'};
    fault_arm("loop.timer:1");
    assert_false(loop_timer_set(&loop, &a.t, 1));
    fault_arm(NULL);
    assert_int_equal(a.t.slot, 0);
    loop_timer_stop(&loop, &a.t);
    assert_true(loop_timer_set(&loop, &a.t, 1));
    turn_at(1001);
    assert_string_equal(seen, "a");
}
#endif

#define T(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(in_order),
        T(moved_and_stopped),
        T(stop_from_a_callback),
        T(set_again_from_its_callback),
        T(many),
        T(tasks_in_order),
        T(queued_during_a_turn),
        T(cancelled),
        T(cancelled_by_a_task),
        T(a_timers_task_runs_in_the_same_turn),
#ifdef CCP_FAULTS
        T(refused_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
