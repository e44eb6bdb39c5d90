/*
 * See proof.h. Wrapped: "ccp1." provider "." base64url(kind letter, payload), without padding.
 */
#include <base/fault.h>
#include <format/proof.h>
#include <wire/base64.h>

static const char wide[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char letters[] = "-sretd"; /* by enum proof_kind */

#define MARK CCP_SPAN("ccp1.")

/* Encodes three bytes after the other, whatever pieces they come in. */
struct encoder {
    struct ccp_buf *out;
    const char *digits;
    uint32_t bits;
    unsigned have;
    char ready[256];
    size_t n;
};

static void emit(struct encoder *e, unsigned digits)
{
    for (unsigned i = 0; i < digits; i++)
        e->ready[e->n++] = e->digits[(e->bits >> (18 - 6 * i)) & 63];
    e->bits = e->have = 0;
    if (e->n > sizeof(e->ready) - 8) {
        buf_add(e->out, ccp_span_of(e->ready, e->n));
        e->n = 0;
    }
}

static void encode(struct encoder *e, struct ccp_span bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        e->bits |= (uint32_t)(unsigned char)bytes.p[i] << (16 - 8 * e->have);
        if (++e->have == 3)
            emit(e, 4);
    }
}

static void encode_end(struct encoder *e, bool pad)
{
    unsigned have = e->have;
    if (have != 0)
        emit(e, have + 1);
    for (; pad && have != 0 && have < 3; have++)
        e->ready[e->n++] = '=';
    buf_add(e->out, ccp_span_of(e->ready, e->n));
}

static void wrap(struct encoder *e, const struct proof *proof)
{
    encode(e, ccp_span_of(&letters[proof->kind], 1));
    encode(e, proof->text);
    encode_end(e, false);
}

/* Gemini's field is base64 itself: the wrapped text is built first, then encoded. */
static void write_nested(struct out *o, const struct proof *proof)
{
    struct ccp_buf inner;
    buf_init(&inner, SIZE_MAX / 2);
    buf_add(&inner, MARK);
    buf_add(&inner, proof->origin);
    buf_add(&inner, CCP_SPAN("."));
    struct encoder first = {.out = &inner, .digits = safe}, second = {.out = o->b, .digits = wide};
    wrap(&first, proof);
    encode(&second, buf_span(&inner));
    encode_end(&second, true);
    o->b->failed = o->b->failed || inner.failed;
    buf_release(&inner);
}

void proof_write(struct out *o, const char *key, const struct proof *proof, enum proof_kind native)
{
    if (proof->kind == PROOF_NONE)
        return;
    out_text_open(o, key);
    if (proof->kind == native || (proof->kind == PROOF_REDACTED && native == PROOF_SIGNATURE)) {
        out_text_add(o, proof->text);
    } else if (native == PROOF_THOUGHT) {
        write_nested(o, proof);
    } else {
        struct encoder e = {.out = o->b, .digits = safe};
        out_text_add(o, MARK);
        out_text_add(o, proof->origin);
        out_text_add(o, CCP_SPAN("."));
        wrap(&e, proof);
    }
    out_text_close(o);
}

/* The payload was a ctext and goes back into a string as it is: it must still be one. */
static bool is_ctext(struct ccp_span text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20 || c > 0x7e || c == '"')
            return false;
        if (c == '\\' && (++i == text.n || memchr("/bfnrt\\\"", text.p[i], 8) == NULL))
            return false;
    }
    return true;
}

/* Empty: it was no base64. False: no memory (noted). */
static bool decode(struct prompt *p, struct ccp_span text, struct ccp_span *bytes)
{
    *bytes = CCP_SPAN("");
    return base64_decode(p->a, text, bytes) != CCP_OVERLOADED || prompt_no_memory(p);
}

/* A wrapped text that is broken is no proof of anybody: NONE. */
static bool unwrap(struct prompt *p, struct proof *proof, struct ccp_span text)
{
    text = ccp_span_skip(text, MARK.n);
    size_t dot = ccp_span_find(text, '.');
    struct ccp_span inner;
    *proof = (struct proof){PROOF_NONE, CCP_SPAN(""), CCP_SPAN("")};
    if (!decode(p, ccp_span_skip(text, dot + 1), &inner))
        return false;
    const char *letter = inner.n != 0 ? strchr(letters + 1, inner.p[0]) : NULL;
    if (dot == 0 || dot == text.n || letter == NULL || *letter == '\0' || !is_ctext(ccp_span_of(text.p, dot)) ||
        !is_ctext(ccp_span_skip(inner, 1)))
        return true;
    *proof = (struct proof){(enum proof_kind)(letter - letters), ccp_span_of(text.p, dot), ccp_span_skip(inner, 1)};
    return true;
}

bool proof_read(struct prompt *p, struct proof *proof, enum proof_kind native, ctext text)
{
    struct ccp_span wrapped = text;
    *proof = (struct proof){text.n != 0 ? native : PROOF_NONE, CCP_SPAN(""), text};
    /* "ccp1." in base64 begins with these letters whatever follows. */
    if (native == PROOF_THOUGHT && ccp_span_starts(text, CCP_SPAN("Y2NwMS"))) {
        struct ccp_span plain = prompt_plain(p, text); /* slashes may be escaped */
        if (plain.p == NULL || !decode(p, plain, &wrapped))
            return false;
    }
    return ccp_span_starts(wrapped, MARK) ? unwrap(p, proof, wrapped) : true;
}

static void unlink_part(struct turn *turn, struct part *before, struct part *part)
{
    if (before != NULL)
        before->next = part->next;
    else
        turn->parts = part->next;
    if (turn->last == part)
        turn->last = before;
}

void proof_attach(struct turn *turn)
{
    struct part *before = NULL, *part = turn->parts;
    while (part != NULL) {
        struct part *next = part->next, *home = NULL;
        if (part->kind == PART_THINKING && part->text.n == 0 && part->proof.kind == PROOF_THOUGHT) {
            if (next != NULL && next->kind == PART_CALL)
                home = next;
            else if (before != NULL && before->kind == PART_TEXT)
                home = before;
        }
        if (home != NULL && home->proof.kind == PROOF_NONE) {
            home->proof = part->proof;
            unlink_part(turn, before, part);
        } else {
            before = part;
        }
        part = next;
    }
}
