/*
 * The guard: functions of the same name as h2o's that take their place and refuse what h2o 2.2.5 lets through.
 *
 * The library calls these through its PLT, so a definition in the executable wins: phr_parse_request (strict
 * heads), phr_decode_chunked (strict chunks), h2o_hpack_parse_headers (number and size of fields),
 * h2o_http2_decode_frame and h2o_http2_stream_reset (frame and reset budgets), h2o_socket_read_start and
 * h2o_socket_write (which connection is being served). guard.map exports exactly these names;
 * http_guard_check proves at start that they are the ones h2o calls.
 */
#ifndef HTTP_GUARD_IMPL_H
#define HTTP_GUARD_IMPL_H

#include <ccproxy/span.h>

#include <sys/types.h>

#define GUARD_HEAD_MAX   32768 /* bytes of a header block, encoded or decoded */
#define GUARD_FIELDS_MAX 100
#define GUARD_NAME_MAX   256
#define GUARD_WINDOW_MS  10000
#define GUARD_STREAMS    128

#define GUARD_EXPORT __attribute__((visibility("default")))

struct st_h2o_socket_t;

/* Why a frame was refused is told by h2o in its GOAWAY; the counters start afresh every GUARD_WINDOW_MS. */
struct guard {
    void (*read)(struct st_h2o_socket_t *sock, const char *err); /* h2o's own callbacks */
    void (*write)(struct st_h2o_socket_t *sock, const char *err);
    uint64_t bytes_in;   /* request bytes read, for the body rate */
    bool allow_preface;  /* "PRI *" may turn this connection into HTTP/2 */
    bool h2;             /* it is one */
    bool head_pending;   /* HTTP/2: a part of a frame or header block has arrived, the rest has not */
    bool block_open;     /* HEADERS without END_HEADERS */
    bool end_stream;     /* of the last HEADERS frame */
    uint32_t stream_id;  /* of the frame being handled */
    uint32_t top_stream; /* highest stream the client opened */
    uint32_t block_bytes;
    uint32_t block_frames;
    uint64_t window_began;
    struct {
        unsigned headers, resets, control, zero_updates, empty_data;
    } count;
    unsigned body_n; /* streams whose request body is incomplete */
    uint32_t bodies[GUARD_STREAMS];
};

/* The connection h2o works on, or NULL; per thread. */
struct guard *guard_current(void);
void guard_set_current(struct guard *g);
/* The record of a socket, or NULL when it is none of our connections (conn.c). */
struct guard *guard_of(struct st_h2o_socket_t *sock);
/* Called around h2o's read and write callbacks (conn.c). */
void guard_enter(struct guard *g);
void guard_leave(struct guard *g);
uint64_t guard_now(const struct guard *g);
/* HTTP/1 progress (conn.c): a head was looked at. */
enum guard_head { GUARD_HEAD_PARTIAL, GUARD_HEAD_COMPLETE };
void guard_head_seen(struct guard *g, enum guard_head what);

/* guard_head.c: strict rules over a parsed head. */
struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};
struct guard_head_parts {
    struct ccp_span raw, method, path;
    int minor_version;
    struct phr_header *headers;
    size_t *header_count;
};
/* False = refuse with 400. Removes upgrades to h2c from the list. */
bool guard_head_ok(const struct guard_head_parts *head);
/* A Host or :authority value: host [":" port], port 1..65535. */
bool guard_authority_ok(struct ccp_span authority);
bool guard_path_ok(struct ccp_span path);
bool guard_method_ok(struct ccp_span method);

/* The interposed functions, as the library declares them in headers it does not install. */
struct guard_frame; /* h2o_http2_frame_t */
struct phr_chunked_decoder;
struct st_h2o_http2_settings_t;
struct st_h2o_req_t;
int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len, const char **path,
                      size_t *path_len, int *minor_version, struct phr_header *headers, size_t *header_count,
                      size_t last_len);
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *size);
ssize_t h2o_http2_decode_frame(struct guard_frame *frame, const uint8_t *src, size_t len,
                               const struct st_h2o_http2_settings_t *settings, const char **err);
void h2o_http2_stream_reset(void *conn, void *stream);
int h2o_hpack_parse_headers(struct st_h2o_req_t *req, void *table, const uint8_t *src, size_t len, int *pseudo,
                            size_t *content_length, void *digests, const char **err);

/* All of them; ends with name NULL. */
struct guard_symbol {
    const char *name;
    void *ours;
};
extern const struct guard_symbol guard_symbols[];

/* Once, before the first connection: lets h2o hand over a Host field of HTTP/2 instead of dropping it. */
void guard_init(void);

#endif
