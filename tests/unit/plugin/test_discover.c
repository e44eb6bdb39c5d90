/*
 * The parts of discovery that need no child process: frozen content, plugin.json, the cache.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/fault.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plugin/discover_impl.h>
#include <plugin/probe_impl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char why[DISCOVER_WHY], root[64];

static int set_up(void **state)
{
    snprintf(root, sizeof(root), "/tmp/ccp-discover-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int file_of(const char *text, size_t n)
{
    int fd = memfd_create("test", 0);
    assert_int_equal(write(fd, text, n), n);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void content_is_frozen(void **state)
{
    char sum[OBJECT_SUM], back[4];
    int file = file_of("abc", 3), fd = object_freeze(file, "it", sum, why, sizeof(why));
    assert_true(fd >= 0);
    assert_string_equal(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180-2, B.1 */
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pread(fd, back, 3, 0), 3);
    assert_memory_equal(back, "abc", 3);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 1), -1);
    assert_int_equal(ftruncate(fd, 9), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, 0), -1);
    close(fd);
    close(file);
}

static void too_large_or_unreadable(void **state)
{
    char sum[OBJECT_SUM];
    int file = memfd_create("large", 0);
    assert_int_equal(ftruncate(file, OBJECT_MAX + 1), 0);
    assert_int_equal(object_freeze(file, "it", sum, why, sizeof(why)), -1);
    assert_non_null(strstr(why, "larger than 64 MiB"));
    assert_int_equal(ftruncate(file, 100000), 0);
#ifdef CCP_FAULTS
    static const struct {
        const char *point, *says;
    } table[] = {{"plugin.memfd:1", "Cannot allocate memory"},
                 {"plugin.read:2", "Input/output error"},
                 {"plugin.copy:1", "No space left"},
                 {"plugin.sum:1", "out of memory"}};
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        lseek(file, 0, SEEK_SET);
        fault_arm(table[i].point);
        assert_int_equal(object_freeze(file, "it", sum, why, sizeof(why)), -1);
        assert_non_null(strstr(why, table[i].says));
    }
    fault_arm(NULL);
#endif
    close(file);
}

static void names(void **state)
{
    static const char *const good[] = {"a", "access_log", "x-1",
                                       "a234567890123456789012345678901234567890123456789012345678901234"};
    static const char *const bad[] = {"",
                                      "A",
                                      "1a",
                                      "_a",
                                      "-a",
                                      "a.b",
                                      "a/b",
                                      "a b",
                                      "\xc3\xa4",
                                      "..",
                                      "a2345678901234567890123456789012345678901234567890123456789012345"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(object_name_ok(ccp_span_z(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(object_name_ok(ccp_span_z(bad[i])));
}

static struct ccp_span cache_folder(void)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/a/b/plugins", root);
    return ccp_span_z(path);
}

static void cache(void **state)
{
    static const char sum[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char path[PATH_MAX];
    json_t *answer = json_pack("{s:s}", "refused", "x"), *back;
    struct stat st;
    assert_null(cache_load(cache_folder(), sum, "it"));
    cache_store(CCP_SPAN(""), sum, "it", answer);
    cache_store(CCP_SPAN("relative"), sum, "it", answer);
    assert_int_equal(access("relative", F_OK), -1);
#ifdef CCP_FAULTS
    fault_arm("plugin.cache.write:1");
    cache_store(cache_folder(), sum, "it", answer);
    fault_arm("plugin.cache:1");
    cache_store(cache_folder(), sum, "it", answer);
    fault_arm(NULL);
    assert_null(cache_load(cache_folder(), sum, "it"));
#endif
    cache_store(cache_folder(), sum, "it", answer);
    back = cache_load(cache_folder(), sum, "it");
    assert_true(json_equal(back, answer));
    json_decref(back);
    assert_null(cache_load(cache_folder(), sum, "other"));
    snprintf(path, sizeof(path), "%s/%s.json", cache_folder().p, sum);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    chmod(path, 0620);
    assert_null(cache_load(cache_folder(), sum, "it"));
    chmod(path, 0600);
    chmod(cache_folder().p, 0750);
    assert_null(cache_load(cache_folder(), sum, "it"));
    chmod(cache_folder().p, 0700);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
    assert_null(cache_load(cache_folder(), sum, "it"));
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_null(cache_load(cache_folder(), sum, "it"));
    unlink(path);
    assert_int_equal(rmdir(cache_folder().p), 0); /* nothing else was left there */
    json_decref(answer);
}

static int tear_down(void **state)
{
    char path[PATH_MAX];
    static const char *const folders[] = {"/a/b/plugins", "/a/b", "/a", ""};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s%s", root, folders[i]);
        rmdir(path);
    }
    return 0;
}

static void child_that_cannot_start(void **state)
{
#ifdef CCP_FAULTS
    json_t *answer = NULL;
    int fd = file_of("abc", 3);
    fault_arm("plugin.spawn:1");
    assert_int_equal(probe_run(fd, "it", 1000, &answer, why, sizeof(why)), PROBE_FAILED);
    assert_non_null(strstr(why, "cannot be started: Resource temporarily unavailable"));
    for (int n = 1; n <= 2; n++) {
        char point[32];
        snprintf(point, sizeof(point), "plugin.probe:%d", n);
        fault_arm(point);
        assert_int_equal(probe_run(fd, "it", 1000, &answer, why, sizeof(why)), PROBE_FAILED);
        assert_non_null(strstr(why, "Too many open files"));
    }
    fault_arm(NULL);
    assert_null(answer);
    close(fd);
#else
    skip();
#endif
}

int main(int argc, char **argv)
{
    if (discover_is_probe(argc, argv))
        return discover_probe_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_is_frozen),
        cmocka_unit_test(too_large_or_unreadable),
        cmocka_unit_test(names),
        cmocka_unit_test(cache),
        cmocka_unit_test(child_that_cannot_start),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
