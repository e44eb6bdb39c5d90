/*
 * Budgets for HTTP/2 (RFC 9113 section 10.5): how many frames a header block may come in, and how many frames of
 * the kinds that cost much and say little a client may send in ten seconds.
 *
 * A refusal is a connection error: h2o sends GOAWAY with the code and text and closes. Resets are counted
 * where streams are reset, so that a client that makes the server reset (MadeYouReset) is counted like one that
 * resets by itself.
 */
#include <http/guard_impl.h>

#include <base/assert.h>

#include <dlfcn.h>
#include <h2o.h>
#include <h2o/http2.h>

#define RESETS_MAX       100
#define CONTROL_MAX      1000
#define ZERO_UPDATES_MAX 10
#define TABLE_SIZE_MIN   4096 /* the size h2o compresses with, whatever the client announces */
#define EMPTY_DATA_MAX   1000
#define BLOCK_FRAMES_MAX 8

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

struct guard_frame { /* as the library's h2o_http2_frame_t */
    uint32_t length;
    uint8_t type, flags;
    uint32_t stream_id;
    const uint8_t *payload;
};

typedef ssize_t decode_frame_fn(struct guard_frame *, const uint8_t *, size_t, const h2o_http2_settings_t *,
                                const char **);

void guard_forget_body(struct guard *g, uint32_t stream)
{
    for (unsigned i = 0; i < g->body_n; i++) {
        if (g->bodies[i] == stream) {
            g->bodies[i] = g->bodies[--g->body_n];
            return;
        }
    }
}

static void note_headers(struct guard *g, const struct guard_frame *f)
{
    g->end_stream = (f->flags & END_STREAM) != 0;
    g->block_open = (f->flags & END_HEADERS) == 0;
    g->block_bytes = f->length;
    g->block_frames = 0;
    if (g->end_stream)
        guard_forget_body(g, f->stream_id);
    if (f->stream_id <= g->top_stream)
        return; /* trailers */
    g->top_stream = f->stream_id;
    g->count.headers++;
    if (!g->end_stream && g->body_n < GUARD_STREAMS)
        g->bodies[g->body_n++] = f->stream_id;
}

static const char *note_continuation(struct guard *g, const struct guard_frame *f)
{
    g->block_open = (f->flags & END_HEADERS) == 0;
    g->block_bytes += f->length;
    if (++g->block_frames > BLOCK_FRAMES_MAX)
        return "too many CONTINUATION frames";
    return g->block_bytes > GUARD_HEAD_MAX ? "header block too large" : NULL;
}

/* Padding alone is no body either. */
static bool data_is_empty(const struct guard_frame *f)
{
    return f->length == 0 || ((f->flags & PADDED) && f->length == 1u + f->payload[0]);
}

static const char *note_data(struct guard *g, const struct guard_frame *f)
{
    if (f->flags & END_STREAM)
        guard_forget_body(g, f->stream_id);
    else if (data_is_empty(f) && ++g->count.empty_data > EMPTY_DATA_MAX)
        return "too many empty DATA frames";
    return NULL;
}

static const char *note_window_update(struct guard *g, const struct guard_frame *f)
{
    bool zero =
        f->length == 4 && (f->payload[0] & 0x7f) == 0 && f->payload[1] == 0 && f->payload[2] == 0 && f->payload[3] == 0;
    return zero && ++g->count.zero_updates > ZERO_UPDATES_MAX ? "too many empty window updates" : NULL;
}

/* A client with a smaller table could not decode our answers. */
static bool table_size_ok(const struct guard_frame *f)
{
    for (uint32_t i = 0; i + 6 <= f->length; i += 6) {
        const uint8_t *p = f->payload + i;
        uint32_t value = (uint32_t)p[2] << 24 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 8 | p[5];
        if (p[0] == 0 && p[1] == H2O_HTTP2_SETTINGS_HEADER_TABLE_SIZE && value < TABLE_SIZE_MIN)
            return false;
    }
    return true;
}

/* NULL = fine. */
static const char *note_frame(struct guard *g, const struct guard_frame *f)
{
    switch (f->type) {
    case DATA:
        return note_data(g, f);
    case HEADERS:
        note_headers(g, f);
        return g->block_bytes > GUARD_HEAD_MAX ? "header block too large" : NULL;
    case CONTINUATION:
        return note_continuation(g, f);
    case RST_STREAM:
        guard_forget_body(g, f->stream_id);
        return ++g->count.control > CONTROL_MAX ? "too many control frames" : NULL;
    case SETTINGS:
        if (!table_size_ok(f))
            return "a header table below 4096 bytes is not supported";
        /* fall through */
    case PRIORITY:
    case PING:
    case GOAWAY:
        return ++g->count.control > CONTROL_MAX ? "too many control frames" : NULL;
    case WINDOW_UPDATE:
        return note_window_update(g, f);
    case PUSH_PROMISE:
        return NULL;
    default:
        return NULL;
    }
}

/* h2o prints a line on stderr for each frame of a type it does not know; as the answer to a PING nobody sent,
 * such a frame is ignored in silence. */
static void hush(struct guard_frame *f)
{
    static const uint8_t nothing[8];
    if (f->type > CONTINUATION)
        *f = (struct guard_frame){.length = 8, .type = PING, .flags = ACK, .payload = nothing};
}

static const char *judge(struct guard *g, const struct guard_frame *f)
{
    uint64_t now = guard_now(g);
    if (now - g->window_began >= GUARD_WINDOW_MS) {
        g->window_began = now;
        memset(&g->count, 0, sizeof(g->count));
    }
    g->h2 = true;
    g->stream_id = f->stream_id;
    const char *why = note_frame(g, f);
    if (why == NULL && g->count.resets > RESETS_MAX && g->count.resets * 2 > g->count.headers)
        why = "too many resets";
    if (why == NULL && g->count.answered_resets > CONTROL_MAX)
        why = "too many frames on streams that are closed";
    return why;
}

/* A frame that is not here in full holds up the header deadline, unless it is the client's body. */
static void note_partial(struct guard *g, const uint8_t *src, size_t len)
{
    g->h2 = true;
    g->head_pending = len < 9 || src[3] != DATA || g->block_open;
}

/* From guard_reset_stream: the first frame that is read is ours, and h2o answers it before it reads the next. */
static bool frame_is_ours(struct guard *g)
{
    g->own_frame = g->own_frame == GUARD_OWN_NEXT ? GUARD_OWN_NOW : GUARD_OWN_NONE;
    return g->own_frame == GUARD_OWN_NOW;
}

GUARD_EXPORT ssize_t h2o_http2_decode_frame(struct guard_frame *frame, const uint8_t *src, size_t len,
                                            const h2o_http2_settings_t *settings, const char **err)
{
    static _Atomic(void *) real; /* see guard_next_symbol */
    ssize_t n = ((decode_frame_fn *)guard_next_symbol(&real, "h2o_http2_decode_frame"))(frame, src, len, settings, err);
    struct guard *g = guard_current();
    if (g == NULL || frame_is_ours(g))
        return n;
    if (n == H2O_HTTP2_ERROR_INCOMPLETE)
        note_partial(g, src, len);
    if (n < 0)
        return n;
    if (!g->greeted && (frame->type != SETTINGS || (frame->flags & ACK))) { /* RFC 9113 section 3.4 */
        *err = "the first frame must be SETTINGS";
        return H2O_HTTP2_ERROR_PROTOCOL;
    }
    g->greeted = true;
    const char *why = judge(g, frame);
    g->head_pending = g->block_open;
    if (why == NULL) {
        hush(frame);
        return n;
    }
    *err = why;
    return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
}
