/*
 * Header blocks of HTTP/2: judged once before h2o decodes them (RFC 7541) and once after (RFC 9113 section 8).
 *
 * Before, the representations are counted without decoding any: h2o would first build the whole list, and a block
 * of 32 KiB can name one field 32,000 times. What cannot be walked is left to h2o, which stops at the same byte
 * with COMPRESSION_ERROR. After, the fields are there, and those are refused that h2o passes on although they make
 * a message malformed.
 *
 * What must stay true: the walk reads no byte outside of the block, and takes what h2o's decoder takes.
 */
#include <http/guard_impl.h>

#include <h2o.h>
#include <h2o/http2.h>

#define INT_OCTETS   4 /* behind the prefix; h2o takes no more */
#define SIZE_UPDATES 2 /* RFC 7541 section 4.2 */

typedef int parse_headers_fn(h2o_req_t *, void *, const uint8_t *, size_t, int *, size_t *, void *, const char **);

struct walk {
    const uint8_t *p, *end;
};

/* An integer of RFC 7541 section 5.1. */
static bool walk_int(struct walk *w, unsigned prefix_bits, uint32_t *value)
{
    uint32_t max = (1u << prefix_bits) - 1;
    if (w->p == w->end)
        return false;
    *value = *w->p++ & max;
    if (*value != max)
        return true;
    for (unsigned i = 0; i < INT_OCTETS && w->p != w->end; i++) {
        *value += (uint32_t)(*w->p & 0x7f) << (7 * i);
        if ((*w->p++ & 0x80) == 0)
            return true;
    }
    return false;
}

static bool walk_string(struct walk *w)
{
    uint32_t n;
    if (!walk_int(w, 7, &n) || n > (size_t)(w->end - w->p))
        return false;
    w->p += n;
    return true;
}

static bool walk_literal(struct walk *w, unsigned prefix_bits)
{
    uint32_t index;
    return walk_int(w, prefix_bits, &index) && (index != 0 || walk_string(w)) && walk_string(w);
}

enum guard_block guard_block_judge(const uint8_t *block, size_t n)
{
    struct walk w = {block, block + n};
    unsigned fields = 0, updates = 0;
    uint32_t ignored;
    while (w.p != w.end) {
        bool update = (*w.p & 0xe0) == 0x20, whole;
        if (update ? fields != 0 || ++updates > SIZE_UPDATES : ++fields > GUARD_FIELDS_MAX)
            return update ? GUARD_BLOCK_BROKEN : GUARD_BLOCK_TOO_MANY;
        if (*w.p & 0x80)
            whole = walk_int(&w, 7, &ignored);
        else if (update)
            whole = walk_int(&w, 5, &ignored);
        else
            whole = walk_literal(&w, *w.p & 0x40 ? 6 : 4);
        if (!whole)
            break;
    }
    return GUARD_BLOCK_FINE;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* RFC 9113 sections 8.2.1 and 8.2.2. */
static bool field_malformed(const h2o_header_t *h)
{
    static const char *const of_a_connection[] = {"connection",        "keep-alive", "proxy-connection",
                                                  "transfer-encoding", "upgrade",    "http2-settings"};
    struct ccp_span name = ccp_span_of(h->name->base, h->name->len);
    const h2o_iovec_t *v = &h->value;
    if (name.n == 0 || (v->len != 0 && (blank(v->base[0]) || blank(v->base[v->len - 1]))))
        return true;
    for (size_t i = 0; i < sizeof(of_a_connection) / sizeof(of_a_connection[0]); i++)
        if (ccp_span_is(name, of_a_connection[i]))
            return true;
    return ccp_span_is(name, "te") && !ccp_span_is(ccp_span_of(v->base, v->len), "trailers");
}

static bool any_malformed(const h2o_headers_t *headers, size_t from)
{
    for (size_t i = from; i < headers->size; i++)
        if (field_malformed(&headers->entries[i]))
            return true;
    return false;
}

static bool fields_fit(const h2o_headers_t *headers)
{
    size_t bytes = 0;
    if (headers->size > GUARD_FIELDS_MAX)
        return false;
    for (size_t i = 0; i < headers->size; i++) {
        if (headers->entries[i].name->len > GUARD_NAME_MAX)
            return false;
        bytes += headers->entries[i].name->len + headers->entries[i].value.len;
    }
    return bytes <= GUARD_HEAD_MAX;
}

/* Trailers must not add to what was judged, and what is wrong with them can only be said of the connection. */
static int judge_trailers(h2o_req_t *req, size_t before, int result)
{
    bool bad = any_malformed(&req->headers, before);
    req->headers.size = before;
    return bad || result == H2O_HTTP2_ERROR_INVALID_HEADER_CHAR ? H2O_HTTP2_ERROR_PROTOCOL : result;
}

static int refuse_block(enum guard_block how, const char **err)
{
    if (how == GUARD_BLOCK_BROKEN) {
        *err = "header table size update out of place";
        return H2O_HTTP2_ERROR_COMPRESSION;
    }
    *err = "too many or too large header fields";
    return H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM;
}

GUARD_EXPORT int h2o_hpack_parse_headers(h2o_req_t *req, void *table, const uint8_t *src, size_t len, int *pseudo,
                                         size_t *content_length, void *digests, const char **err)
{
    static _Atomic(void *) real; /* see guard_next_symbol */
    size_t before = req->headers.size;
    struct guard *g = guard_current();
    enum guard_block how = len > GUARD_HEAD_MAX ? GUARD_BLOCK_TOO_MANY : guard_block_judge(src, len);
    if (how != GUARD_BLOCK_FINE)
        return refuse_block(how, err);
    parse_headers_fn *parse = (parse_headers_fn *)guard_next_symbol(&real, "h2o_hpack_parse_headers");
    int result = parse(req, table, src, len, pseudo, content_length, digests, err);
    if (!fields_fit(&req->headers))
        return refuse_block(GUARD_BLOCK_TOO_MANY, err);
    if (pseudo == NULL)
        return judge_trailers(req, before, result);
    if (g != NULL)
        guard_stream_expected(g, *content_length);
    bool no_body = g != NULL && g->end_stream && *content_length != SIZE_MAX && *content_length != 0;
    if (result == 0 && (no_body || any_malformed(&req->headers, before)))
        *pseudo = 0; /* h2o resets a stream whose pseudo headers are missing: the only stream error to be had here */
    return result;
}
