/*
 * Lines of one kind: a hundred in a second, whoever writes them; the rest is counted exactly and told once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/clock.h>
#include <base/log_impl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 4
#define EACH    50000

static char file[] = "/tmp/ccproxy-test-log-XXXXXX";
static char text[1 << 20];
static atomic_ullong wall_us; /* what the log takes for the time of day */

static uint64_t fake_wall(void)
{
    return atomic_load(&wall_us);
}

static int begin(void **state)
{
    int fd = mkstemp(file);
    if (fd < 0)
        return -1;
    close(fd);
    atomic_store(&wall_us, 1800000000000000u);
    clock_replace(NULL, fake_wall);
    return 0;
}

static int end(void **state)
{
    clock_replace(NULL, NULL);
    return unlink(file);
}

static void next_second(void)
{
    atomic_fetch_add(&wall_us, 1000000u);
}

static void start_fresh(void)
{
    struct log_options o = {CCP_LOG_DEBUG, LOG_TEXT, file};
    assert_int_equal(truncate(file, 0), 0);
    assert_null(log_configure(&o));
    assert_true(log_start());
    next_second();
}

static const char *contents(void)
{
    int fd = open(file, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    close(fd);
    text[n] = '\0';
    return text;
}

static size_t count(const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

static void the_rest_is_told_at_the_end(void **state)
{
    start_fresh();
    for (int i = 0; i < 10000; i++)
        log_warn("test", "attack %d", i);
    log_stop();
    contents();
    assert_int_equal(count("test: attack "), 100);
    assert_non_null(strstr(text, "warn  test: 9900 more lines like \"attack %d\" were not written\n"));
    assert_int_equal(count("\n"), 101);
}

/* Nothing else is logged afterwards: the summary comes all the same. */
static void the_rest_is_told_in_time(void **state)
{
    start_fresh();
    for (int i = 0; i < 150; i++)
        log_warn("test", "burst %d", i);
    next_second();
    for (int i = 0; i < 500 && strstr(contents(), "more lines") == NULL; i++)
        usleep(10000);
    assert_non_null(strstr(text, "50 more lines like \"burst %d\""));
    log_stop();
    contents();
    assert_int_equal(count("more lines"), 1);
}

static void each_second_anew(void **state)
{
    start_fresh();
    for (int second = 0; second < 3; second++) {
        for (int i = 0; i < 120; i++)
            log_warn("test", "second %d", i);
        next_second();
    }
    atomic_fetch_sub(&wall_us, 3600 * 1000000ull); /* and when the clock is set back */
    for (int i = 0; i < 120; i++)
        log_warn("test", "second %d", i);
    log_stop();
    contents();
    assert_int_equal(count("test: second "), 400);
}

static void kinds_do_not_share(void **state)
{
    start_fresh();
    for (int i = 0; i < 200; i++) {
        log_warn("test", "one %d", i);
        log_warn("test", "two %d", i);
        log_warn("other", "one %d", i);
        log_debug("test", "debug %d", i);
        log_bulk(CCP_LOG_INFO, "test", "bulk %d", i);
    }
    log_stop();
    contents();
    assert_int_equal(count("test: one "), 100);
    assert_int_equal(count("test: two "), 100);
    assert_int_equal(count("other: one "), 100);
    assert_int_equal(count("debug "), 2 * 200); /* the level and the text */
    assert_int_equal(count("bulk "), 200);
    assert_int_equal(count("100 more lines"), 3);
}

static void records_of_plugins(void **state)
{
    size_t room = 0;
    start_fresh();
    for (int i = 0; i < 1000; i++)
        room += log_room("access_log", CCP_SPAN("unauthorized"));
    log_stop();
    assert_int_equal(room, 100);
    assert_non_null(strstr(contents(), "access_log: 900 more lines like \"unauthorized\""));
    for (int i = 0; i < 1000; i++) /* without a thread nobody could tell, so nothing is held back */
        assert_true(log_room("access_log", CCP_SPAN("unauthorized")));
}

/* More kinds than there are places: the limit still holds, and nothing is lost in the count. */
static void more_kinds_than_places(void **state)
{
    size_t passed = 0, told = 0;
    for (int i = 0; i < 2000; i++) {
        char kind[32];
        snprintf(kind, sizeof(kind), "kind %d", i);
        for (int k = 0; k < 3; k++)
            passed += log_limit_pass(CCP_SPAN("test"), ccp_span_z(kind), 7);
    }
    assert_true(passed < (size_t)3 * 256 + 100);
    size_t n = log_limit_report(text, sizeof(text), 8);
    text[n] = '\0';
    for (const char *p = text; (p = strstr(p, "log: ")) != NULL; p++)
        told += strtoul(p + 5, NULL, 10);
    assert_int_equal(passed + told, 2000 * 3);
    assert_non_null(strstr(text, "like \"(several)\""));
    assert_int_equal(log_limit_report(text, sizeof(text), 8), 0);
}

static void *attack(void *arg)
{
    for (int i = 0; i < EACH; i++)
        log_warn("test", "parallel %d", i);
    return NULL;
}

static void threads_share_the_limit(void **state)
{
    pthread_t t[THREADS];
    start_fresh();
    uint64_t began = clock_us(), before = log_dropped();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, attack, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    double took = (double)(clock_us() - began) / 1e6;
    log_stop();
    contents();
    assert_int_equal(count("test: parallel "), 100);
    assert_non_null(strstr(text, "199900 more lines like \"parallel %d\""));
    assert_int_equal(log_dropped(), before);
    printf("figure LOG-05 %d events of one kind in %.2f s from %d threads: 100 lines and 1 summary\n", THREADS * EACH,
           took, THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rest_is_told_at_the_end),
        cmocka_unit_test(the_rest_is_told_in_time),
        cmocka_unit_test(each_second_anew),
        cmocka_unit_test(kinds_do_not_share),
        cmocka_unit_test(records_of_plugins),
        cmocka_unit_test(threads_share_the_limit),
        cmocka_unit_test(more_kinds_than_places),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
