/*
 * See out.h. Each value is one reservation and one run of copies.
 */
#include <format/out.h>
#include <wire/json.h>

/* Room for `n` more bytes behind a comma and a key: where they go, or NULL. The caller moves b->n past them. */
static char *begin(struct out *o, const char *key, size_t n)
{
    struct ccp_buf *b = o->b;
    size_t length = key != NULL ? strlen(key) : 0;
    if (b->failed || (b->cap - b->n < length + n + 4 && !buf_reserve(b, length + n + 4)))
        return NULL;
    char *at = b->p + b->n;
    if (o->comma)
        *at++ = ',';
    if (key != NULL) {
        *at++ = '"';
        memcpy(at, key, length);
        at += length;
        *at++ = '"';
        *at++ = ':';
    }
    b->n = (size_t)(at - b->p);
    o->comma = true;
    return at;
}

static void byte(struct out *o, const char *key, char c)
{
    char *at = begin(o, key, 1);
    if (at == NULL)
        return;
    *at = c;
    o->b->n++;
}

void out_key(struct out *o, const char *key)
{
    begin(o, key, 0);
    o->comma = false;
}

void out_object(struct out *o, const char *key)
{
    byte(o, key, '{');
    o->comma = false;
}

void out_array(struct out *o, const char *key)
{
    byte(o, key, '[');
    o->comma = false;
}

void out_end(struct out *o, char bracket)
{
    o->comma = false;
    byte(o, NULL, bracket);
}

void out_raw(struct out *o, const char *key, struct ccp_span json)
{
    char *at = begin(o, key, json.n);
    if (at == NULL || json.n == 0)
        return;
    memcpy(at, json.p, json.n);
    o->b->n += json.n;
}

void out_node(struct out *o, const char *key, const struct ccp_json *node)
{
    if (node == NULL)
        return;
    if (node->type >= CCP_JSON_ARRAY && node->edited) {
        begin(o, key, 0);
        json_write(node, o->b);
    } else {
        out_raw(o, key, node->raw);
    }
}

void out_text(struct out *o, const char *key, struct ccp_span ctext)
{
    char *at = begin(o, key, ctext.n + 2);
    if (at == NULL)
        return;
    *at++ = '"';
    if (ctext.n != 0)
        memcpy(at, ctext.p, ctext.n);
    at[ctext.n] = '"';
    o->b->n += ctext.n + 2;
}

void out_plain(struct out *o, const char *key, struct ccp_span text)
{
    begin(o, key, 0);
    json_quote_to(o->b, text);
}

void out_word(struct out *o, const char *key, const char *word)
{
    out_text(o, key, ccp_span_z(word));
}

void out_int(struct out *o, const char *key, int64_t value)
{
    char digits[24];
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    digits[0] = '-';
    size_t n = 1 + ccp_digits(digits + 1, size, 1);
    out_raw(o, key, value < 0 ? ccp_span_of(digits, n) : ccp_span_of(digits + 1, n - 1));
}

void out_bool(struct out *o, const char *key, bool value)
{
    out_raw(o, key, value ? CCP_SPAN("true") : CCP_SPAN("false"));
}

void out_null(struct out *o, const char *key)
{
    out_raw(o, key, CCP_SPAN("null"));
}

void out_text_open(struct out *o, const char *key)
{
    byte(o, key, '"');
}

void out_text_add(struct out *o, struct ccp_span ctext)
{
    buf_add(o->b, ctext);
}

void out_text_close(struct out *o)
{
    buf_add(o->b, CCP_SPAN("\""));
}
