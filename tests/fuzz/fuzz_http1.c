/*
 * HTTP/1 bytes into guard and h2o, cut anywhere: see socket.h for what holds. Besides: what comes back is HTTP/1.1
 * from the first byte on, and no field of an answer starts a line of its own.
 *
 * The first byte of the input chooses the cuts ('0' = none), the second whether the client half-closes first.
 */
#include "socket.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    socket_start();
    return 0;
}

static bool has(struct ccp_span text, const char *part)
{
    return text.n != 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1 << 15)
        return 0;
    struct ccp_span in = {(const char *)data + 2, size - 2};
    struct ccp_buf out;
    bool mine = has(in, "x-injected") || has(in, "/big"); /* what a client gets back of its own */
    buf_init(&out, 4 << 20);
    socket_talk(in, data[0] == '0' ? 0 : data[0] + 1u, data[1] % 2 != 0, &out);
    MUST(socket_fake.begun <= in.n / 14 + 1);
    if (out.n != 0 && !ccp_span_starts(in, CCP_SPAN("PRI * HTTP/2"))) {
        MUST(ccp_span_starts(buf_span(&out), CCP_SPAN("HTTP/1.1 ")));
        MUST(mine || !has(buf_span(&out), "\nx-injected"));
    }
    buf_release(&out);
    return 0;
}
