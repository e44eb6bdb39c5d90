/*
 * Blocks of outgoing bytes. A block keeps room before and behind its bytes for the framing of a chunk, so that
 * one chunk is one buffer, one write and one TLS record. Standard blocks are recycled per worker; a stream at
 * rest holds none.
 */
#include <http/http_impl.h>

#include <base/budget.h>
#include <base/fault.h>

#define STANDARD 4096
#define HEADROOM 18 /* 16 hexadecimal digits, CR LF */
#define TAIL     7  /* CR LF 0 CR LF CR LF */
#define KEEP     256
#define LARGE    (128 * 1024) /* a block that may be refused when memory is short: more than a stream needs */

struct out {
    struct out *next;
    size_t room, n;
    char bytes[];
};

#define STANDARD_ROOM (STANDARD - sizeof(struct out) - HEADROOM - TAIL)

static struct out *out_new(struct http_worker *w, size_t room)
{
    struct out *o = w->spare;
    if (CCP_FAULT("http.out"))
        return NULL;
    if (room <= STANDARD_ROOM && o != NULL) {
        w->spare = o->next;
        w->spare_n--;
    } else {
        if (room < STANDARD_ROOM)
            room = STANDARD_ROOM;
        else if (room > LARGE && budget_level(room) == BUDGET_FULL)
            return NULL;
        o = malloc(sizeof(*o) + HEADROOM + room + TAIL);
        if (o == NULL)
            return NULL;
        o->room = room;
        budget_take(room);
    }
    o->n = 0;
    return o;
}

void out_free(struct http_worker *w, struct out *o)
{
    if (o == NULL)
        return;
    if (o->room != STANDARD_ROOM || w->spare_n >= KEEP) {
        budget_give(o->room);
        free(o);
        return;
    }
    o->next = w->spare;
    w->spare = o;
    w->spare_n++;
}

void out_drop_spare(struct http_worker *w)
{
    while (w->spare != NULL) {
        struct out *o = w->spare;
        w->spare = o->next;
        budget_give(o->room);
        free(o);
    }
    w->spare_n = 0;
}

/* A larger block with the same bytes; NULL = no memory, the old one stays. */
static struct out *grow(struct http_worker *w, struct out *o, size_t need)
{
    size_t room = o->room * 2 > need ? o->room * 2 : need;
    struct out *larger = out_new(w, room);
    if (larger == NULL)
        return NULL;
    memcpy(larger->bytes + HEADROOM, o->bytes + HEADROOM, o->n);
    larger->n = o->n;
    out_free(w, o);
    return larger;
}

bool out_add(struct http_worker *w, struct out **slot, struct ccp_span bytes)
{
    struct out *o = *slot;
    if (bytes.n == 0)
        return true;
    if (bytes.n > SIZE_MAX / 4)
        return false;
    if (o == NULL)
        o = out_new(w, bytes.n);
    else if (o->room - o->n < bytes.n)
        o = grow(w, o, o->n + bytes.n);
    if (o == NULL)
        return false;
    memcpy(o->bytes + HEADROOM + o->n, bytes.p, bytes.n);
    o->n += bytes.n;
    *slot = o;
    return true;
}

size_t out_size(const struct out *o)
{
    return o != NULL ? o->n : 0;
}

h2o_iovec_t out_whole(struct out *o)
{
    return h2o_iovec_init(o->bytes + HEADROOM, o->n);
}

h2o_iovec_t out_chunk(struct out *o, bool last)
{
    static char final_chunk[] = "0\r\n\r\n";
    if (o == NULL)
        return h2o_iovec_init(final_chunk, 5);
    char *start = o->bytes + HEADROOM, *end = start + o->n;
    *--start = '\n';
    *--start = '\r';
    for (size_t n = o->n; n != 0; n >>= 4)
        *--start = "0123456789abcdef"[n & 15];
    memcpy(end, "\r\n0\r\n\r\n", TAIL);
    return h2o_iovec_init(start, (size_t)(end - start) + (last ? TAIL : 2));
}
