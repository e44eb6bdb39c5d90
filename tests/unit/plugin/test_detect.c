/*
 * plugin/detect.c on folders as installers leave them. No program is ever run: each one here would leave a mark.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <plugin/detect.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256];
static struct arena arena;
static const struct ccp_program program = {"claude", "@anthropic-ai/claude-code"};

static char *at(const char *path)
{
    static char full[4][600];
    static unsigned turn;
    char *out = full[turn++ % 4];
    snprintf(out, sizeof(full[0]), "%s/%s", root, path);
    return out;
}

static void folder(const char *path)
{
    char *full = at(path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        mkdir(full, 0755);
    }
    mkdir(full, 0755);
}

static void file(const char *path, const char *text, int mode)
{
    int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static char script[400];

static int start(void **state)
{
    snprintf(root, sizeof(root), "%s/detect-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(root));
    snprintf(script, sizeof(script), "#!/bin/sh\ntouch %s/ran\n", root);
    arena_init(&arena, NULL, 0);
    folder("bin");
    return 0;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *where)
{
    return remove(path);
}

static int stop(void **state)
{
    assert_int_not_equal(access(at("ran"), F_OK), 0);
    arena_end(&arena);
    return nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void finds(const char *path_list, const char *path, const char *version)
{
    struct detection d = detect_program(&arena, &program, path_list);
    char want[600];
    snprintf(want, sizeof(want), "%s%s%s", path[0] != '\0' ? root : "", path[0] != '\0' ? "/" : "", path);
    assert_string_equal(d.path.n != 0 ? d.path.p : "", want);
    assert_true(ccp_span_is(d.version, version));
}

static void npm(void **state)
{
    folder("lib/node_modules/@anthropic-ai/claude-code/dist");
    file("lib/node_modules/@anthropic-ai/claude-code/dist/cli.js", script, 0755);
    file("lib/node_modules/@anthropic-ai/claude-code/dist/package.json", "{\"type\":\"module\"}", 0644);
    file("lib/node_modules/@anthropic-ai/claude-code/package.json",
         "{\"name\":\"@anthropic-ai/claude-code\",\"version\":\"2.1.329\"}", 0644);
    assert_int_equal(symlink("../lib/node_modules/@anthropic-ai/claude-code/dist/cli.js", at("bin/claude")), 0);
    char list[900];
    snprintf(list, sizeof(list), "relative::%s:%s:/nonexistent", at("nowhere"), at("bin"));
    finds(list, "bin/claude", "2.1.329");
}

static void folder_of_versions(void **state)
{
    folder("share/claude/versions");
    file("share/claude/versions/2.1.197", script, 0755);
    assert_int_equal(symlink(at("share/claude/versions/2.1.197"), at("bin/claude")), 0);
    finds(at("bin"), "bin/claude", "2.1.197");
}

static void keg(void **state)
{
    folder("Cellar/claude/0.169.0/bin");
    file("Cellar/claude/0.169.0/bin/claude", script, 0755);
    assert_int_equal(symlink(at("Cellar/claude/0.169.0/bin/claude"), at("bin/claude")), 0);
    finds(at("bin"), "bin/claude", "0.169.0");
}

/* Somebody else's package.json above it says nothing about it. */
static void of_another_package(void **state)
{
    file("package.json", "{\"name\":\"my-app\",\"version\":\"9.9.9\"}", 0644);
    file("bin/claude", script, 0755);
    finds(at("bin"), "bin/claude", "");
}

static void strange_files(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"name\":\"@anthropic-ai/claude-code\"}",
        "{\"name\":\"@anthropic-ai/claude-code\",\"version\":5}",
        "{\"name\":\"@anthropic-ai/claude-code\",\"version\":\"\\u001b[31m\"}",
        "{\"name\":\"@anthropic-ai/claude-code\",\"version\":\"1.2.3<script>\"}",
        "{\"name\":\"@anthropic-ai/claude-code\",\"version\":\"1.2\"}",
    };
    file("bin/claude", script, 0755);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        file("bin/package.json", texts[i], 0644);
        finds(at("bin"), "bin/claude", "");
    }
    unlink(at("bin/package.json"));
    assert_int_equal(mkfifo(at("bin/package.json"), 0644), 0); /* does not hold us up */
    finds(at("bin"), "bin/claude", "");
}

static void not_there(void **state)
{
    finds(at("bin"), "", "");
    finds("", "", "");
    folder("bin/claude"); /* a folder of that name is no program */
    finds(at("bin"), "", "");
    struct detection d = detect_program(&arena, &program, NULL);
    assert_int_equal(d.path.n + d.version.n, 0);
}

/* What nobody may run is passed over for the next one. */
static void not_runnable(void **state)
{
    char list[900];
    folder("other");
    file("bin/claude", script, 0644);
    file("other/claude", script, 0755);
    snprintf(list, sizeof(list), "%s:%s", at("bin"), at("other"));
    finds(list, "other/claude", "");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {T(npm),           T(folder_of_versions), T(keg),         T(of_another_package),
                                       T(strange_files), T(not_there),          T(not_runnable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
