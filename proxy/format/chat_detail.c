/*
 * Opaque proofs of thinking that other Chat servers give out (wire reference B.6): items of `reasoning_details` and
 * `reasoning_opaque`. They must come back as they were, so what kind of item it was is kept with the payload in one
 * text: letter, format, '|', id, '|', payload.
 */
#include <base/fault.h>
#include <format/chat.h>

/* A word that can stand in front of a '|'. Anything else is left out. */
static ctext word_of(const struct ccp_json *node)
{
    ctext text = ccp_json_inner(node);
    return ccp_span_find(text, '|') == text.n ? text : CCP_SPAN("");
}

struct chat_detail chat_detail_of(const struct ccp_json *item)
{
    struct chat_detail d = {'e', word_of(chat_get(item, "format")), word_of(chat_get(item, "id")),
                            ccp_json_inner(chat_get(item, "data"))};
    if (d.payload.n == 0) {
        d.letter = 's';
        d.payload = ccp_json_inner(chat_get(item, "signature"));
    }
    return d;
}

ctext chat_detail_pack(struct arena *a, const struct chat_detail *d)
{
    struct ccp_span pieces[] = {ccp_span_of(&d->letter, 1), d->format, CCP_SPAN("|"), d->id, CCP_SPAN("|"), d->payload};
    return CCP_FAULT("chat.detail") ? (ctext){NULL, 0} : arena_cat(a, pieces, 6);
}

bool chat_detail_unpack(ctext text, struct chat_detail *d)
{
    if (text.n == 0)
        return false;
    ctext rest = ccp_span_skip(text, 1);
    size_t first = ccp_span_find(rest, '|');
    ctext behind = ccp_span_skip(rest, first + 1);
    size_t second = ccp_span_find(behind, '|');
    *d = (struct chat_detail){text.p[0], ccp_span_of(rest.p, first), ccp_span_of(behind.p, second),
                              ccp_span_skip(behind, second + 1)};
    return d->payload.n != 0;
}

uint64_t chat_units(ctext text)
{
    uint64_t units = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '\\' && i + 1 < text.n)
            i += text.p[i + 1] == 'u' ? 5 : 1;
        units += (c & 0xc0) == 0x80 ? 0 : c >= 0xf0 ? 2 : 1;
    }
    return units;
}

#define UNITS "units-"

void chat_write_units(struct out *o, uint64_t units)
{
    char text[sizeof(UNITS) + 20] = UNITS;
    size_t n = sizeof(UNITS) - 1;
    n += ccp_digits(text + n, units, 1);
    out_text(o, "id", ccp_span_of(text, n));
}

bool chat_same_units(const struct ccp_json *item, ctext text)
{
    char digits[20];
    ctext id = ccp_json_inner(ccp_json_get(item, "id"));
    if (!ccp_span_starts(id, CCP_SPAN(UNITS)))
        return true;
    size_t n = ccp_digits(digits, chat_units(text), 1);
    return ccp_span_eq(ccp_span_skip(id, sizeof(UNITS) - 1), ccp_span_of(digits, n));
}
