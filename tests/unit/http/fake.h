/*
 * A chain for tests: answers by path, on the worker's loop, through the responder alone; counts what http/
 * tells it. Not the real chain: no formats, no plugins.
 */
#ifndef TESTS_HTTP_FAKE_H
#define TESTS_HTTP_FAKE_H

#include <http/http.h>

struct fake {
    struct loop *loop;
    unsigned begun, gone, ended, writable, aborted;
    size_t open;
    uint64_t pushed; /* bytes given to the responder by /big */
    uint64_t gone_at_ms;
    bool trusted, tls, unix_socket;
    int version;
    char target[256], authority[256], upgrade[64], header[256], peer[64], body[64];
    size_t header_count, body_n;
    enum ccp_status refusal;
    struct exchange *list;
};

void fake_init(struct fake *f, struct loop *loop);
extern const struct http_backend fake_backend; /* chain = struct fake */

#endif
