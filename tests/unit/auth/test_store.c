/*
 * The store from inside one process: names, lists, stamps, notes, locks between threads, what stop and wait mean, and
 * every fault point on the way of a save. What needs processes is in blackbox/test_credential_store.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <auth/store_impl.h>
#include <base/clock.h>
#include <base/fault.h>
#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static char top[] = "/tmp/ccp-unit-store-XXXXXX", directory[64];
static struct store *store;
static struct store_error e;

static struct store_place place(const char *provider, const char *account)
{
    return (struct store_place){.provider = ccp_span_z(provider), .account = ccp_span_z(account)};
}

static enum store_status save(const char *account, const char *access)
{
    struct store_place at = place("p", account);
    struct store_lock lock;
    struct record r;
    struct record_token t = {.access_token = ccp_span_z(access), .obtained_at = 1, .expires_in = 1};
    enum store_status status = store_lock(store, &at, 5000, NULL, NULL, &lock, &e);
    if (status != STORE_OK)
        return status;
    status = store_read(store, &at, &r, &e);
    if (status == STORE_MISSING)
        status = record_new(&r, at.provider, at.account) ? STORE_OK : STORE_IO;
    if (status == STORE_OK)
        status = record_set_token(&r, &t, false) ? store_write(store, &lock, &r, &e) : STORE_IO;
    record_release(&r);
    store_unlock(&lock);
    store_unlock(&lock);
    return status;
}

static void assert_holds(const char *account, const char *access)
{
    struct store_place at = place("p", account);
    struct record r;
    assert_int_equal(store_read(store, &at, &r, &e), STORE_OK);
    if (!ccp_span_is(r.access_token, access))
        fail_msg("%.*s, not %s", CCP_FMT(r.access_token), access);
    record_release(&r);
}

static void names(void **state)
{
    static const char *const good[] = {"default", "a", "A.b_c@d+e-f", "me@example.com"};
    static const char *const bad[] = {"", ".a", "..", "a/b", "a b", "a\n", "\xc3\xa4", "a:b", "a%", "a\\"};
    char label[STORE_LABEL_MAX + 2];
    for (size_t i = 0; i < 4; i++)
        assert_true(store_label_ok(ccp_span_z(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct store_place at = place("p", bad[i]);
        struct record r;
        assert_false(store_label_ok(ccp_span_z(bad[i])));
        assert_int_equal(store_read(store, &at, &r, &e), STORE_UNSAFE);
        record_release(&r);
    }
    assert_false(store_label_ok(CCP_SPAN("a\0b")));
    memset(label, 'x', sizeof(label));
    assert_true(store_label_ok(ccp_span_of(label, 64)) && !store_label_ok(ccp_span_of(label, 65)));
    assert_true(store_provider_ok(CCP_SPAN("claude-api")) && store_provider_ok(CCP_SPAN("x_1")));
    assert_false(store_provider_ok(CCP_SPAN("")) || store_provider_ok(CCP_SPAN("A")) ||
                 store_provider_ok(CCP_SPAN("a.b")) || store_provider_ok(CCP_SPAN("a/b")));
}

static void lists(void **state)
{
    char labels[4][STORE_LABEL_MAX + 1];
    assert_int_equal(store_accounts(store, CCP_SPAN("p"), labels, 4, &e), 0);
    assert_int_equal(e.status, STORE_OK);
    for (const char *const *l = (const char *const[]){"zeta", "a.b", "default", "m", "Alpha", NULL}; *l != NULL; l++)
        assert_int_equal(save(*l, "t"), STORE_OK);
    assert_int_equal(store_accounts(store, CCP_SPAN("p"), labels, 4, &e), 4);
    assert_string_equal(labels[0], "default");
    assert_string_equal(labels[1], "Alpha");
    assert_string_equal(labels[2], "a.b");
    assert_string_equal(labels[3], "m");
    assert_int_equal(store_accounts(store, CCP_SPAN("p2"), labels, 4, &e), 0);
    assert_int_equal(store_accounts(store, CCP_SPAN("p"), labels, 0, &e), 0);
}

static void stamps_and_removal(void **state)
{
    struct store_place at = place("p", "a");
    struct store_stamp one, two;
    struct store_lock lock;
    struct ccp_buf note;
    assert_false(store_stat(store, &at, &one));
    assert_int_equal(save("a", "t1"), STORE_OK);
    assert_true(store_stat(store, &at, &one) && store_stat(store, &at, &two));
    assert_memory_equal(&one, &two, sizeof(one));
    assert_int_equal(save("a", "t2"), STORE_OK);
    assert_true(store_stat(store, &at, &two) && memcmp(&one, &two, sizeof(one)) != 0);

    buf_init(&note, 4096);
    assert_int_equal(store_note_read(store, &at, STORE_INTENT, &note, &e), STORE_MISSING);
    assert_int_equal(store_lock(store, &at, 0, NULL, NULL, &lock, &e), STORE_OK);
    assert_int_equal(store_note_write(store, &lock, STORE_INTENT, CCP_SPAN("{\"i\":1}"), &e), STORE_OK);
    assert_int_equal(store_note_write(store, &lock, STORE_STATE, CCP_SPAN("{\"s\":1}"), &e), STORE_OK);
    assert_int_equal(store_note_read(store, &at, STORE_INTENT, &note, &e), STORE_OK);
    assert_int_equal(store_note_read(store, &at, STORE_STATE, &note, &e), STORE_OK);
    assert_true(ccp_span_is(buf_span(&note), "{\"i\":1}{\"s\":1}"));
    assert_int_equal(store_note_clear(store, &lock, STORE_INTENT, &e), STORE_OK);
    assert_int_equal(store_note_clear(store, &lock, STORE_INTENT, &e), STORE_OK);
    assert_int_equal(store_remove(store, &lock, &e), STORE_OK);
    assert_int_equal(store_remove(store, &lock, &e), STORE_OK);
    assert_int_equal(store_note_read(store, &at, STORE_STATE, &note, &e), STORE_MISSING);
    store_unlock(&lock);
    assert_false(store_stat(store, &at, &one));
    buf_release(&note);
}

/* ---- locks ---- */

static bool stop_soon(void *arg)
{
    return ++*(unsigned *)arg == 4;
}

static void waiting_ends(void **state)
{
    struct store_place at = place("p", "a");
    struct store_lock held, more;
    unsigned asked = 0;
    assert_int_equal(store_lock(store, &at, 0, NULL, NULL, &held, &e), STORE_OK);
    assert_int_equal(store_lock(store, &at, 0, NULL, NULL, &more, &e), STORE_BUSY);
    assert_int_equal(more.fd, -1);
    store_unlock(&more);
    uint64_t begun = clock_ms();
    assert_int_equal(store_lock(store, &at, 120, NULL, NULL, &more, &e), STORE_BUSY);
    assert_in_range(clock_ms() - begun, 110, 2000);
    begun = clock_ms();
    assert_int_equal(store_lock(store, &at, 60000, stop_soon, &asked, &more, &e), STORE_STOPPED);
    assert_true(asked == 4 && clock_ms() - begun < 2000);
    struct store_place other = place("p", "b");
    assert_int_equal(store_lock(store, &other, 0, NULL, NULL, &more, &e), STORE_OK);
    store_unlock(&more);
    store_unlock(&held);
    assert_int_equal(store_lock(store, &at, 0, NULL, NULL, &held, &e), STORE_OK);
    store_unlock(&held);
}

enum { THREADS = 6, ROUNDS = 20 };
static atomic_int inside, collisions;

static void *contend(void *arg)
{
    struct store_place at = place("p", "a");
    for (int i = 0; i < ROUNDS; i++) {
        struct store_lock lock;
        struct store_error mine;
        if (store_lock(store, &at, 60000, NULL, NULL, &lock, &mine) != STORE_OK) {
            atomic_fetch_add(&collisions, 1);
            continue;
        }
        if (atomic_fetch_add(&inside, 1) != 0)
            atomic_fetch_add(&collisions, 1);
        usleep(200);
        atomic_fetch_sub(&inside, 1);
        store_unlock(&lock);
    }
    return NULL;
}

static void threads_exclude_each_other(void **state)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&collisions), 0);
}

static void a_lock_sweeps(void **state)
{
    static const char *const stay[] = {"p.b.json.ccproxy-0123456789abcdef", "p.a.json.ccproxy-0123456789abcde",
                                       "p.a.json.ccproxy-0123456789abcdef0", "p.a.json.ccproxy-0123456789abcdeg"};
    static const char *const go[] = {"p.a.json.ccproxy-0123456789abcdef", "p.a.state.ccproxy-0000000000000000",
                                     "p.a.intent.ccproxy-ffffffffffffffff"};
    char path[256];
    assert_int_equal(save("a", "t"), STORE_OK);
    for (size_t i = 0; i < 7; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, i < 4 ? stay[i] : go[i - 4]);
        fclose(fopen(path, "w"));
    }
    assert_int_equal(save("a", "t"), STORE_OK);
    for (size_t i = 0; i < 7; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, i < 4 ? stay[i] : go[i - 4]);
        assert_int_equal(access(path, F_OK), i < 4 ? 0 : -1);
    }
}

/* ---- faults ---- */

#ifdef CCP_FAULTS
static const char *const points[] = {
    "store.home",  "store.resolve", "store.open",   "store.read",  "store.random",    "store.temporary",
    "store.write", "store.sync",    "store.rename", "store.lock",  "store.lock_file", "store.sync_directory",
    "record.keep", "record.write",  "buf.reserve",  "arena.alloc", "alloc",
};
#endif

/* Each point fails at its first, second, third … time: the old record or the new one, and the error says so. */
static void each_fault(void **state)
{
#ifdef CCP_FAULTS
    size_t failed = 0;
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        size_t before = failed;
        for (int n = 1; n <= 6; n++) {
            char spec[64];
            assert_int_equal(save("a", "old"), STORE_OK);
            snprintf(spec, sizeof(spec), "%s:%d", points[i], n);
            fault_arm(spec);
            enum store_status status = save("a", "new");
            fault_arm(NULL);
            failed += status != STORE_OK;
            bool durable_later = strcmp(points[i], "store.sync_directory") == 0;
            assert_holds("a", status == STORE_OK || durable_later ? "new" : "old");
        }
        if (failed == before && strcmp(points[i], "arena.alloc") != 0)
            fail_msg("%s was never passed", points[i]);
    }
    printf("figure FLT-09 %zu fault points, %zu failed saves: old, or new after its rename\n",
           sizeof(points) / sizeof(points[0]), failed);
#else
    skip();
#endif
}

static void opening(void **state)
{
    struct store_options options = {.directory = ""};
    assert_null(store_open(&options, &e));
    options = (struct store_options){.directory = directory, .encryption = STORE_KEY_FILE};
    assert_null(store_open(&options, &e));
    assert_int_equal(e.status, STORE_SEALED);
    options.encryption = STORE_PASSPHRASE_FILE;
    options.passphrase_file = "/nonexistent";
    assert_null(store_open(&options, &e));
    options = (struct store_options){.directory = directory, .old_key_file = "/nonexistent"};
    assert_null(store_open(&options, &e));
    assert_int_equal(access(directory, F_OK), -1); /* nothing was touched */
    store_free(NULL);
}

static int drop_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    return remove(path);
}

static int begin(void **state)
{
    struct store_options options = {.directory = directory};
    store = store_open(&options, &e);
    return store != NULL ? 0 : -1;
}

static int end(void **state)
{
    store_free(store);
    return nftw(directory, drop_entry, 8, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT;
}

static int make_top(void **state)
{
    if (mkdtemp(top) == NULL)
        return -1;
    snprintf(directory, sizeof(directory), "%s/auth", top);
    return 0;
}

static int drop_top(void **state)
{
    return rmdir(top);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(names),
        TEST(lists),
        TEST(stamps_and_removal),
        TEST(waiting_ends),
        TEST(threads_exclude_each_other),
        TEST(a_lock_sweeps),
        TEST(each_fault),
        TEST(opening),
    };
    return cmocka_run_group_tests(tests, make_top, drop_top);
}
