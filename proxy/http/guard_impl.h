/*
 * The guard: functions of the same name as h2o's that take their place and refuse what h2o 2.2.5 lets through.
 *
 * The library calls these through its PLT, so a definition in the executable wins: phr_parse_request (strict
 * heads), phr_decode_chunked (strict chunks), h2o_hpack_parse_headers (number, size and kind of fields),
 * h2o_http2_decode_frame, h2o_http2_stream_reset and h2o_http2__encode_rst_stream_frame (frame and reset budgets),
 * h2o_socket_read_start, h2o_socket_write and h2o_socket_ssl_handshake (which connection is being served),
 * h2o_buffer_reserve and h2o_buffer__do_free (memory). guard.map exports exactly these names;
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
#define GUARD_LENGTHS    16
#define GUARD_SLOTS      1024
#define GUARD_EARNED     65536 /* bytes of a body that must have come before all of its length gets room */

#define GUARD_EXPORT __attribute__((visibility("default")))

struct st_h2o_socket_t;

/* What h2o's buffers hold for a connection (guard_memory.c). */
struct guard_memory {
    struct guard *next, **prev; /* by the address of the socket's input */
    void *input;                /* &sock->input */
    size_t held;                /* bytes charged to this connection */
    size_t seen;                /* bytes of input that were left when it was last handled */
    size_t length;              /* HTTP/1: announced length of the body, 0 = unknown */
    size_t want;                /* HTTP/1: bytes of input with which that body is complete, 0 = unknown */
    struct {
        uint32_t id;
        uint32_t length;
    } streams[GUARD_LENGTHS]; /* HTTP/2: the same of the newest streams, by id */
    bool lost;                /* HTTP/1: the body was not kept */
};

/* Why a frame was refused is told by h2o in its GOAWAY; the counters start afresh every GUARD_WINDOW_MS. */
struct guard {
    void (*read)(struct st_h2o_socket_t *sock, const char *err); /* h2o's own callbacks */
    void (*write)(struct st_h2o_socket_t *sock, const char *err);
    void (*handshake)(struct st_h2o_socket_t *sock, const char *err);
    uint64_t bytes_in;  /* request bytes read, for the body rate */
    bool allow_preface; /* "PRI *" may turn this connection into HTTP/2 */
    bool h2;            /* it is one */
    bool head_pending;  /* HTTP/2: a part of a frame or header block has arrived, the rest has not */
    bool greeted;       /* the first frame was SETTINGS */
    bool block_open;    /* HEADERS without END_HEADERS */
    bool end_stream;    /* of the last HEADERS frame */
    enum guard_own { GUARD_OWN_NONE, GUARD_OWN_NEXT, GUARD_OWN_NOW } own_frame; /* see guard_reset_stream */
    uint32_t stream_id;                                                         /* of the frame being handled */
    uint32_t top_stream;                                                        /* highest stream the client opened */
    uint32_t block_bytes;
    uint32_t block_frames;
    uint64_t window_began;
    uint64_t write_began; /* of the write that is under way; 0 = none */
    struct {
        unsigned headers, resets, answered_resets, control, zero_updates, empty_data;
    } count;
    struct guard_memory memory;
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
/* False = refuse with 400. Removes upgrades to h2c (and Expect of HTTP/1.0) from the list. */
bool guard_head_ok(const struct guard_head_parts *head);
/* A Host or :authority value: host [":" port], port 1..65535. */
bool guard_authority_ok(struct ccp_span authority);
bool guard_path_ok(struct ccp_span path);
bool guard_method_ok(struct ccp_span method);

/* guard_frame.c: the stream's body is complete, or nobody waits for the rest. */
void guard_forget_body(struct guard *g, uint32_t stream_id);

/* guard_hpack.c: what a header block says of itself before it is decoded (RFC 7541). Never reads outside of it. */
enum guard_block {
    GUARD_BLOCK_FINE, /* also when it is malformed: h2o says so */
    GUARD_BLOCK_TOO_MANY,
    GUARD_BLOCK_BROKEN, /* table size updates after a field, or more than two (section 4.2) */
};
enum guard_block guard_block_judge(const uint8_t *block, size_t n);

/* guard_stream.c: resets one stream with CANCEL, in the connection's thread and outside of h2o's callbacks. False =
 * cannot be done (a write is stuck, or a header block is open); end the connection instead. When true, the request
 * of the stream, and even the connection, may be gone already. */
bool guard_reset_stream(struct guard *g, struct st_h2o_socket_t *sock, uint32_t stream_id);

/* guard_version.c: warns when the mapped libh2o is not of a known package revision. After the self-test. */
void guard_version_check(void);
bool guard_version_known(const char *version); /* 2.2.5+dfsg2-7, or that with a suffix of + ~ or . */

/* The real function behind ours, kept in the caller's slot: dlsym always gives the same answer, so whichever
 * thread stores it first is right. */
void *guard_next_symbol(_Atomic(void *) *slot, const char *name);

/* The interposed functions, as the library declares them in headers it does not install. */
struct guard_frame; /* h2o_http2_frame_t */
struct phr_chunked_decoder;
struct st_h2o_http2_settings_t;
struct st_h2o_req_t;
struct st_h2o_buffer_t;
int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len, const char **path,
                      size_t *path_len, int *minor_version, struct phr_header *headers, size_t *header_count,
                      size_t last_len);
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *size);
ssize_t h2o_http2_decode_frame(struct guard_frame *frame, const uint8_t *src, size_t len,
                               const struct st_h2o_http2_settings_t *settings, const char **err);
void h2o_http2_stream_reset(void *conn, void *stream);
void h2o_http2__encode_rst_stream_frame(struct st_h2o_buffer_t **buf, uint32_t stream_id, int code);
int h2o_hpack_parse_headers(struct st_h2o_req_t *req, void *table, const uint8_t *src, size_t len, int *pseudo,
                            size_t *content_length, void *digests, const char **err);

/* guard_memory.c: h2o's buffers under the memory budget. */
/* Before a worker's loop runs on this thread: its table of GUARD_SLOTS, zero at first. NULL when it is gone. */
void guard_memory_serve(struct guard **table);
void guard_memory_open(struct guard *g, struct st_h2o_socket_t *sock);
void guard_memory_close(struct guard *g);
/* h2o has handled what it could of what it has read. */
void guard_memory_handled(struct guard *g, struct st_h2o_socket_t *sock);
/* An HTTP/1 head of `head` bytes is complete; the headers are as the parser left them. */
void guard_body_expected(struct guard *g, size_t head, const struct phr_header *headers, size_t n);
/* HTTP/2: the stream whose HEADERS are being handled announces so many bytes (SIZE_MAX = says nothing). */
void guard_stream_expected(struct guard *g, size_t content_length);
/* The body of a request, as h2o gives it, was read and thrown away: its length is right, its bytes must not be touched,
 * and an HTTP/1 connection cannot be kept. */
bool guard_body_lost(const struct guard *g, struct ccp_span body);
/* The code of a RST_STREAM that h2o sends: REFUSED_STREAM if memory was refused just before. */
int guard_reset_code(int code);
/* Frees the blocks that h2o recycles on this thread; its last call for a worker. */
void guard_memory_drop_spare(void);
/* Does the library free its buffers by our function? */
bool guard_memory_check(void);

/* All of them; ends with name NULL. */
struct guard_symbol {
    const char *name;
    void *ours;
};
extern const struct guard_symbol guard_symbols[];

/* Once, before the first connection: lets h2o hand over a Host field of HTTP/2 instead of dropping it. */
void guard_init(void);

#endif
