/*
 * ccproxy.toml.example in the tree is what `ccproxy config example` prints, and a valid configuration as it stands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define EXAMPLE FIXTURES "/../../ccproxy.toml.example"

/* The program's own files are not in a library. */
#include "../../../proxy/app/example.c"

static void read_file(struct ccp_buf *out)
{
    char piece[4096];
    size_t n;
    FILE *f = fopen(EXAMPLE, "r");
    assert_non_null(f);
    while ((n = fread(piece, 1, sizeof(piece), f)) != 0)
        buf_add(out, ccp_span_of(piece, n));
    fclose(f);
}

static void test_no_drift(void **state)
{
    struct ccp_buf printed, stored;
    buf_init(&printed, 1 << 20);
    buf_init(&stored, 1 << 20);
    assert_true(example_text(&printed));
    read_file(&stored);
    if (!ccp_span_eq(buf_span(&printed), buf_span(&stored)))
        fail_msg("ccproxy.toml.example is not what `ccproxy config example` prints: write it anew");
    buf_release(&printed);
    buf_release(&stored);
}

static void test_is_valid(void **state)
{
    struct config *c = config_load(&(struct config_source){.file = EXAMPLE});
    assert_non_null(c);
    struct runtime *rt = runtime_bind(c);
    assert_non_null(rt);
    size_t n;
    const struct config_fault *faults = config_faults(rt->config, &n);
    if (n != 0)
        fail_msg("%.*s", CCP_FMT(faults[0].text));
    runtime_unref(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_drift),
        cmocka_unit_test(test_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
