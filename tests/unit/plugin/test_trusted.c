/*
 * Who could have written what is loaded: each step of the way, by descriptor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/fault.h>
#include <fcntl.h>
#include <limits.h>
#include <plugin/trusted_impl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64], why[600];

static const char *at(const char *below)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", root, below);
    return path;
}

static int set_up(void **state)
{
    snprintf(root, sizeof(root), "/tmp/ccp-trusted-XXXXXX");
    if (mkdtemp(root) == NULL || mkdir(at("up"), 0755) != 0 || mkdir(at("up/in"), 0755) != 0)
        return -1;
    int fd = open(at("up/in/file"), O_CREAT | O_WRONLY, 0644);
    return fd < 0 || close(fd) != 0 || symlink("up/in", at("link")) != 0 || symlink("file", at("up/in/other")) != 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"up/in/other", "up/in/file", "link"}, *const folders[] = {"up/in", "up", ""};
    for (int i = 0; i < 3; i++)
        unlink(at(files[i]));
    for (int i = 0; i < 3; i++)
        rmdir(at(folders[i]));
    return 0;
}

static enum trusted_result folder(const char *path)
{
    int fd;
    char *resolved;
    enum trusted_result r = trusted_folder(path, &fd, &resolved, why, sizeof(why));
    assert_int_equal(r == TRUSTED_OK, fd >= 0 && resolved != NULL);
    if (r == TRUSTED_OK) {
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_null(strstr(resolved, "link"));
        close(fd);
        free(resolved);
    }
    return r;
}

static void way_to_a_folder(void **state)
{
    char path[PATH_MAX];
    assert_int_equal(folder("/"), TRUSTED_OK);
    snprintf(path, sizeof(path), "%s", at("up/in"));
    assert_int_equal(folder(path), TRUSTED_OK);
    snprintf(path, sizeof(path), "%s", at("link"));
    assert_int_equal(folder(path), TRUSTED_OK);
    assert_int_equal(folder(at("up/gone")), TRUSTED_MISSING);
    assert_int_equal(folder(at("up/in/file/deeper")), TRUSTED_MISSING);
    assert_int_equal(folder(at("up/in/file")), TRUSTED_REFUSED);
    for (int bit = 0; bit < 2; bit++) {
        chmod(at("up"), bit == 0 ? 0775 : 0757);
        snprintf(path, sizeof(path), "%s", at("up/in"));
        assert_int_equal(folder(path), TRUSTED_REFUSED);
        assert_non_null(strstr(why, bit == 0 ? "its group" : "everybody"));
        assert_non_null(strstr(why, "chmod go-w '"));
    }
    chmod(at("up"), 01777);
    snprintf(path, sizeof(path), "%s", at("up/in"));
    assert_int_equal(folder(path), geteuid() == 0 ? TRUSTED_OK : TRUSTED_REFUSED);
    assert_int_equal(folder(at("up")), TRUSTED_REFUSED); /* not for the folder itself */
    chmod(at("up"), 0755);
}

static enum trusted_result below(const char *name, bool directory)
{
    int fd, dir = open(at("up/in"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum trusted_result r = trusted_below(dir, "/the/folder", name, directory, &fd, why, sizeof(why));
    close(dir);
    if (r == TRUSTED_OK)
        close(fd);
    else
        assert_int_equal(fd, -1);
    return r;
}

static void file_in_a_folder(void **state)
{
    assert_int_equal(below("file", false), TRUSTED_OK);
    assert_int_equal(below("file", true), TRUSTED_REFUSED);
    assert_int_equal(below("gone", false), TRUSTED_MISSING);
    assert_int_equal(below("other", false), TRUSTED_REFUSED);
    assert_string_equal(why, "/the/folder/other is a symbolic link: put the real one there");
    assert_int_equal(below(".", false), TRUSTED_REFUSED);
    assert_non_null(strstr(why, "not a regular file"));
    chmod(at("up/in/file"), 0664);
    assert_int_equal(below("file", false), TRUSTED_REFUSED);
    chmod(at("up/in/file"), 0644);
    if (geteuid() == 0) {
        assert_int_equal(chown(at("up/in/file"), 12345, 0), 0);
        assert_int_equal(below("file", false), TRUSTED_REFUSED);
        assert_non_null(strstr(why, "belongs to user 12345, who could change what is loaded: chown 0"));
        assert_int_equal(chown(at("up/in/file"), 0, 0), 0);
    }
}

static void descriptors_and_memory_end(void **state)
{
#ifdef CCP_FAULTS
    char path[PATH_MAX], point[40];
    snprintf(path, sizeof(path), "%s", at("up/in"));
    fault_arm("plugin.path:1");
    assert_int_equal(folder(path), TRUSTED_REFUSED);
    for (int n = 1; n <= 4; n++) { /* "/", tmp, the root, up */
        snprintf(point, sizeof(point), "plugin.open:%d", n);
        fault_arm(point);
        assert_int_equal(folder(path), TRUSTED_REFUSED);
        assert_non_null(strstr(why, "Too many open files"));
    }
    fault_arm(NULL);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(way_to_a_folder),
        cmocka_unit_test(file_in_a_folder),
        cmocka_unit_test(descriptors_and_memory_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
