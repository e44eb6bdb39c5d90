/*
 * Response heads, line by line as libcurl gives them.
 */
#ifndef UPSTREAM_HEAD_IMPL_H
#define UPSTREAM_HEAD_IMPL_H

#include <base/buf.h>

enum { HEAD_BYTES_MAX = 64 * 1024, HEAD_FIELDS_MAX = 512 };

enum head_result {
    HEAD_MORE,
    HEAD_COMPLETE,  /* this line ended the final head */
    HEAD_MALFORMED, /* a line that is not a header field, or control bytes */
    HEAD_TOO_LARGE, /* HEAD_BYTES_MAX or HEAD_FIELDS_MAX */
    HEAD_NO_MEMORY,
};

struct head {
    struct ccp_buf text;   /* names (lower case) and values, one after the other */
    struct ccp_buf fields; /* array of struct head_field */
    size_t seen;           /* bytes of this block so far */
    int status;            /* of the block being read */
    bool complete;         /* the final head is here; what follows are trailers and is ignored */
};

void head_init(struct head *h);
void head_release(struct head *h);
/* One line with or without its CR LF; an empty one ends the block. A status line starts over, so interim
 * (1xx) blocks leave no trace. */
enum head_result head_line(struct head *h, struct ccp_span line);
size_t head_count(const struct head *h);
/* Writes head_count() entries; spans into the head, valid until it is released. */
void head_fields(const struct head *h, struct ccp_header *out);

#endif
