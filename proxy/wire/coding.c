/*
 * Content codings, decoded whole and within a limit (RFC 9110 section 8.4, RFC 8878, RFC 9659).
 *
 * The limit is known before the first byte is decoded: what the buffer may still hold, or the ratio's share of
 * it. One byte more than that is asked for only to tell "exactly full" from "too much".
 */
#include <base/fault.h>
#include <wire/coding.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define FREE_OUTPUT (64 * 1024)
#define STEP        (64 * 1024)
#define ZSTD_WINDOW 23 /* log2 of 8 MiB */

struct decoding {
    struct ccp_span in;
    struct ccp_buf *out;
    size_t left; /* bytes that may still come out */
};

enum coding coding_of(struct ccp_span value)
{
    value = ccp_span_trim(value);
    if (value.n == 0 || ccp_span_ieq(value, CCP_SPAN("identity")))
        return CODING_IDENTITY;
    if (ccp_span_ieq(value, CCP_SPAN("gzip")) || ccp_span_ieq(value, CCP_SPAN("x-gzip")))
        return CODING_GZIP;
    return ccp_span_ieq(value, CCP_SPAN("zstd")) ? CODING_ZSTD : CODING_UNKNOWN;
}

/* Room for the next piece: up to STEP bytes of `out`, or when that is full the one byte of `probe`. n = 0:
 * memory refused. */
static size_t next_room(struct decoding *d, char *probe, char **to)
{
    if (d->left == 0) {
        *to = probe;
        return 1;
    }
    /* Grow by what is there, so that a large body is moved a few times only; take what the buffer then has. */
    size_t want = d->out->n > STEP ? d->out->n : STEP;
    if (want > d->left)
        want = d->left;
    if (!buf_reserve(d->out, want))
        return 0;
    *to = d->out->p + d->out->n;
    return want;
}

static enum ccp_status took(struct decoding *d, const char *to, const char *probe, size_t n)
{
    if (to == probe)
        return n != 0 ? CCP_TOO_LARGE : CCP_OK;
    d->out->n += n;
    d->left -= n;
    return CCP_OK;
}

/* One round: as much as fits into the room. *ended: the stream is at a member's end. */
static enum ccp_status inflate_round(z_stream *z, struct decoding *d, bool *ended)
{
    char probe, *to;
    size_t room = next_room(d, &probe, &to);
    if (room == 0)
        return CCP_OVERLOADED;
    unsigned in = d->in.n > STEP ? STEP : (unsigned)d->in.n;
    z->next_in = (z_const Bytef *)d->in.p;
    z->avail_in = in;
    z->next_out = (Bytef *)to;
    z->avail_out = room > UINT32_MAX ? UINT32_MAX : (unsigned)room;
    unsigned offered = z->avail_out;
    int result = inflate(z, Z_NO_FLUSH);
    d->in = ccp_span_skip(d->in, in - z->avail_in);
    enum ccp_status status = took(d, to, &probe, offered - z->avail_out);
    if (status != CCP_OK)
        return status;
    *ended = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR)
        return CCP_OVERLOADED;
    /* No progress means that the input ended too early. */
    return result == Z_OK || result == Z_STREAM_END ? CCP_OK : CCP_BAD_REQUEST;
}

static enum ccp_status decode_gzip(struct decoding *d)
{
    z_stream z = {0};
    if (CCP_FAULT("coding.inflate") || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return CCP_OVERLOADED;
    enum ccp_status status;
    bool ended = false;
    do {
        if (ended)
            inflateReset(&z);
        status = inflate_round(&z, d, &ended);
    } while (status == CCP_OK && (!ended || d->in.n != 0));
    inflateEnd(&z);
    return status;
}

static enum ccp_status zstd_failure(size_t code)
{
    return ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? CCP_OVERLOADED : CCP_BAD_REQUEST;
}

static enum ccp_status zstd_round(ZSTD_DCtx *ctx, struct decoding *d, bool *ended)
{
    char probe, *to;
    size_t room = next_room(d, &probe, &to);
    if (room == 0)
        return CCP_OVERLOADED;
    ZSTD_inBuffer in = {d->in.p, d->in.n, 0};
    ZSTD_outBuffer out = {to, room, 0};
    size_t result = ZSTD_decompressStream(ctx, &out, &in);
    if (ZSTD_isError(result))
        return zstd_failure(result);
    d->in = ccp_span_skip(d->in, in.pos);
    *ended = result == 0;
    if (!*ended && in.pos == 0 && out.pos == 0)
        return CCP_BAD_REQUEST; /* it wants more than there is */
    return took(d, to, &probe, out.pos);
}

static enum ccp_status decode_zstd(struct decoding *d)
{
    ZSTD_DCtx *ctx = CCP_FAULT("coding.zstd") ? NULL : ZSTD_createDCtx();
    if (ctx == NULL)
        return CCP_OVERLOADED;
    enum ccp_status status = CCP_OK;
    bool ended = false;
    ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW);
    do {
        status = zstd_round(ctx, d, &ended);
    } while (status == CCP_OK && (!ended || d->in.n != 0));
    ZSTD_freeDCtx(ctx);
    return status;
}

enum ccp_status coding_decode(enum coding coding, struct ccp_span body, unsigned ratio, struct ccp_buf *out)
{
    struct decoding d = {body, out, out->max - out->n};
    size_t share = ratio == 0 || body.n > SIZE_MAX / ratio ? SIZE_MAX : body.n * ratio;
    if (share < FREE_OUTPUT)
        share = FREE_OUTPUT;
    if (d.left > share)
        d.left = share;
    if (out->failed)
        return CCP_OVERLOADED;
    switch (coding) {
    case CODING_IDENTITY:
        if (body.n > out->max - out->n)
            return CCP_TOO_LARGE;
        return buf_add(out, body) ? CCP_OK : CCP_OVERLOADED;
    case CODING_GZIP:
        return body.n != 0 ? decode_gzip(&d) : CCP_BAD_REQUEST;
    case CODING_ZSTD:
        return body.n != 0 ? decode_zstd(&d) : CCP_BAD_REQUEST;
    default:
        return CCP_BAD_ENCODING;
    }
}
