/*
 * The log: one call is one line whatever the text holds, JSON lines parse, a full ring drops and counts, files are
 * private and can be reopened. What is held back per kind is in test_log_limit.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <base/clock.h>
#include <base/log.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/ccproxy-test-log-XXXXXX";
static char file[64], moved[64];
static char text[1 << 20];

static int make_dir(void **state)
{
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(file, sizeof(file), "%s/log", dir);
    snprintf(moved, sizeof(moved), "%s/log.1", dir);
    return 0;
}

static int remove_dir(void **state)
{
    unlink(file);
    unlink(moved);
    return rmdir(dir);
}

static void use(enum ccp_log_level level, enum log_format format, const char *where)
{
    struct log_options o = {level, format, where};
    assert_null(log_configure(&o));
}

static const char *contents(const char *name)
{
    int fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    close(fd);
    text[n] = '\0';
    return text;
}

static void fresh(enum ccp_log_level level, enum log_format format)
{
    unlink(file);
    use(level, format, file);
}

static const char *escaped(struct ccp_span s, bool json)
{
    static char out[512];
    size_t n = log_escape(out, sizeof(out) - 1, s, json);
    out[n] = '\0';
    return out;
}

static void escapes(void **state)
{
    assert_string_equal(escaped(CCP_SPAN("plain text"), false), "plain text");
    assert_string_equal(escaped(CCP_SPAN("a\nb\r\x1b[31m\x7f"), false), "a\\x0ab\\x0d\\x1b[31m\\x7f");
    assert_string_equal(escaped(ccp_span_of("a\0b", 3), false), "a\\x00b");
    assert_string_equal(escaped(CCP_SPAN("say \"x\" \\ "), false), "say \"x\" \\ ");
    assert_string_equal(escaped(CCP_SPAN("say \"x\" \\ \n"), true), "say \\\"x\\\" \\\\ \\u000a");
    assert_string_equal(escaped(CCP_SPAN("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"), true),
                        "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void escapes_what_deceives(void **state)
{
    static const char *const hostile[] = {
        "\x80",
        "\xff",
        "\xc0\xaf",
        "\xc3",
        "\xe2\x82",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xe0\x80\x80",
        "\xf0\x80\x80\x80",
        "\xc2\x85", /* next line */
        "\xe2\x80\xa8",
        "\xe2\x80\xa9", /* line, paragraph separator */
        "\xe2\x80\xae",
        "\xe2\x80\xaa", /* overrides */
        "\xe2\x81\xa6",
        "\xe2\x81\xa9", /* isolates */
        "\xe2\x80\x8e",
        "\xe2\x80\x8f",
        "\xd8\x9c",     /* marks of direction */
        "\xef\xbb\xbf", /* byte order mark */
    };
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        for (int json = 0; json < 2; json++) {
            const char *got = escaped(ccp_span_z(hostile[i]), json);
            for (const char *p = got; *p != '\0'; p++)
                assert_true((unsigned char)*p < 0x80);
            assert_int_equal(strlen(got), strlen(hostile[i]) * (json ? 6 : 4));
        }
}

static void escape_keeps_its_limit(void **state)
{
    char out[64], input[64];
    memset(input, 1, sizeof(input));
    for (size_t max = 0; max < sizeof(out); max++) {
        memset(out, '~', sizeof(out));
        size_t n = log_escape(out, max, ccp_span_of(input, sizeof(input)), true);
        assert_true(n <= max);
        for (size_t i = max; i < sizeof(out); i++)
            assert_int_equal(out[i], '~');
    }
}

/* Random bytes in the message: each line is JSON with exactly our four members. */
static void json_lines(void **state)
{
    fresh(CCP_LOG_DEBUG, LOG_JSON);
    unsigned r = 7;
    for (int i = 0; i < 200; i++) {
        char hostile[100];
        for (size_t k = 0; k + 1 < sizeof(hostile); k++) {
            r = r * 1103515245u + 12345u;
            hostile[k] = (char)((r >> 16) % 255 + 1);
        }
        hostile[sizeof(hostile) - 1] = '\0';
        log_write(CCP_LOG_WARN, "test", "%d %s", i, hostile);
    }
    int lines = 0;
    char *save = NULL;
    contents(file);
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save), lines++) {
        json_error_t error;
        json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        if (o == NULL)
            fail_msg("%s in %s", error.text, line);
        assert_int_equal(json_object_size(o), 4);
        assert_string_equal(json_string_value(json_object_get(o, "level")), "warn");
        assert_string_equal(json_string_value(json_object_get(o, "area")), "test");
        assert_int_equal(strtol(json_string_value(json_object_get(o, "message")), NULL, 10), lines);
        assert_int_equal(strlen(json_string_value(json_object_get(o, "time"))), 24);
        json_decref(o);
    }
    assert_int_equal(lines, 200);
}

static void long_text_is_cut_not_broken(void **state)
{
    fresh(CCP_LOG_INFO, LOG_JSON);
    char big[6000];
    memset(big, '"', sizeof(big));
    log_info("test", "%.*s", (int)sizeof(big), big);
    contents(file);
    assert_int_equal(text[strlen(text) - 1], '\n');
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    json_decref(o);
}

static void levels(void **state)
{
    fresh(CCP_LOG_WARN, LOG_TEXT);
    assert_false(log_enabled(CCP_LOG_INFO));
    assert_true(log_enabled(CCP_LOG_WARN));
    log_debug("test", "no");
    log_info("test", "no");
    log_warn("test", "one");
    log_error("test", "two");
    contents(file);
    assert_null(strstr(text, "no"));
    assert_non_null(strstr(text, "warn  test: one\n"));
    assert_non_null(strstr(text, "error test: two\n"));
    use(CCP_LOG_OFF, LOG_TEXT, file);
    log_error("test", "three");
    log_write(CCP_LOG_OFF, "test", "four");
    contents(file);
    assert_null(strstr(text, "three"));
    assert_null(strstr(text, "four"));
}

static void private_file_and_failures(void **state)
{
    fresh(CCP_LOG_INFO, LOG_TEXT);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct log_options wrong = {CCP_LOG_ERROR, LOG_JSON, "/nonexistent/dir/log"};
    assert_non_null(log_configure(&wrong));
    assert_true(log_enabled(CCP_LOG_INFO)); /* the old options stayed */
    assert_int_equal(log_current_format(), LOG_TEXT);
    log_info("test", "still here");
    assert_non_null(strstr(contents(file), "still here"));
}

static void reopens(void **state)
{
    fresh(CCP_LOG_INFO, LOG_TEXT);
    unlink(moved);
    log_info("test", "before");
    assert_int_equal(rename(file, moved), 0);
    log_info("test", "between");
    assert_null(log_reopen());
    log_info("test", "after");
    assert_non_null(strstr(contents(moved), "between"));
    assert_null(strstr(text, "after"));
    assert_non_null(strstr(contents(file), "after"));
    assert_null(strstr(text, "between"));
}

/* Back to standard error: the file gets nothing more. */
static void leaves_its_file(void **state)
{
    fresh(CCP_LOG_INFO, LOG_TEXT);
    int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    use(CCP_LOG_INFO, LOG_TEXT, NULL);
    log_info("test", "elsewhere");
    use(CCP_LOG_INFO, LOG_TEXT, file);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(null);
    log_info("test", "back");
    assert_null(strstr(contents(file), "elsewhere"));
    assert_non_null(strstr(text, "back"));
}

static void *talk(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_bulk(CCP_LOG_INFO, "test", "thread %s line %d", (const char *)arg, i);
    return NULL;
}

/* Several threads, started and stopped twice: every line arrives whole and in its thread's order. */
static void threads(void **state)
{
    fresh(CCP_LOG_INFO, LOG_TEXT);
    for (int round = 0; round < 2; round++) {
        pthread_t t[3];
        assert_true(log_start());
        pthread_create(&t[0], NULL, talk, "A");
        pthread_create(&t[1], NULL, talk, "B");
        pthread_create(&t[2], NULL, talk, "C");
        talk("M");
        for (int i = 0; i < 3; i++)
            pthread_join(t[i], NULL);
        log_stop();
    }
    log_stop(); /* harmless */
    int next[128] = {0}, lines = 0;
    char *save = NULL;
    contents(file);
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save), lines++) {
        const char *at = strstr(line, "test: thread ");
        assert_non_null(at);
        unsigned char who = (unsigned char)at[13];
        assert_int_equal(strtol(at + 20, NULL, 10), next[who] % 500);
        next[who]++;
    }
    assert_int_equal(lines, 2 * 4 * 500);
    assert_int_equal(log_dropped(), 0);
}

/* A reader that does not read: lines are dropped and counted, and no call blocks. */
static void full_ring_drops(void **state)
{
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int reader = open(fifo, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    use(CCP_LOG_INFO, LOG_TEXT, fifo);
    assert_true(log_start());
    uint64_t before = log_dropped();
    for (int i = 0; i < 20000; i++)
        log_bulk(CCP_LOG_INFO, "test", "line %d with some more text to fill the ring", i);
    uint64_t dropped = log_dropped() - before;
    assert_true(dropped > 1000);
    assert_true(dropped < 20000);
    /* read everything: what was not dropped is there, whole, and a last line that tells how many were */
    size_t lines = 0;
    fcntl(reader, F_SETFL, 0);
    while (lines + dropped < 20001) {
        ssize_t n = read(reader, text, sizeof(text));
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    }
    assert_int_equal(lines + dropped, 20001);
    log_stop();
    use(CCP_LOG_INFO, LOG_TEXT, file);
    close(reader);
    unlink(fifo);
}

/* Nobody reads and nobody will: a stop still ends, and what is left over counts as lost. */
static void stop_does_not_wait_for_a_reader(void **state)
{
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int reader = open(fifo, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    use(CCP_LOG_INFO, LOG_TEXT, fifo);
    assert_true(log_start());
    uint64_t before = log_dropped(), began = clock_ms();
    for (int i = 0; i < 3000; i++)
        log_bulk(CCP_LOG_INFO, "test", "line %d with some more text to fill the pipe", i);
    log_stop();
    assert_true(clock_ms() - began < 5000);
    assert_true(log_dropped() > before);
    use(CCP_LOG_INFO, LOG_TEXT, file);
    close(reader);
    unlink(fifo);
}

static size_t whole_lines(const char *p)
{
    size_t lines = 0;
    for (const char *end; *p != '\0'; p = end + 1, lines++) {
        end = strchr(p, '\n');
        assert_non_null(end);
        assert_int_equal(*p, '2'); /* a year of this century: nothing begins in the middle */
    }
    return lines;
}

/* A file that may not grow: whole lines only, the rest is counted; when it may again, one line tells how many. */
static void full_disk_leaves_whole_lines(void **state)
{
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 10000, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    fresh(CCP_LOG_INFO, LOG_TEXT);
    assert_true(log_start());
    uint64_t before = log_dropped();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 400; i++)
        log_bulk(CCP_LOG_INFO, "test", "line %d", i);
    for (int i = 0; i < 500 && log_dropped() == before; i++)
        usleep(10000);
    usleep(20000);
    size_t kept = whole_lines(contents(file));
    uint64_t dropped = log_dropped() - before;
    assert_true(dropped > 0);
    assert_int_equal(kept + dropped, 400);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_info("test", "space again");
    log_stop();
    contents(file);
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "log: %llu lines were lost", (unsigned long long)dropped);
    assert_non_null(strstr(text, "space again"));
    assert_non_null(strstr(text, wanted));
    assert_int_equal(whole_lines(text), kept + 2);
}

static void ready_lines(void **state)
{
    fresh(CCP_LOG_ERROR, LOG_TEXT);
    log_line("access_log", CCP_SPAN("GET / 200"));
    assert_string_equal(contents(file), "GET / 200\n");
}

/* ---- the tap ---- */

static struct {
    char text[4096];
    int lines;
} tapped;

static void on_line(void *self, const struct log_tapped *line)
{
    size_t n = strlen(tapped.text);
    assert_ptr_equal(self, &tapped);
    assert_true(line->unix_us != 0);
    snprintf(tapped.text + n, sizeof(tapped.text) - n, "[%d %.*s|%.*s%s%s]", (int)line->level, (int)line->who.n,
             line->who.p, (int)line->text.n, line->text.p, line->json ? " json" : "", line->bulk ? " bulk" : "");
    tapped.lines++;
}

/* The tap sees each line with its parts, in both formats, but only while lines are wanted; the log stays as it is. */
static void tap_sees_lines(void **state)
{
    static const char *const expected[] = {
        "[1 http|a\\x0ab \"q\"][3 x|two][1 access_log|GET / 200][1 api|body bulk]",
        "[1 http|a\\u000ab \\\"q\\\" json][3 x|two json][1 access_log|GET / 200][1 api|body json bulk]",
    };
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        fresh(CCP_LOG_INFO, (enum log_format)format);
        memset(&tapped, 0, sizeof(tapped));
        assert_true(log_start());
        log_set_tap(on_line, &tapped);
        log_info("http", "nobody wants it");
        usleep(50000);
        log_tap_wanted(true);
        log_info("http", "a\nb \"q\"");
        log_error("x", "two");
        log_line("access_log", CCP_SPAN("GET / 200"));
        log_bulk(CCP_LOG_INFO, "api", "body");
        log_stop();
        log_tap_wanted(false);
        log_set_tap(NULL, NULL);
        assert_string_equal(tapped.text, expected[format]);
        contents(file);
        assert_non_null(strstr(text, "nobody wants it"));
        assert_non_null(strstr(text, "\nGET / 200\n"));
        assert_null(strstr(text, "access_log"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),
        cmocka_unit_test(escapes_what_deceives),
        cmocka_unit_test(escape_keeps_its_limit),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(long_text_is_cut_not_broken),
        cmocka_unit_test(levels),
        cmocka_unit_test(private_file_and_failures),
        cmocka_unit_test(reopens),
        cmocka_unit_test(leaves_its_file),
        cmocka_unit_test(threads),
        cmocka_unit_test(full_ring_drops),
        cmocka_unit_test(stop_does_not_wait_for_a_reader),
        cmocka_unit_test(full_disk_leaves_whole_lines),
        cmocka_unit_test(ready_lines),
        cmocka_unit_test(tap_sees_lines),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
