/*
 * Content codings: broken input ends in a status, never beyond the limits; what was packed comes out again.
 */
#include "fuzz.h"

#include <wire/coding.h>
#include <zlib.h>
#include <zstd.h>

static void any_bytes(enum coding coding, struct ccp_span body, unsigned ratio, size_t max)
{
    struct ccp_buf out;
    buf_init(&out, max);
    enum ccp_status status = coding_decode(coding, body, ratio, &out);
    MUST(status == CCP_OK || status == CCP_BAD_REQUEST || status == CCP_TOO_LARGE);
    MUST(out.n <= max && !out.failed);
    MUST(ratio == 0 || out.n <= 65536 || out.n <= body.n * ratio);
    buf_release(&out);
}

static size_t pack(enum coding coding, struct ccp_span text, char *to, size_t cap)
{
    if (coding == CODING_ZSTD)
        return ZSTD_compress(to, cap, text.p, text.n, 1);
    z_stream z = {0};
    MUST(deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (z_const Bytef *)text.p;
    z.avail_in = (unsigned)text.n;
    z.next_out = (Bytef *)to;
    z.avail_out = (unsigned)cap;
    MUST(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return cap - z.avail_out;
}

static void round_trip(enum coding coding, struct ccp_span text)
{
    size_t cap = text.n + text.n / 8 + 1024;
    char *packed = malloc(cap);
    struct ccp_span body = {packed, pack(coding, text, packed, cap)};
    struct ccp_buf out;
    buf_init(&out, text.n);
    MUST(coding_decode(coding, body, 0, &out) == CCP_OK && ccp_span_eq(buf_span(&out), text));
    buf_release(&out);
    buf_init(&out, text.n);
    MUST(coding_decode(coding, ccp_span_of(packed, body.n - 1), 0, &out) == CCP_BAD_REQUEST);
    buf_release(&out);
    if (text.n != 0) {
        buf_init(&out, text.n - 1);
        MUST(coding_decode(coding, body, 0, &out) == CCP_TOO_LARGE);
        buf_release(&out);
    }
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct ccp_span body = {(const char *)data + 2, size - 2};
    enum coding coding = data[0] % 2 != 0 ? CODING_GZIP : CODING_ZSTD;
    any_bytes(coding, body, data[1] % 8, data[0] < 128 ? (size_t)1 << 20 : (size_t)data[1] * 300);
    round_trip(coding, body);
    MUST(coding_of(body) <= CODING_UNKNOWN);
    return 0;
}
