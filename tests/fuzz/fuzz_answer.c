/*
 * The direct transport's response reader: the cut of the reads never shows, whatever it gives can be written to a
 * client as it stands, it never takes bytes of a second answer, and after its last word it says nothing else.
 *
 * The first byte chooses the cuts, the second whether the request was a HEAD and whether the connection ends.
 */
#include "fuzz.h"

#include <wire/headers.h>
#include <wire/http1.h>

struct account {
    struct ccp_buf head, body;
    size_t taken;
    enum http1_event last; /* END, BROKEN, or MORE */
    const char *why;
};

static void note_head(struct account *a, const struct http1_head *head)
{
    MUST(head->status >= 200 && head->status <= 999 && head->n <= HTTP1_FIELDS_MAX && a->head.n == 0);
    buf_printf(&a->head, "%d\n", head->status);
    for (size_t i = 0; i < head->n; i++) {
        MUST(headers_name_ok(head->fields[i].name) && headers_value_ok(head->fields[i].value));
        buf_add(&a->head, head->fields[i].name);
        buf_addz(&a->head, "\n");
        buf_add(&a->head, head->fields[i].value);
        buf_addz(&a->head, "\n");
    }
}

/* One read; its bytes are a block of their own, to be changed. */
static void feed(struct http1_reader *r, struct account *a, struct ccp_span piece)
{
    static struct http1_head head; /* 16 KiB: not for each call */
    char *copy = malloc(piece.n);
    MUST(copy != NULL || piece.n == 0);
    memcpy(copy, piece.p, piece.n);
    struct http1_bytes in = {copy, piece.n};
    struct ccp_span body;
    for (enum http1_event e = HTTP1_HEAD; e == HTTP1_HEAD || e == HTTP1_BODY;) {
        size_t before = in.n;
        bool due = http1_at_end(r);
        e = http1_next(r, &in, &head, &body);
        MUST(in.n <= before && in.p + in.n == copy + piece.n);
        MUST(!due || e == HTTP1_END);
        a->taken += before - in.n;
        a->last = e;
        if (e == HTTP1_HEAD)
            note_head(a, &head);
        else if (e == HTTP1_BODY) {
            MUST(a->head.n != 0 && !r->no_body && body.n != 0);
            buf_add(&a->body, body);
        } else if (e == HTTP1_MORE) {
            MUST(in.n == 0);
        } else if (e == HTTP1_BROKEN) {
            MUST(r->why != NULL);
        }
    }
    free(copy);
}

static void read_all(struct account *a, struct ccp_span text, uint32_t seed, bool no_body, bool eof)
{
    struct http1_reader r;
    *a = (struct account){.last = HTTP1_MORE};
    buf_init(&a->head, 1 << 20);
    buf_init(&a->body, 1 << 20);
    http1_init(&r, no_body);
    while (text.n != 0 && a->last != HTTP1_END && a->last != HTTP1_BROKEN) {
        size_t n = text.n;
        if (seed != 0) {
            seed = seed * 1664525u + 1013904223u;
            n = seed >> 30 != 0 ? 1 : 1 + (seed >> 20) % 64;
            n = n < text.n ? n : text.n;
        }
        feed(&r, a, ccp_span_of(text.p, n));
        text = ccp_span_skip(text, n);
    }
    if (eof && a->last == HTTP1_MORE) {
        a->last = http1_eof(&r);
        MUST(a->last == HTTP1_END || a->last == HTTP1_BROKEN);
        MUST(a->last != HTTP1_END || a->head.n != 0);
    }
    if (a->last == HTTP1_END)
        MUST(a->head.n != 0);
    a->why = a->last == HTTP1_BROKEN ? r.why : NULL;
    http1_release(&r);
}

static void forget(struct account *a)
{
    buf_release(&a->head);
    buf_release(&a->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct account whole, cut;
    if (size < 2 || size > 1 << 16)
        return 0;
    struct ccp_span text = {(const char *)data + 2, size - 2};
    read_all(&whole, text, 0, data[1] % 2 != 0, data[1] / 2 % 2 != 0);
    read_all(&cut, text, data[0] + 1u, data[1] % 2 != 0, data[1] / 2 % 2 != 0);
    MUST(whole.last == cut.last);
    if (whole.last != HTTP1_BROKEN) { /* how much came before a fault depends on the cut */
        MUST(ccp_span_eq(buf_span(&whole.head), buf_span(&cut.head)));
        MUST(ccp_span_eq(buf_span(&whole.body), buf_span(&cut.body)));
        MUST(whole.taken == cut.taken);
    } else {
        MUST(whole.why != NULL && cut.why != NULL && strcmp(whole.why, cut.why) == 0);
    }
    forget(&whole);
    forget(&cut);
    return 0;
}
