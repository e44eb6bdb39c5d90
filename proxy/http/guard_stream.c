/*
 * The end of single streams: which resets count, and how to reset a stream when h2o offers no way to.
 *
 * h2o has no function that resets a stream from outside, and its answer cannot be finished while the client keeps
 * its window shut. But h2o answers a WINDOW_UPDATE of 0 with RST_STREAM (RFC 9113 section 6.9). So such a frame is
 * put in front of what the connection still has to read and h2o's own read callback is run, as h2o itself does
 * with bytes that came along with an upgrade. Between two frames that is always a frame boundary.
 *
 * What must stay true: no frame is put into a header block, nor where a write is stuck (nothing would be freed).
 */
#include <http/guard_impl.h>

#include <h2o.h>
#include <h2o/http2.h>

#define STUCK_MS 1000 /* a write that takes longer waits for the client */

typedef void stream_reset_fn(void *, void *);
typedef void encode_rst_fn(h2o_buffer_t **, uint32_t, int);

GUARD_EXPORT void h2o_http2_stream_reset(void *conn, void *stream)
{
    static _Atomic(void *) real; /* see guard_next_symbol */
    struct guard *g = guard_current();
    if (g != NULL) {
        g->count.resets++;
        guard_forget_body(g, g->stream_id);
    }
    ((stream_reset_fn *)guard_next_symbol(&real, "h2o_http2_stream_reset"))(conn, stream);
}

GUARD_EXPORT void h2o_http2__encode_rst_stream_frame(h2o_buffer_t **buf, uint32_t stream_id, int code)
{
    static _Atomic(void *) real; /* see guard_next_symbol */
    struct guard *g = guard_current();
    if (g != NULL && g->own_frame == GUARD_OWN_NOW)
        code = -H2O_HTTP2_ERROR_CANCEL;
    else if (g != NULL)
        g->count.answered_resets++;
    code = guard_reset_code(code);
    ((encode_rst_fn *)guard_next_symbol(&real, "h2o_http2__encode_rst_stream_frame"))(buf, stream_id, code);
}

static bool put_in_front(h2o_buffer_t **input, const char *bytes, size_t n)
{
    if (h2o_buffer_reserve(input, n).base == NULL)
        return false;
    memmove((*input)->bytes + n, (*input)->bytes, (*input)->size);
    memcpy((*input)->bytes, bytes, n);
    (*input)->size += n;
    return true;
}

bool guard_reset_stream(struct guard *g, struct st_h2o_socket_t *sock, uint32_t stream_id)
{
    const char frame[] = {0,
                          0,
                          4,
                          8 /* WINDOW_UPDATE */,
                          0,
                          (char)(stream_id >> 24),
                          (char)(stream_id >> 16),
                          (char)(stream_id >> 8),
                          (char)stream_id,
                          0,
                          0,
                          0,
                          0};
    bool stuck = g->write_began != 0 && guard_now(g) - g->write_began >= STUCK_MS;
    if (!g->h2 || g->block_open || g->read == NULL || stuck)
        return false;
    if (!put_in_front(&sock->input, frame, sizeof(frame)))
        return false;
    g->own_frame = GUARD_OWN_NEXT;
    guard_enter(g);
    g->read(sock, NULL);
    if (guard_current() == g) /* the connection is still there */
        g->own_frame = GUARD_OWN_NONE;
    guard_leave(g);
    return true;
}
