/*
 * The state folder: where it is, what is refused, and that a file is old or new, never between.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <base/fault.h>
#include <base/state_file.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/ccproxy-state-XXXXXX", path[PATH_MAX], why[STATE_WHY];

static int make_top(void **state)
{
    return mkdtemp(top) == NULL;
}

static void use(const char *own, const char *xdg, const char *home)
{
    const char *names[] = {"STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"}, *values[] = {own, xdg, home};
    for (int i = 0; i < 3; i++)
        if (values[i] != NULL)
            setenv(names[i], values[i], 1);
        else
            unsetenv(names[i]);
}

static void where_it_is(void **state)
{
    static const struct {
        const char *own, *xdg, *home, *want;
    } rows[] = {
        {"/run/a:/run/b", "/x", "/h", "/run/a"},
        {NULL, "/x", "/h", "/x/ccproxy"},
        {NULL, NULL, "/h", "/h/.local/state/ccproxy"},
        {"", "", "/h", "/h/.local/state/ccproxy"},
        {"relative", "too", "/h", "/h/.local/state/ccproxy"},
        {NULL, NULL, NULL, NULL},
        {NULL, NULL, "rel", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        use(rows[i].own, rows[i].xdg, rows[i].home);
        assert_int_equal(state_home(path, why), rows[i].want != NULL);
        if (rows[i].want != NULL)
            assert_string_equal(path, rows[i].want);
        else
            assert_non_null(strstr(why, "there is no folder for state"));
    }
}

static void names(void **state)
{
    static const char *const good[] = {"a", "a.json", "A-b_c.9"}, *const bad[] = {"",    ".",   "..",      ".a",
                                                                                  "a/b", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(state_name_ok(ccp_span_z(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(state_name_ok(ccp_span_z(bad[i])));
}

static int open_plugin(void)
{
    return state_open("plugins/x", why);
}

static unsigned mode_of(const char *below)
{
    struct stat st;
    char full[PATH_MAX];
    snprintf(full, sizeof(full), "%s/%s", top, below);
    assert_int_equal(lstat(full, &st), 0);
    return st.st_mode & 07777;
}

static void made_narrow(void **state)
{
    use(NULL, NULL, top);
    umask(0);
    int fd = open_plugin();
    umask(022);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(mode_of(".local"), 0755);
    assert_int_equal(mode_of(".local/state/ccproxy"), 0700);
    assert_int_equal(mode_of(".local/state/ccproxy/plugins/x"), 0700);
    assert_int_equal(state_open("plugins/../x", why), -1);
    assert_int_equal(state_open("plugins//x", why), -1);
}

static void folders_of_others_are_refused(void **state)
{
    char full[PATH_MAX];
    use(NULL, NULL, top);
    snprintf(full, sizeof(full), "%s/.local/state/ccproxy/plugins/x", top);
    for (unsigned bit = 020; bit >= 02; bit /= 8) {
        chmod(full, 0700 | bit);
        assert_int_equal(open_plugin(), -1);
        assert_non_null(strstr(why, "can be written by others"));
    }
    chmod(full, 0755); /* readable is no harm: files are 0600 */
    close(open_plugin());
    if (geteuid() == 0) {
        assert_int_equal(chown(full, 12345, 12345), 0);
        assert_int_equal(open_plugin(), -1);
        assert_non_null(strstr(why, "belongs to another user"));
        assert_int_equal(chown(full, 0, 0), 0);
    }
    assert_int_equal(rmdir(full), 0);
    assert_int_equal(symlink("/tmp", full), 0);
    assert_int_equal(open_plugin(), -1);
    assert_int_equal(unlink(full), 0);
    int fd = open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(open_plugin(), -1);
    close(fd);
    unlink(full);
}

static void give(const char *path, uid_t owner)
{
    assert_int_equal(chown(path, owner, owner), 0);
}

/* Started as root, with a home of the user that the server becomes. */
static void root_keeps_to_the_owner_of_the_home(void **state)
{
    enum { OWNER = 12345 };
    struct ccp_buf out;
    struct stat st;
    bool missing;
    char home[PATH_MAX], full[PATH_MAX + 40];
    if (geteuid() != 0)
        skip();
    use(NULL, NULL, top);
    assert_true(state_home(home, why));
    give(home, OWNER);
    snprintf(full, sizeof(full), "%s/plugins", home);
    assert_int_equal(state_open("plugins", why), -1); /* root's, in somebody else's home */
    give(full, OWNER);
    int fd = state_open("plugins/made", why);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_uid, OWNER);
    assert_true(state_write(fd, "file", CCP_SPAN("text"), why));
    assert_int_equal(fstatat(fd, "file", &st, 0), 0);
    assert_int_equal(st.st_uid, OWNER);
    assert_true(state_read(fd, "file", 100, &out, &missing, why));
    buf_release(&out);
    assert_int_equal(fchownat(fd, "file", OWNER + 1, OWNER + 1, 0), 0);
    assert_false(state_read(fd, "file", 100, &out, &missing, why));
    assert_non_null(strstr(why, "belongs to another user"));
    buf_release(&out);
    assert_int_equal(unlinkat(fd, "file", 0), 0);
    close(fd);
    give(full, 0);
    give(home, 0);
    snprintf(full, sizeof(full), "%s/plugins/made", home);
    assert_int_equal(rmdir(full), 0);
}

static struct ccp_span content(int fd, bool *missing)
{
    static char text[100];
    struct ccp_buf b;
    bool ok = state_read(fd, "f", 50, &b, missing, why);
    size_t n = ok ? b.n : 0;
    memcpy(text, b.p != NULL ? b.p : "", n);
    buf_release(&b);
    return ok ? ccp_span_of(text, n) : ccp_span_of(NULL, 0);
}

static void read_and_replaced(void **state)
{
    bool missing;
    use(NULL, NULL, top);
    int fd = open_plugin();
    assert_true(content(fd, &missing).n == 0 && missing);
    assert_true(state_write(fd, "f", CCP_SPAN("one"), why));
    assert_true(ccp_span_is(content(fd, &missing), "one") && !missing);
    assert_true(state_write(fd, "f", CCP_SPAN(""), why));
    assert_true(content(fd, &missing).p != NULL && !missing);
    assert_int_equal(mode_of(".local/state/ccproxy/plugins/x/f"), 0600);
    char large[60];
    memset(large, 'l', sizeof(large));
    assert_true(state_write(fd, "f", ccp_span_of(large, 50), why));
    assert_int_equal(content(fd, &missing).n, 50);
    assert_true(state_write(fd, "f", ccp_span_of(large, 51), why));
    assert_null(content(fd, &missing).p);
    assert_string_equal(why, "f is larger than asked for");
    assert_int_equal(fchmodat(fd, "f", 0620, 0), 0);
    assert_null(content(fd, &missing).p);
    assert_true(state_remove(fd, "f", why) && state_remove(fd, "f", why));
    assert_int_equal(mkfifoat(fd, "f", 0600), 0);
    assert_null(content(fd, &missing).p); /* and is not waited for */
    assert_int_equal(unlinkat(fd, "f", 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", fd, "f"), 0);
    assert_null(content(fd, &missing).p);
    assert_int_equal(unlinkat(fd, "f", 0), 0);
    close(fd);
}

#ifdef CCP_FAULTS
static size_t entries(int fd)
{
    size_t n = 0;
    DIR *d = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY));
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n++;
    closedir(d);
    return n;
}

static void every_step_can_fail(void **state)
{
    static const char *const points[] = {"state.random", "state.temporary", "state.write", "state.sync",
                                         "state.rename"};
    bool missing;
    use(NULL, NULL, top);
    int fd = open_plugin();
    assert_true(state_write(fd, "f", CCP_SPAN("old"), why));
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        char spec[64];
        snprintf(spec, sizeof(spec), "%s:*", points[i]);
        fault_arm(spec);
        assert_false(state_write(fd, "f", CCP_SPAN("new"), why));
        fault_arm(NULL);
        assert_non_null(strstr(why, "f cannot be written: "));
        assert_true(ccp_span_is(content(fd, &missing), "old"));
        assert_int_equal(entries(fd), 3);
    }
    fault_arm("state.sync_folder:*");
    assert_false(state_write(fd, "f", CCP_SPAN("new"), why));
    fault_arm("state.read:*");
    assert_null(content(fd, &missing).p);
    fault_arm("state.open:*");
    assert_null(content(fd, &missing).p);
    assert_false(missing);
    fault_arm(NULL);
    assert_true(state_remove(fd, "f", why));
    close(fd);
}
#endif

static int remove_top(void **state)
{
    static const char *const below[] = {"/.local/state/ccproxy/plugins/x",
                                        "/.local/state/ccproxy/plugins",
                                        "/.local/state/ccproxy",
                                        "/.local/state",
                                        "/.local",
                                        ""};
    for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
        snprintf(path, sizeof(path), "%.64s%s", top, below[i]);
        rmdir(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_it_is),
        cmocka_unit_test(names),
        cmocka_unit_test(made_narrow),
        cmocka_unit_test(folders_of_others_are_refused),
        cmocka_unit_test(root_keeps_to_the_owner_of_the_home),
        cmocka_unit_test(read_and_replaced),
#ifdef CCP_FAULTS
        cmocka_unit_test(every_step_can_fail),
#endif
    };
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
