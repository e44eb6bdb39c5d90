/* Sizes, durations, and the nearest name. */
#include <config/config_impl.h>

#include "support.h"

static void size_is(const char *text, uint64_t wanted)
{
    uint64_t v = 1;
    assert_null(units_size(ccp_span_z(text), &v));
    assert_int_equal(v, wanted);
}

static void sizes(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "x",
                                      "-1",
                                      "1x",
                                      "1 KiB KiB",
                                      "1.",
                                      ".5",
                                      "1..5",
                                      "1e3",
                                      "KiB",
                                      "/s",
                                      "1/m",
                                      "99999999999999999999999",
                                      "9223372036854775808",
                                      "8388608TiB"};
    uint64_t v;
    size_is("0", 0);
    size_is("65536", 65536);
    size_is("1k", 1024);
    size_is(" 1 KiB ", 1024);
    size_is("1KiB/s", 1024);
    size_is("1.5MiB", 1572864);
    size_is("2mb", 2000000);
    size_is("9223372036854775807", INT64_MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (units_size(ccp_span_z(bad[i]), &v) == NULL)
            fail_msg("\"%s\" was taken", bad[i]);
}

static void duration_is(const char *text, uint64_t wanted)
{
    uint64_t v = 1;
    assert_null(units_duration(ccp_span_z(text), &v));
    assert_int_equal(v, wanted);
}

static void durations(void **state)
{
    static const char *const bad[] = {"", "s", "1y", "1h30", "-1s", "1 s s", "soon", "10s,", "999999999999999999d"};
    uint64_t v;
    duration_is("0", 0);
    duration_is("30", 30000);
    duration_is("500ms", 500);
    duration_is("1.5s", 1500);
    duration_is("1h30m", 5400000);
    duration_is("2 min", 120000);
    duration_is("1D", 86400000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (units_duration(ccp_span_z(bad[i]), &v) == NULL)
            fail_msg("\"%s\" was taken", bad[i]);
}

static void shown_reads_back(void **state)
{
    static const uint64_t some[] = {0,     1,     999,     1000,    1023,       1024,     1536,
                                    60000, 90000, 3600000, 1 << 20, 1ull << 40, 86400000, INT64_MAX};
    char room[32];
    uint64_t v;
    for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++) {
        assert_null(units_size(units_show_size(some[i], room, sizeof(room)), &v));
        assert_int_equal(v, some[i]);
        assert_null(units_duration(units_show_duration(some[i], room, sizeof(room)), &v));
        assert_int_equal(v, some[i]);
    }
    assert_span(units_show_size(1 << 20, room, sizeof(room)), "1MiB");
    assert_span(units_show_duration(1500, room, sizeof(room)), "1500ms");
}

static const char *near(const char *name)
{
    static const char *const known[] = {"port", "host", "workers", "max_body_bytes", "http2", "h2c"};
    return config_nearest(ccp_span_z(name), known, 6);
}

static void nearest(void **state)
{
    assert_string_equal(near("prot"), "port");
    assert_string_equal(near("Host"), "host");
    assert_string_equal(near("worker"), "workers");
    assert_string_equal(near("max-body-bytes"), "max_body_bytes");
    assert_string_equal(near("max_body_byte"), "max_body_bytes");
    assert_string_equal(near("http"), "http2");
    assert_null(near("zzz"));
    assert_null(near(""));
    assert_null(near("completely_different"));
    assert_null(near("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(shown_reads_back),
        cmocka_unit_test(nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
