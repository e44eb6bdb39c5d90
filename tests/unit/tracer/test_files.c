/*
 * The folder of traces: names that cannot lead out of it, the oldest that make room, what a full or a removed folder
 * means, and what else lies there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../system-plugins/request_tracer/request_tracer_impl.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t now_us = 1800000000000000; /* 2027-01-15T08:00:00Z */
static uint64_t now(void)
{
    return now_us;
}
static const struct ccp_api api = {.now_unix_us = now};
static struct tracer_config config;
static struct tracer tracer;
static char folder[64];

static int build(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/ccp-tracer-XXXXXX");
    assert_non_null(mkdtemp(folder));
    config = (struct tracer_config){.max_files = 100, .max_total = 1 << 20, .retention = 7ull * 86400000};
    tracer = (struct tracer){.api = &api, .config = &config, .folder = ccp_span_z(folder)};
    pthread_mutex_init(&tracer.lock, NULL);
    assert_true(files_count(&tracer));
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char inner[600];
        snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(inner) != 0)
            remove_tree(inner);
    }
    if (d != NULL)
        closedir(d);
    rmdir(path);
}

static int clear(void **state)
{
    chmod(folder, 0700);
    remove_tree(folder);
    pthread_mutex_destroy(&tracer.lock);
    return 0;
}

static const char *put(const char *id, uint64_t at_us, const char *text, char name[FILES_NAME_MAX + 1])
{
    files_name(name, at_us, ccp_span_z(id));
    return files_write(&tracer, name, ccp_span_z(text));
}

static void written_found_and_removed(void **state)
{
    char name[FILES_NAME_MAX + 1], path[300];
    struct files_found found;
    struct stat st;
    assert_null(put("req_a", now_us, "hello", name));
    assert_string_equal(name, "2027-01-15-080000.000000-req_a");
    snprintf(path, sizeof(path), "%s/2027-01-15/080000.000000-req_a.http", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    path[strlen(folder) + 11] = '\0';
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(files_find(&tracer, CCP_SPAN("req_a"), &found) && found.size == 5);
    assert_true(files_find(&tracer, ccp_span_z(name), &found));
    struct ccp_span text = files_read(&tracer, found.name, 100);
    assert_int_equal(text.n, 5);
    free((char *)text.p);
    assert_true(files_remove(&tracer, name));
    assert_false(files_find(&tracer, CCP_SPAN("req_a"), &found));
    assert_int_equal(tracer.files, 0);
    assert_int_equal(tracer.bytes, 0);
}

static void one_id_many_times(void **state)
{
    char name[FILES_NAME_MAX + 1], newest[FILES_NAME_MAX + 1];
    struct files_found found[8];
    for (unsigned i = 0; i < 5; i++)
        assert_null(put("same", now_us + i, "x", newest));
    assert_null(put("other", now_us + 2, "x", name));
    assert_int_equal(files_list(&tracer, CCP_SPAN(""), CCP_SPAN("same"), found, 8), 5);
    assert_string_equal(found[0].name, newest);
    assert_true(files_find(&tracer, CCP_SPAN("same"), &found[0]));
    assert_string_equal(found[0].name, newest);
    /* and at the same microsecond: the second is not written over the first */
    assert_non_null(put("same", now_us, "yy", name));
    assert_int_equal(files_list(&tracer, CCP_SPAN(""), CCP_SPAN("same"), found, 8), 5);
}

static void pages(void **state)
{
    char name[FILES_NAME_MAX + 1], before[FILES_NAME_MAX + 1] = "";
    struct files_found found[7];
    size_t seen = 0, n;
    for (unsigned i = 0; i < 40; i++) /* over several days */
        assert_null(put("p", now_us - i * 3600000000ull * 5, "x", name));
    while ((n = files_list(&tracer, ccp_span_z(before), CCP_SPAN(""), found, 7)) != 0) {
        for (size_t i = 0; i < n; i++) {
            assert_true(before[0] == '\0' || strcmp(found[i].name, before) < 0);
            memcpy(before, found[i].name, sizeof(before));
        }
        seen += n;
    }
    assert_int_equal(seen, 40);
}

static void names_stay_inside(void **state)
{
    static const char *const bad[] = {"..",
                                      ".",
                                      "../x",
                                      "a/b",
                                      "",
                                      "/etc/passwd",
                                      "2027-01-15-080000.000000-../x",
                                      "2027-01-15-080000.000000-",
                                      "%2e%2e",
                                      "a\nb",
                                      "2027-01-15/080000.000000-req_a"};
    struct files_found found;
    char name[FILES_NAME_MAX + 1], long_id[400];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(files_find(&tracer, ccp_span_z(bad[i]), &found));
    files_name(name, now_us, CCP_SPAN("../../etc/passwd\n"));
    assert_string_equal(name, "2027-01-15-080000.000000-.._.._etc_passwd_");
    memset(long_id, 'a', sizeof(long_id));
    files_name(name, now_us, ccp_span_of(long_id, sizeof(long_id)));
    assert_true(strlen(name) <= FILES_NAME_MAX);
    assert_null(files_write(&tracer, name, CCP_SPAN("x")));
    assert_int_equal(files_list(&tracer, CCP_SPAN(""), CCP_SPAN(""), &found, 1), 1);
    assert_null(put("..", now_us + 1, "x", name)); /* a client may call its request so */
    assert_true(files_find(&tracer, CCP_SPAN(".."), &found));
}

static void the_oldest_make_room(void **state)
{
    char name[FILES_NAME_MAX + 1], text[2000];
    struct files_found found[200];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (unsigned i = 0; i < 250; i++)
        assert_null(put("n", now_us + i * 1000000000ull, "x", name));
    size_t n = files_list(&tracer, CCP_SPAN(""), CCP_SPAN(""), found, 200);
    assert_true(n <= 100 && n >= 90 && n == tracer.files);
    assert_string_equal(found[0].name, name); /* the newest is there */
    config.max_total = 50000;
    for (unsigned i = 0; i < 60; i++)
        assert_null(put("b", now_us + 1000000000000ull + i, text, name));
    assert_true(tracer.bytes <= 50000);
    n = files_list(&tracer, CCP_SPAN(""), CCP_SPAN(""), found, 200);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += found[i].size;
    assert_int_equal(sum, tracer.bytes);
    printf("250 files at a limit of 100: at most 100 kept; 120 KB at 50 KB: %llu bytes kept\n",
           (unsigned long long)sum);
}

static void too_old(void **state)
{
    char name[FILES_NAME_MAX + 1];
    struct files_found found[10];
    uint64_t day = 86400000000ull;
    assert_null(put("old", now_us - 7 * day - 1000000, "x", name));
    assert_null(put("older", now_us - 30 * day, "x", name));
    assert_null(put("young", now_us - 7 * day + 1000000, "x", name));
    files_prune(&tracer);
    assert_int_equal(files_list(&tracer, CCP_SPAN(""), CCP_SPAN(""), found, 10), 1);
    assert_string_equal(found[0].name, name);
}

static void what_is_not_ours_stays(void **state)
{
    char path[200], name[FILES_NAME_MAX + 1];
    struct stat st;
    snprintf(path, sizeof(path), "%s/notes.txt", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_null(put("mine", now_us, "x", name));
    snprintf(path, sizeof(path), "%s/2027-01-15/keep.txt", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(files_clear(&tracer), 1);
    assert_int_equal(stat(path, &st), 0);
    snprintf(path, sizeof(path), "%s/notes.txt", folder);
    assert_int_equal(stat(path, &st), 0);
}

/* A link in the folder's place, or a file's, is not followed. */
static void links_are_not_followed(void **state)
{
    char path[200], name[FILES_NAME_MAX + 1];
    snprintf(path, sizeof(path), "%s/2027-01-15", folder);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_non_null(put("x", now_us, "secret", name));
    unlink(path);
    assert_null(put("y", now_us, "x", name));
    snprintf(path, sizeof(path), "%s/2027-01-15/080000.000000-z.http", folder);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    struct files_found found;
    struct ccp_span text = files_read(&tracer, "2027-01-15-080000.000000-z", 100);
    assert_null(text.p);
    assert_false(files_find(&tracer, CCP_SPAN("2027-01-15-080000.000000-z"), &found));
    assert_non_null(put("z", now_us, "x", name));
}

static void a_removed_folder_comes_back(void **state)
{
    char name[FILES_NAME_MAX + 1];
    assert_null(put("a", now_us, "x", name));
    remove_tree(folder);
    assert_null(put("b", now_us + 1, "x", name));
    struct files_found found;
    assert_true(files_find(&tracer, CCP_SPAN("b"), &found));
}

static void a_full_disk_leaves_nothing_half(void **state)
{
    char name[FILES_NAME_MAX + 1], text[8000];
    struct rlimit before, little = {4096, RLIM_INFINITY};
    struct files_found found;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    little.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &little);
    const char *why = put("a", now_us, text, name);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_non_null(why);
    assert_false(files_find(&tracer, CCP_SPAN("a"), &found));
    assert_null(put("a", now_us, text, name));
    assert_true(files_find(&tracer, CCP_SPAN("a"), &found) && found.size == sizeof(text) - 1);
}

int main(void)
{
#define FRESH(test) cmocka_unit_test_setup_teardown(test, build, clear)
    const struct CMUnitTest tests[] = {
        FRESH(written_found_and_removed),
        FRESH(one_id_many_times),
        FRESH(pages),
        FRESH(names_stay_inside),
        FRESH(the_oldest_make_room),
        FRESH(too_old),
        FRESH(what_is_not_ours_stays),
        FRESH(links_are_not_followed),
        FRESH(a_removed_folder_comes_back),
        FRESH(a_full_disk_leaves_nothing_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
