/*
 * Content codings: whole, cut, broken, too large, refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <base/fault.h>
#include <cmocka.h>
#include <wire/coding.h>
#include <zlib.h>
#include <zstd.h>

#define MIB (1u << 20)

static struct ccp_span gzip(struct ccp_span text)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t cap = deflateBound(&z, text.n);
    char *out = malloc(cap);
    z.next_in = (z_const Bytef *)text.p;
    z.avail_in = (unsigned)text.n;
    z.next_out = (Bytef *)out;
    z.avail_out = (unsigned)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    struct ccp_span done = {out, cap - z.avail_out};
    deflateEnd(&z);
    return done;
}

static struct ccp_span zstd(struct ccp_span text)
{
    size_t cap = ZSTD_compressBound(text.n);
    char *out = malloc(cap);
    size_t n = ZSTD_compress(out, cap, text.p, text.n, 3);
    assert_false(ZSTD_isError(n));
    return ccp_span_of(out, n);
}

static struct ccp_span pack(enum coding c, struct ccp_span text)
{
    return c == CODING_GZIP ? gzip(text) : zstd(text);
}

/* Hard to compress when `noise`, else zeros. */
static char *make(size_t n, bool noise)
{
    char *text = calloc(1, n + 1);
    uint32_t seed = 7;
    for (size_t i = 0; noise && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = (char)(seed >> 24);
    }
    return text;
}

static enum ccp_status decode(enum coding c, struct ccp_span body, unsigned ratio, size_t max, struct ccp_span want)
{
    /* Exact size, so that ASan sees a read beyond it. */
    char *copy = malloc(body.n + 1);
    if (body.n != 0)
        memcpy(copy + 1, body.p, body.n);
    struct ccp_buf out;
    buf_init(&out, max);
    enum ccp_status status = coding_decode(c, ccp_span_of(copy + 1, body.n), ratio, &out);
    assert_true(out.n <= max);
    if (status == CCP_OK)
        assert_true(ccp_span_eq(buf_span(&out), want));
    buf_release(&out);
    free(copy);
    return status;
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(coding_of(CCP_SPAN("")), CODING_IDENTITY);
    assert_int_equal(coding_of(CCP_SPAN(" Identity ")), CODING_IDENTITY);
    assert_int_equal(coding_of(CCP_SPAN("GZip")), CODING_GZIP);
    assert_int_equal(coding_of(CCP_SPAN("x-gzip")), CODING_GZIP);
    assert_int_equal(coding_of(CCP_SPAN("\tzstd")), CODING_ZSTD);
    static const char *const unknown[] = {"br", "deflate", "gzip, gzip", "gzip,", "identity, gzip", "gzipp", "zst"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_int_equal(coding_of(ccp_span_z(unknown[i])), CODING_UNKNOWN);
}

static void sizes(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 100, 65535, 65536, 65537, 200000, 3 * MIB};
    for (enum coding c = CODING_GZIP; c <= CODING_ZSTD; c++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths) * 2; i++) {
            size_t n = lengths[i / 2];
            char *text = make(n, i % 2 != 0);
            struct ccp_span plain = {text, n}, body = pack(c, plain);
            assert_int_equal(decode(c, body, 0, 8 * MIB, plain), CCP_OK);
            assert_int_equal(decode(c, body, 0, n, plain), CCP_OK); /* exactly full */
            if (n != 0)
                assert_int_equal(decode(c, body, 0, n - 1, plain), CCP_TOO_LARGE);
            free((char *)body.p);
            free(text);
        }
    }
}

static void ratio(void **state)
{
    (void)state;
    for (enum coding c = CODING_GZIP; c <= CODING_ZSTD; c++) {
        char *zeros = make(4 * MIB, false);
        struct ccp_span plain = {zeros, 4 * MIB}, body = pack(c, plain);
        assert_int_equal(decode(c, body, 100, 64 * MIB, plain), CCP_TOO_LARGE);
        assert_int_equal(decode(c, body, (unsigned)(plain.n / body.n) + 1, 64 * MIB, plain), CCP_OK);
        free((char *)body.p);
        plain.n = 65536; /* the first 64 KiB are free */
        body = pack(c, plain);
        assert_int_equal(decode(c, body, 1, 64 * MIB, plain), CCP_OK);
        free((char *)body.p);
        plain.n = 65537;
        body = pack(c, plain);
        assert_int_equal(decode(c, body, 1, 64 * MIB, plain), CCP_TOO_LARGE);
        free((char *)body.p);
        free(zeros);
    }
}

static void broken(void **state)
{
    (void)state;
    char *noise = make(3000, true);
    struct ccp_span plain = {noise, 3000};
    for (enum coding c = CODING_GZIP; c <= CODING_ZSTD; c++) {
        struct ccp_span body = pack(c, plain);
        for (size_t n = 0; n < body.n; n += n < 40 ? 1 : 97)
            assert_int_equal(decode(c, ccp_span_of(body.p, n), 0, MIB, plain), CCP_BAD_REQUEST);
        assert_int_equal(decode(c, ccp_span_of(body.p, body.n - 1), 0, MIB, plain), CCP_BAD_REQUEST);
        char *junk = malloc(body.n + 4);
        memcpy(junk, body.p, body.n);
        memcpy(junk + body.n, "junk", 4);
        assert_int_equal(decode(c, ccp_span_of(junk, body.n + 4), 0, MIB, plain), CCP_BAD_REQUEST);
        assert_int_equal(decode(c, ccp_span_of(junk, body.n + 1), 0, MIB, plain), CCP_BAD_REQUEST);
        free(junk);
        free((char *)body.p);
        assert_int_equal(decode(c, CCP_SPAN("{\"model\":\"m\"}"), 0, MIB, plain), CCP_BAD_REQUEST);
    }
    struct ccp_span body = gzip(plain); /* the checksum is looked at */
    ((char *)body.p)[body.n - 6] ^= 1;
    assert_int_equal(decode(CODING_GZIP, body, 0, MIB, plain), CCP_BAD_REQUEST);
    free((char *)body.p);
    free(noise);
}

static void members(void **state)
{
    (void)state;
    for (enum coding c = CODING_GZIP; c <= CODING_ZSTD; c++) {
        struct ccp_span a = pack(c, CCP_SPAN("one")), b = pack(c, CCP_SPAN("two")), e = pack(c, CCP_SPAN(""));
        struct ccp_buf all;
        buf_init(&all, MIB);
        assert_true(buf_add(&all, a) && buf_add(&all, e) && buf_add(&all, b));
        assert_int_equal(decode(c, buf_span(&all), 0, MIB, CCP_SPAN("onetwo")), CCP_OK);
        assert_int_equal(decode(c, buf_span(&all), 0, 6, CCP_SPAN("onetwo")), CCP_OK);
        assert_int_equal(decode(c, buf_span(&all), 0, 5, CCP_SPAN("onetwo")), CCP_TOO_LARGE);
        assert_int_equal(decode(c, ccp_span_of(all.p, all.n - 1), 0, MIB, CCP_SPAN("")), CCP_BAD_REQUEST);
        buf_release(&all);
        free((char *)a.p);
        free((char *)b.p);
        free((char *)e.p);
    }
}

/* A frame that asks for more memory than the coding allows. */
static void wide_window(void **state)
{
    (void)state;
    size_t n = 20 * MIB;
    char *text = make(n, true), *packed = malloc(ZSTD_compressBound(n));
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, 24);
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, 0);
    size_t size = ZSTD_compress2(ctx, packed, ZSTD_compressBound(n), text, n);
    assert_false(ZSTD_isError(size));
    assert_int_equal(decode(CODING_ZSTD, ccp_span_of(packed, size), 0, 64 * MIB, ccp_span_of(text, n)),
                     CCP_BAD_REQUEST);
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, 23);
    size = ZSTD_compress2(ctx, packed, ZSTD_compressBound(n), text, n);
    assert_int_equal(decode(CODING_ZSTD, ccp_span_of(packed, size), 0, 64 * MIB, ccp_span_of(text, n)), CCP_OK);
    ZSTD_freeCCtx(ctx);
    free(packed);
    free(text);
}

static void others(void **state)
{
    (void)state;
    assert_int_equal(decode(CODING_IDENTITY, CCP_SPAN("abc"), 0, 3, CCP_SPAN("abc")), CCP_OK);
    assert_int_equal(decode(CODING_IDENTITY, CCP_SPAN("abc"), 0, 2, CCP_SPAN("")), CCP_TOO_LARGE);
    assert_int_equal(decode(CODING_UNKNOWN, CCP_SPAN("abc"), 0, 3, CCP_SPAN("")), CCP_BAD_ENCODING);
    struct ccp_span body = gzip(CCP_SPAN("abc"));
    struct ccp_buf out;
    buf_init(&out, 6);
    assert_true(buf_addz(&out, "xyz")); /* appends, within what is left */
    assert_int_equal(coding_decode(CODING_GZIP, body, 0, &out), CCP_OK);
    assert_true(ccp_span_is(buf_span(&out), "xyzabc"));
    assert_int_equal(coding_decode(CODING_GZIP, body, 0, &out), CCP_TOO_LARGE);
    buf_release(&out);
    free((char *)body.p);
}

#ifdef CCP_FAULTS
static void no_memory(void **state)
{
    (void)state;
    static const char *const points[] = {"coding.inflate:*", "coding.zstd:*", "buf.reserve:*"};
    for (size_t i = 0; i < 4; i++) {
        enum coding c = i % 2 == 0 ? CODING_GZIP : CODING_ZSTD;
        struct ccp_span body = pack(c, CCP_SPAN("abc"));
        fault_arm(points[i < 2 ? i : 2]);
        assert_int_equal(decode(c, body, 0, MIB, CCP_SPAN("abc")), CCP_OVERLOADED);
        fault_arm(NULL);
        assert_int_equal(decode(c, body, 0, MIB, CCP_SPAN("abc")), CCP_OK);
        free((char *)body.p);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),     cmocka_unit_test(sizes),       cmocka_unit_test(ratio),  cmocka_unit_test(broken),
        cmocka_unit_test(members),   cmocka_unit_test(wide_window), cmocka_unit_test(others),
#ifdef CCP_FAULTS
        cmocka_unit_test(no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
