/*
 * HTTP/2 frames into guard and h2o: see socket.h for what holds. Besides: what comes back is whole frames, each one
 * within the size that we allowed.
 *
 * Byte 0 chooses the cuts, byte 1 the form: even = frames in short (type, flags, stream, length, payload; a type from
 * 0xf0 on sends the payload raw), so that mutations keep finding frames; odd = the bytes as they are.
 */
#include "socket.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    socket_start();
    return 0;
}

static void write_frames(struct ccp_buf *to, struct ccp_span in)
{
    while (in.n >= 4) {
        const unsigned char *f = (const unsigned char *)in.p;
        size_t n = f[3] < in.n - 4 ? f[3] : in.n - 4;
        unsigned char head[9] = {0, 0, (unsigned char)n, f[0], f[1], 0, 0, 0, f[2]};
        if (f[0] < 0xf0)
            buf_add(to, ccp_span_of((char *)head, 9));
        buf_add(to, ccp_span_of(in.p + 4, n));
        in = ccp_span_skip(in, 4 + n);
    }
}

static void answers_are_frames(struct ccp_span out)
{
    while (out.n >= 9) {
        const unsigned char *f = (const unsigned char *)out.p;
        size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        MUST(n <= 16384 && f[3] <= 9);
        if (n + 9 > out.n) /* cut where we stopped to listen */
            return;
        out = ccp_span_skip(out, n + 9);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 6 || size > 1 << 15)
        return 0;
    struct ccp_buf in, out;
    struct ccp_span rest = {(const char *)data + 2, size - 2};
    buf_init(&in, 1 << 20);
    buf_init(&out, 4 << 20);
    buf_addz(&in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    if (data[1] % 2 == 0)
        write_frames(&in, rest);
    else
        buf_add(&in, rest);
    socket_talk(buf_span(&in), data[0] == '0' ? 0 : data[0] + 1u, data[1] / 2 % 2 != 0, &out);
    MUST(socket_fake.begun <= in.n / 10 + 1);
    answers_are_frames(buf_span(&out));
    buf_release(&in);
    buf_release(&out);
    return 0;
}
