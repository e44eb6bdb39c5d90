/*
 * Tasks: when they run, back off, and what is said of them; the setting that changes their intervals.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "support_executor.h"

static atomic_uint runs, at_once, most_at_once;
static atomic_bool fails;

static bool work(void *self, struct ccp_span *why)
{
    unsigned n = atomic_fetch_add(&at_once, 1) + 1;
    if (n > atomic_load(&most_at_once))
        atomic_store(&most_at_once, n);
    test_sleep_ms(10);
    atomic_fetch_sub(&at_once, 1);
    atomic_fetch_add(&runs, 1);
    *why = CCP_SPAN("no \x1b[31mluck");
    return !atomic_load(&fails);
}

static const struct ccp_task table[] = {
    {.name = "often", .interval_ms = 20, .first_ms = 1, .backoff_max_ms = 160, .run = work},
    {.name = "asleep", .interval_ms = 20, .off = true, .run = work},
    {.name = "never", .off = true, .run = work},
    {.name = NULL},
};
static const struct ccp_plugin plugin = {.name = "worker", .version = "1.0.0", .tasks = table};

static struct executor *started(void)
{
    struct executor *e = executor_new(&(struct executor_port){.stuck_ms = 5000});
    assert_true(executor_start(e));
    atomic_store(&runs, 0);
    atomic_store(&most_at_once, 0);
    return e;
}

static bool enough(void *arg)
{
    return atomic_load(&runs) >= 8;
}

static void at_its_interval_and_one_at_a_time(void **state)
{
    struct task_report r[4];
    struct executor *e = started();
    atomic_store(&fails, false);
    uint64_t began = clock_ms();
    struct plugin_unit *u = test_unit(e, &plugin, NULL);
    assert_true(test_until(enough, NULL, 5000));
    assert_true(clock_ms() - began >= 7 * 30); /* 20 ms from the end of one to the next, which takes 10 */
    assert_int_equal(most_at_once, 1);
    assert_int_equal(executor_tasks(e, u, r, 4), 3);
    assert_true(r[0].on && r[0].ok && r[0].runs >= 7 && r[0].failures == 0 && r[0].interval_ms == 20);
    assert_true(r[0].last_ms >= 9 && r[0].last_unix_us != 0);
    assert_false(r[1].on || r[2].on);
    assert_int_equal(r[1].next_unix_us, 0);
    unit_unref(u);
    executor_stop(e, 1000);
    unsigned after = atomic_load(&runs);
    test_sleep_ms(60);
    assert_int_equal(atomic_load(&runs), after);
    executor_free(e);
}

static bool five(void *arg)
{
    return atomic_load(&runs) >= 5;
}

static bool tripped(void *u)
{
    return !unit_callable(u);
}

static void backs_off_and_says_why(void **state)
{
    struct task_report r[4];
    struct executor *e = started();
    atomic_store(&fails, true);
    struct plugin_unit *u = test_unit_weak(e, &plugin, 100);
    uint64_t began = clock_ms();
    assert_true(test_until(five, NULL, 5000));
    assert_true(clock_ms() - began >= 5 * 10 + 40 + 80 + 160 + 160); /* the waits double up to 160 ms */
    executor_tasks(e, u, r, 4);
    assert_in_range(r[0].runs, 4, 6); /* a run is counted a moment after its function returned */
    assert_int_equal(r[0].failures, r[0].runs);
    assert_false(r[0].ok);
    assert_string_equal(r[0].why, "no \\x1b[31mluck");
    assert_true(u->guard.failed >= r[0].failures);
    atomic_store(&fails, false);
    atomic_store(&runs, 0);
    assert_true(test_until(enough, NULL, 2000)); /* one that succeeds restores the interval */
    unit_unref(u);
    executor_stop(e, 1000);
    executor_free(e);
}

static void a_disabled_plugin_has_no_tasks(void **state)
{
    struct task_report r[4];
    struct executor *e = started();
    atomic_store(&fails, true);
    struct plugin_unit *u = test_unit_weak(e, &plugin, 2);
    assert_true(test_until(tripped, u, 5000));
    test_sleep_ms(200);
    assert_int_equal(atomic_load(&runs), 2);
    executor_tasks(e, u, r, 4);
    assert_int_equal(r[0].next_unix_us, 0);
    unit_unref(u);
    executor_stop(e, 1000);
    executor_free(e);
}

static struct ccp_map setting(struct ccp_header *room, const char *name, const char *value)
{
    *room = (struct ccp_header){ccp_span_z(name), ccp_span_z(value)};
    return (struct ccp_map){room, 1};
}

static void the_setting(void **state)
{
    static const struct {
        int task;
        const char *name, *value;
        uint64_t ms;
        bool wrong;
    } rows[] = {
        {0, "often", "off", 0, false},    {0, "often", "on", 20, false},         {0, "often", "5m", 300000, false},
        {0, "often", "90", 90000, false}, {0, "often", "1h30m", 5400000, false}, {0, "other", "5m", 20, false},
        {1, "asleep", "on", 20, false},   {1, "asleep", "2s", 2000, false},      {1, "x", "", 0, false},
        {2, "never", "on", 0, true},      {2, "never", "1s", 1000, false},       {0, "often", "soon", 0, true},
        {0, "often", "", 0, true},        {0, "often", "1ms", 0, true},          {0, "often", "9000h", 0, true},
        {0, "often", "-5s", 0, true},     {0, "often", "On", 0, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ccp_header room;
        struct ccp_map map = setting(&room, rows[i].name, rows[i].value);
        uint64_t ms;
        const char *wrong = task_interval(&table[rows[i].task], &map, &ms);
        if ((wrong != NULL) != rows[i].wrong || (wrong == NULL && ms != rows[i].ms))
            fail_msg("%s = %s: %s, %llu ms", rows[i].name, rows[i].value, wrong, (unsigned long long)ms);
    }
}

static void the_setting_wakes_a_task(void **state)
{
    struct ccp_header room;
    struct ccp_map map = setting(&room, "asleep", "on");
    struct task_report r[4];
    struct executor *e = started();
    atomic_store(&fails, false);
    struct plugin_unit *u = test_unit(e, &plugin, &map);
    assert_true(test_until(enough, NULL, 5000));
    executor_tasks(e, u, r, 4);
    assert_true(r[1].on && r[1].runs != 0);
    unit_unref(u);
    executor_stop(e, 1000);
    executor_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_its_interval_and_one_at_a_time), cmocka_unit_test(backs_off_and_says_why),
        cmocka_unit_test(a_disabled_plugin_has_no_tasks),    cmocka_unit_test(the_setting),
        cmocka_unit_test(the_setting_wakes_a_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
