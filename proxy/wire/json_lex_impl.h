/*
 * The words of JSON and the one place that knows how they may follow each other.
 *
 * json_walk is the grammar: it validates a whole text and tells a sink what it met. json_parse and json_scan
 * are two sinks, so they accept the same texts by construction. The sink is constant at every call and the walk
 * is inlined, so a callback that does nothing costs nothing.
 */
#ifndef WIRE_JSON_LEX_IMPL_H
#define WIRE_JSON_LEX_IMPL_H

#include <ccproxy/json.h>
#include <ccproxy/status.h>
#include <wire/json.h>

/* Texts that judge keys rather than grammar; tests and fuzzers tell the two apart by them. */
#define JSON_WHAT_DUPLICATE "this key occurs twice"
#define JSON_WHAT_ESCAPED   "this key spells plain letters as escapes"

struct json_lex {
    const char *p, *end;
    const char *what; /* set when a call failed; p is the place */
    bool escaped;     /* of the last string */
};

/* An empty span may come without a pointer; the text is given one. */
static inline struct json_lex json_lex_over(struct ccp_span *text)
{
    if (text->n == 0)
        text->p = "";
    return (struct json_lex){.p = text->p, .end = text->p + text->n};
}

/* Each stands on the first byte and leaves p behind the last one, or fails with `what` and p at the place. */
bool json_lex_string(struct json_lex *l);
bool json_lex_number(struct json_lex *l);
bool json_lex_literal(struct json_lex *l, enum ccp_json_type *type);

/* 0 to 15, or -1. */
static inline int json_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at p, or -1. */
static inline int json_hex4(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = json_hex_digit(p[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Compares by value two keys of valid JSON, as they stand between their quotes. A total order; 0 = the same. */
int json_key_compare(struct ccp_span a, struct ccp_span b);
/* Does such a key stand for this plain text? */
bool json_key_is(struct ccp_span key, struct ccp_span text);
/* Takes one character off the front of a valid string's inner text: its UTF-8 into out, the length returned.
 * A surrogate without its partner becomes U+FFFD. */
size_t json_take_char(struct ccp_span *inner, char out[4]);
/* Does an escape of this key stand for a letter, a digit, '_' or '-'? Then a byte compare would miss it. */
bool json_key_hides_letters(struct ccp_span key);

/* json_parse without the rule against duplicate keys: for text that ccproxy made or has judged before. */
enum ccp_status json_parse_any(struct arena *a, struct ccp_span text, struct ccp_json **root);

/* Fills *error (may be NULL) from a failed lexer. */
enum ccp_status json_lex_error(const struct json_lex *l, struct ccp_span text, struct ccp_json_error *error);

struct json_sink {
    /* depth counts the containers around. Each may fail by setting l->what (or not at all: refused memory). */
    bool (*key)(void *to, struct json_lex *l, struct ccp_span key, unsigned depth);
    bool (*open)(void *to, const char *at, enum ccp_json_type type, unsigned depth);
    bool (*close)(void *to, struct json_lex *l, unsigned depth); /* l->p is behind the bracket */
    bool (*leaf)(void *to, struct ccp_span raw, enum ccp_json_type type, bool escaped, unsigned depth);
};

static inline __attribute__((always_inline)) bool json_lex_fail(struct json_lex *l, const char *what)
{
    l->what = what;
    return false;
}

/* Skips white space; false at the end of the text. */
static inline __attribute__((always_inline)) bool json_lex_space(struct json_lex *l)
{
    while (l->p != l->end && (unsigned char)*l->p <= ' ') {
        if (*l->p != ' ' && *l->p != '\n' && *l->p != '\t' && *l->p != '\r')
            break;
        l->p++;
    }
    return l->p != l->end;
}

static inline __attribute__((always_inline)) bool json_walk_leaf(struct json_lex *l, const struct json_sink *sink,
                                                                 void *to, unsigned depth)
{
    const char *at = l->p;
    enum ccp_json_type type = CCP_JSON_STRING;
    bool ok;
    if (*at == '"') {
        ok = json_lex_string(l);
    } else if (*at == '-' || (*at >= '0' && *at <= '9')) {
        type = CCP_JSON_NUMBER;
        ok = json_lex_number(l);
    } else {
        ok = json_lex_literal(l, &type);
    }
    struct ccp_span raw = {at, (size_t)(l->p - at)};
    return ok && sink->leaf(to, raw, type, type == CCP_JSON_STRING && l->escaped, depth);
}

static inline __attribute__((always_inline)) bool json_walk_key(struct json_lex *l, const struct json_sink *sink,
                                                                void *to, unsigned depth)
{
    if (!json_lex_space(l))
        return json_lex_fail(l, "the text ends inside an object");
    if (*l->p != '"')
        return json_lex_fail(l, "a key in quotes should be here");
    const char *at = l->p + 1;
    if (!json_lex_string(l))
        return false;
    struct ccp_span key = {at, (size_t)(l->p - 1 - at)};
    if (!sink->key(to, l, key, depth))
        return false;
    if (!json_lex_space(l))
        return json_lex_fail(l, "the text ends inside an object");
    if (*l->p != ':')
        return json_lex_fail(l, "a colon should be here");
    l->p++;
    return true;
}

/* The grammar. One bit per open container says whether it is an object. */
static inline __attribute__((always_inline)) bool json_walk(struct json_lex *l, const struct json_sink *sink, void *to)
{
    uint64_t kinds[JSON_MAX_DEPTH / 64];
    unsigned depth = 0;
    bool object = false;
value:
    if (!json_lex_space(l))
        return json_lex_fail(l, depth == 0 ? "the text is empty" : "the text ends where a value should be");
    if (*l->p != '{' && *l->p != '[') {
        if (!json_walk_leaf(l, sink, to, depth))
            return false;
        goto after;
    }
    if (depth == JSON_MAX_DEPTH)
        return json_lex_fail(l, "nested too deeply");
    object = *l->p == '{';
    if (!sink->open(to, l->p, object ? CCP_JSON_OBJECT : CCP_JSON_ARRAY, depth))
        return false;
    if (depth % 64 == 0)
        kinds[depth / 64] = 0;
    kinds[depth / 64] |= (uint64_t)object << (depth % 64);
    depth++;
    l->p++;
    if (json_lex_space(l) && *l->p == (object ? '}' : ']'))
        goto close;
    if (!object)
        goto value;
key:
    if (!json_walk_key(l, sink, to, depth))
        return false;
    goto value;
after:
    if (depth == 0)
        return json_lex_space(l) ? json_lex_fail(l, "something follows the end of the value") : true;
    if (!json_lex_space(l))
        return json_lex_fail(l, object ? "the text ends inside an object" : "the text ends inside an array");
    if (*l->p == ',') {
        l->p++;
        if (object)
            goto key;
        goto value;
    }
    if (*l->p != (object ? '}' : ']'))
        return json_lex_fail(l, object ? "a comma or } should be here" : "a comma or ] should be here");
close:
    l->p++;
    depth--;
    if (!sink->close(to, l, depth))
        return false;
    /* Forget the closed container's bit so that its place can be set anew. */
    kinds[depth / 64] &= ~(1ull << (depth % 64));
    object = depth != 0 && (kinds[(depth - 1) / 64] >> ((depth - 1) % 64) & 1) != 0;
    goto after;
}

#endif
