/*
 * Growing buffer with a maximum: see buf.h. Capacity doubles, so appends cost amortised constant time. Behind the
 * capacity there is always one byte more, for the NUL that vsnprintf insists on.
 */
#include <base/budget.h>
#include <base/buf.h>
#include <base/fault.h>

void buf_init(struct ccp_buf *b, size_t max)
{
    *b = (struct ccp_buf){.max = max};
}

void buf_release(struct ccp_buf *b)
{
    if (b->p != NULL)
        budget_give(b->cap + 1);
    free(b->p);
    *b = (struct ccp_buf){.max = b->max};
}

bool buf_reserve(struct ccp_buf *b, size_t more)
{
    if (more <= b->cap - b->n)
        return true;
    if (b->failed || more > b->max - b->n || CCP_FAULT("buf.reserve")) {
        b->failed = true;
        return false;
    }
    /* Who begins with a large reservation knows the size. */
    size_t cap = b->cap != 0 ? b->cap : more > 256 ? more : 256;
    while (cap < b->n + more)
        cap = cap > SIZE_MAX / 2 ? b->n + more : cap * 2;
    if (cap > b->max)
        cap = b->max;
    char *p = cap < SIZE_MAX ? realloc(b->p, cap + 1) : NULL;
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    budget_take(cap - b->cap + (b->p == NULL));
    b->p = p;
    b->cap = cap;
    return true;
}

bool buf_add(struct ccp_buf *b, struct ccp_span s)
{
    if (b->failed || !buf_reserve(b, s.n))
        return false;
    if (s.n != 0)
        memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    return true;
}

bool buf_vprintf(struct ccp_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    bool ok = n >= 0 && !b->failed && buf_reserve(b, (size_t)n);
    if (n < 0)
        b->failed = true;
    if (ok && n > 0) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return ok;
}

bool buf_printf(struct ccp_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return ok;
}

void buf_drop(struct ccp_buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}
