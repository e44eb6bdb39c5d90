/*
 * A growing byte buffer that is born with its maximum.
 *
 * An append beyond the maximum, or one that memory refuses, is dropped whole and sets `failed`; it stays set,
 * so that a run of appends needs one check at the end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <ccproxy/span.h>

#include <stdarg.h>

struct ccp_buf {
    char *p;
    size_t n, cap, max;
    bool failed;
};

void buf_init(struct ccp_buf *b, size_t max);
void buf_release(struct ccp_buf *b);
bool buf_reserve(struct ccp_buf *b, size_t more); /* room for `more` bytes behind n */
bool buf_add(struct ccp_buf *b, struct ccp_span s);
bool buf_printf(struct ccp_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct ccp_buf *b, const char *fmt, va_list ap);
void buf_drop(struct ccp_buf *b, size_t n); /* forgets the first n bytes */
static inline struct ccp_span buf_span(const struct ccp_buf *b)
{
    return (struct ccp_span){b->p, b->n};
}
static inline bool buf_addz(struct ccp_buf *b, const char *z)
{
    return buf_add(b, ccp_span_z(z));
}

#endif
