/*
 * Off-loop work: `done` exactly once whatever happens, limits, stuck work, and units that are closed meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "support_executor.h"

/* One worker: a thread that runs what is posted. */
struct worker {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct {
        void (*fn)(void *arg);
        void *arg;
    } queue[4096];
    size_t first, last;
    bool ended, quits;
};
static struct worker worker = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static void *turn(void *arg)
{
    struct worker *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->first == w->last && !w->quits)
            pthread_cond_wait(&w->cond, &w->lock);
        if (w->first == w->last)
            break;
        size_t at = w->first++ % 4096;
        pthread_mutex_unlock(&w->lock);
        w->queue[at].fn(w->queue[at].arg);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static bool post(void *self, size_t number, void (*fn)(void *arg), void *arg)
{
    struct worker *w = self;
    pthread_mutex_lock(&w->lock);
    bool taken = !w->ended && number == 0 && w->last - w->first < 4096;
    if (taken) {
        w->queue[w->last % 4096].fn = fn;
        w->queue[w->last++ % 4096].arg = arg;
        pthread_cond_signal(&w->cond);
    }
    pthread_mutex_unlock(&w->lock);
    return taken;
}

static void worker_begin(void)
{
    worker.ended = worker.quits = false;
    worker.first = worker.last = 0;
    pthread_create(&worker.id, NULL, turn, &worker);
}

static void worker_end(void)
{
    pthread_mutex_lock(&worker.lock);
    worker.quits = true;
    pthread_cond_signal(&worker.cond);
    pthread_mutex_unlock(&worker.lock);
    pthread_join(worker.id, NULL);
    worker.ended = true;
}

static const struct ccp_plugin plain = {.name = "plain", .version = "1.0.0"};

static struct executor *started(uint64_t stuck_ms)
{
    struct executor *e = executor_new(&(struct executor_port){post, &worker, stuck_ms});
    assert_non_null(e);
    assert_true(executor_start(e));
    return e;
}

/* -- work -- */

struct piece {
    struct executor_job *job;
    struct ccp_exchange x;
    atomic_uint ran, done, lost;
    atomic_bool with_x, by_worker;
    atomic_bool *gate;
    bool forget;
};

static void run(void *arg)
{
    struct piece *p = arg;
    while (p->gate != NULL && !atomic_load(p->gate))
        test_sleep_ms(1);
    atomic_fetch_add(&p->ran, 1);
}

static void done(void *arg, struct ccp_exchange *x)
{
    struct piece *p = arg;
    atomic_store(&p->with_x, x == &p->x);
    atomic_store(&p->by_worker, pthread_equal(pthread_self(), worker.id) != 0);
    atomic_fetch_add(&p->done, 1);
}

static void lost(void *arg, struct ccp_exchange *x)
{
    struct piece *p = arg;
    assert_true(x == &p->x && pthread_equal(pthread_self(), worker.id));
    atomic_fetch_add(&p->lost, 1);
}

static bool is_lost(void *arg)
{
    return atomic_load(&((struct piece *)arg)->lost) != 0;
}

static bool is_done(void *arg)
{
    return atomic_load(&((struct piece *)arg)->done) != 0;
}

static bool ask(struct executor *e, struct plugin_unit *u, struct piece *p, size_t number)
{
    p->job =
        executor_work(e, u, &(struct executor_piece){number, run, done, lost, number == SIZE_MAX ? NULL : &p->x, p});
    return p->job != NULL;
}

static void done_comes_to_the_worker(void **state)
{
    struct piece with = {.ran = 0}, without = {.ran = 0};
    worker_begin();
    struct executor *e = started(5000);
    struct plugin_unit *u = test_unit(e, &plain, NULL);
    assert_true(ask(e, u, &with, 0) && ask(e, u, &without, SIZE_MAX));
    assert_true(test_until(is_done, &with, 3000) && test_until(is_done, &without, 3000));
    assert_true(with.with_x && with.by_worker && with.ran == 1);
    assert_false(without.with_x || without.by_worker);
    assert_int_equal(without.ran, 1);
    unit_unref(u);
    executor_stop(e, 1000);
    worker_end();
    executor_free(e);
}

struct order {
    struct piece *p;
};

static void forget_it(void *arg)
{
    struct piece *p = arg;
    executor_forget(p->job);
}

static void an_exchange_that_ended(void **state)
{
    atomic_bool gate = false;
    struct piece p = {.gate = &gate};
    worker_begin();
    struct executor *e = started(5000);
    struct plugin_unit *u = test_unit(e, &plain, NULL);
    assert_true(ask(e, u, &p, 0));
    assert_true(post(&worker, 0, forget_it, &p)); /* before `done` can come: it is queued behind */
    atomic_store(&gate, true);
    assert_true(test_until(is_done, &p, 3000));
    assert_true(p.by_worker && !p.with_x);
    unit_unref(u);
    executor_stop(e, 1000);
    worker_end();
    executor_free(e);
}

static void a_worker_that_ended(void **state)
{
    struct piece p = {.ran = 0};
    worker.ended = true;
    struct executor *e = started(5000);
    struct plugin_unit *u = test_unit(e, &plain, NULL);
    assert_true(ask(e, u, &p, 0));
    assert_true(test_until(is_done, &p, 3000));
    assert_true(p.ran == 1 && !p.with_x && !p.by_worker);
    executor_forget(p.job); /* the exchange ends later */
    unit_unref(u);
    executor_stop(e, 1000);
    executor_free(e);
}

static bool many_done(void *arg)
{
    struct piece *p = arg;
    for (int i = 0; i < POOL_ITEMS; i++)
        if (atomic_load(&p[i].done) == 0)
            return false;
    return true;
}

static void what_waits_is_bounded(void **state)
{
    static struct piece pieces[POOL_ITEMS + 100];
    atomic_bool gate = false;
    size_t taken = 0, threads = 0;
    worker_begin();
    struct executor *e = started(5000);
    e->idle_ms = 50;
    struct plugin_unit *u = test_unit(e, &plain, NULL);
    for (size_t i = 0; i < POOL_ITEMS + 100; i++) {
        pieces[i].gate = &gate;
        taken += ask(e, u, &pieces[i], i % 2 == 0 ? 0 : SIZE_MAX);
    }
    assert_in_range(taken, POOL_ITEMS, POOL_ITEMS + POOL_THREADS);
    pthread_mutex_lock(&e->lock);
    threads = e->pool_n;
    pthread_mutex_unlock(&e->lock);
    assert_int_equal(threads, POOL_THREADS);
    atomic_store(&gate, true);
    assert_true(test_until(many_done, pieces, 5000));
    assert_int_equal(executor_figures(e).work_refused, POOL_ITEMS + 100 - taken);
    for (int i = 0; i < 200 && threads != 0; i++) { /* they end when idle */
        test_sleep_ms(10);
        pthread_mutex_lock(&e->lock);
        threads = e->pool_n;
        pthread_mutex_unlock(&e->lock);
    }
    assert_int_equal(threads, 0);
    for (size_t i = 0; i < POOL_ITEMS + 100; i++) {
        assert_int_equal(pieces[i].done, pieces[i].job != NULL);
        assert_int_equal(pieces[i].ran, pieces[i].done);
    }
    unit_unref(u);
    executor_stop(e, 1000);
    worker_end();
    executor_free(e);
}

/* -- stuck -- */

static bool is_tripped(void *u)
{
    return !unit_callable(u);
}

static void stuck_work_gives_its_place_to_others(void **state)
{
    static struct piece bad[6], other;
    atomic_bool gate = false;
    worker_begin();
    struct executor *e = started(120);
    struct plugin_unit *u = test_unit(e, &plain, NULL), *v = test_unit(e, &plain, NULL);
    for (int i = 0; i < 6; i++) {
        bad[i].gate = &gate;
        assert_true(ask(e, u, &bad[i], 0));
    }
    assert_true(test_until(is_tripped, u, 3000));
    for (int i = 0; i < 4; i++) /* each by its own time */
        assert_true(test_until(is_lost, &bad[i], 3000));
    assert_non_null(strstr(guard_reason(u).p, "work did not return for 120 ms"));
    assert_true(ask(e, v, &other, 0));
    assert_true(test_until(is_done, &other, 3000));
    assert_true(other.with_x);
    assert_false(ask(e, u, &other, 0)); /* a disabled plugin gets no more threads */
    assert_true(test_until(is_done, &bad[5], 3000));
    assert_int_equal(bad[5].ran, 0); /* waited, and was left out when its plugin was disabled */
    assert_false(bad[5].with_x);
    executor_forget(bad[5].job);
    atomic_store(&gate, true); /* late, but once */
    assert_true(test_until(is_done, &bad[0], 3000) && test_until(is_done, &bad[1], 3000) &&
                test_until(is_done, &bad[2], 3000) && test_until(is_done, &bad[3], 3000) &&
                test_until(is_lost, &bad[4], 3000));
    assert_int_equal(bad[0].done, 1);
    assert_false(bad[0].with_x); /* the exchange was told that it is lost */
    for (int i = 0; i < 4; i++)
        executor_forget(bad[i].job);
    for (int i = 0; i < 6; i++)
        assert_int_equal(bad[i].lost, 1);
    assert_true(test_until(is_done, &bad[4], 3000));
    assert_false(bad[4].with_x);
    executor_forget(bad[4].job);
    unit_unref(u);
    unit_unref(v);
    executor_stop(e, 1000);
    worker_end();
    assert_int_equal(executor_figures(e).stuck, 4);
    executor_free(e);
}

static void after_sixteen_none_is_replaced(void **state)
{
    static struct piece bad[STUCK_THREADS], last;
    atomic_bool gate = false;
    struct plugin_unit *units[STUCK_THREADS];
    worker_begin();
    struct executor *e = started(80);
    for (int i = 0; i < STUCK_THREADS; i++) {
        units[i] = test_unit(e, &plain, NULL);
        bad[i].gate = &gate;
        assert_true(ask(e, units[i], &bad[i], SIZE_MAX));
        assert_true(test_until(is_tripped, units[i], 3000));
    }
    struct plugin_unit *u = test_unit(e, &plain, NULL);
    assert_int_equal(executor_figures(e).stuck, STUCK_THREADS);
    assert_false(ask(e, u, &last, SIZE_MAX));
    atomic_store(&gate, true);
    for (int i = 0; i < STUCK_THREADS; i++)
        assert_true(test_until(is_done, &bad[i], 3000));
    for (int i = 0; i < 300 && !ask(e, u, &last, SIZE_MAX); i++)
        test_sleep_ms(10); /* threads there are again when those have ended */
    assert_true(test_until(is_done, &last, 3000));
    for (int i = 0; i < STUCK_THREADS; i++)
        unit_unref(units[i]);
    unit_unref(u);
    executor_stop(e, 1000);
    worker_end();
    executor_free(e);
}

/* -- the end -- */

static void a_stop_settles_everything_once(void **state)
{
    static struct piece pieces[50];
    atomic_bool gate = false;
    worker_begin();
    struct executor *e = started(60000);
    struct plugin_unit *u = test_unit(e, &plain, NULL);
    for (int i = 0; i < 50; i++) {
        pieces[i].gate = &gate;
        assert_true(ask(e, u, &pieces[i], SIZE_MAX));
    }
    test_sleep_ms(50);
    uint64_t began = clock_ms();
    executor_stop(e, 200);
    assert_in_range(clock_ms() - began, 150, 2000);
    assert_int_equal(pieces[49].done, 1); /* never begun */
    assert_int_equal(pieces[49].ran, 0);
    assert_int_equal(pieces[0].done, 0);
    atomic_store(&gate, true);
    for (int i = 0; i < 50; i++)
        assert_true(test_until(is_done, &pieces[i], 3000));
    unit_unref(u);
    worker_end();
    for (int i = 0; i < 50; i++)
        assert_int_equal(pieces[i].done, 1);
    test_sleep_ms(50);
    executor_free(e);
}

/* Units come and go while work of theirs runs: closed once each, never under a call. */
struct life {
    atomic_uint inside;
    unsigned closed_inside;
};
static struct life lives[200];
static atomic_uint lives_closed, next_life;

static void *open_life(const struct ccp_plugin_env *env, struct ccp_span *why)
{
    return &lives[atomic_fetch_add(&next_life, 1)];
}
static void close_life(void *self)
{
    struct life *l = self;
    l->closed_inside += atomic_load(&l->inside) != 0;
    atomic_fetch_add(&lives_closed, 1);
}
static bool live(void *self, struct ccp_span *why)
{
    struct life *l = self;
    atomic_fetch_add(&l->inside, 1);
    test_sleep_ms(1);
    atomic_fetch_sub(&l->inside, 1);
    return true;
}
static void live_work(void *arg)
{
    struct ccp_span why;
    live(arg, &why);
}
static bool all_closed(void *arg)
{
    return atomic_load(&lives_closed) == 200;
}

static void units_are_closed_when_nothing_runs(void **state)
{
    static const struct ccp_task tasks[] = {{.name = "t", .interval_ms = 1, .run = live}, {.name = NULL}};
    static const struct ccp_plugin lively = {
        .name = "lively", .version = "1.0.0", .open = open_life, .close = close_life, .tasks = tasks};
    worker_begin();
    struct executor *e = started(5000);
    for (int i = 0; i < 200; i++) {
        struct plugin_unit *u = test_unit(e, &lively, NULL);
        assert_non_null(u);
        executor_work(e, u, &(struct executor_piece){SIZE_MAX, live_work, NULL, NULL, NULL, u->self});
        if (i % 3 == 0)
            test_sleep_ms(2);
        unit_unref(u);
    }
    assert_true(test_until(all_closed, NULL, 10000));
    for (int i = 0; i < 200; i++)
        assert_int_equal(lives[i].closed_inside, 0);
    executor_stop(e, 1000);
    worker_end();
    executor_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_comes_to_the_worker),
        cmocka_unit_test(an_exchange_that_ended),
        cmocka_unit_test(a_worker_that_ended),
        cmocka_unit_test(what_waits_is_bounded),
        cmocka_unit_test(stuck_work_gives_its_place_to_others),
        cmocka_unit_test(after_sixteen_none_is_replaced),
        cmocka_unit_test(a_stop_settles_everything_once),
        cmocka_unit_test(units_are_closed_when_nothing_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
