/*
 * JSON: parser and scan accept the same texts, and those that jansson accepts; the writer gives back what was parsed,
 * numbers included; an edit or a splice changes one place and keeps the rest byte for byte; strings survive decode and
 * quote; nothing deeper than the limit gets in.
 */
#include "fuzz.h"

#include <base/buf.h>
#include <jansson.h>
#include <wire/json_lex_impl.h>

static bool judges_keys(const char *what)
{
    return strcmp(what, JSON_WHAT_DUPLICATE) == 0 || strcmp(what, JSON_WHAT_ESCAPED) == 0;
}

static void written(const struct ccp_json *root, struct ccp_buf *out)
{
    out->n = 0;
    MUST(json_write(root, out));
}

static void strings(struct arena *a, const struct ccp_json *node)
{
    for (; node != NULL; node = node->next) {
        if (node->type == CCP_JSON_STRING) {
            struct ccp_span text = json_text(a, node->raw), again = json_quote(a, text);
            MUST(text.p != NULL && again.p != NULL);
            MUST(ccp_span_eq(json_text(a, again), text));
        }
        strings(a, node->child);
    }
}

/* Every member of the root is found by the scan as the tree has it. */
static void members(const struct ccp_json *root, struct ccp_span text)
{
    for (const struct ccp_json *m = root->child; m != NULL && root->type == CCP_JSON_OBJECT; m = m->next) {
        struct ccp_span value;
        if (m->key_escaped)
            continue;
        MUST(json_scan(text, &m->key, &value, 1, NULL) == CCP_OK);
        MUST(value.p == m->raw.p && value.n == m->raw.n);
    }
}

static void edit(struct arena *a, struct ccp_json *root, struct ccp_buf *out)
{
    struct ccp_json *at = root, *found;
    while (at->child != NULL && at->child->child != NULL)
        at = at->child;
    if (at->type == CCP_JSON_OBJECT)
        MUST(json_set(a, at, "model", json_new_string(a, CCP_SPAN("new"))));
    else if (at->type == CCP_JSON_ARRAY)
        MUST(json_append(at, json_raw(a, CCP_SPAN("{\"k\":[1]}"))));
    out->n = 0;
    if (!json_write(root, out)) /* only the append at the very bottom may go too deep */
        return;
    MUST(json_parse_any(a, buf_span(out), &found) == CCP_OK);
}

/* The value of the first member replaced where it stands: all other values are the same bytes. */
static void splice(struct arena *a, struct ccp_span text, const struct ccp_json *root)
{
    struct ccp_span parts[3], expected[2];
    struct ccp_json *again;
    struct ccp_buf out;
    const struct ccp_json *first = root->child, *b;
    if (root->type != CCP_JSON_OBJECT || first == NULL)
        return;
    json_splice(text, first->raw, CCP_SPAN("\"alias\""), parts);
    expected[0] = ccp_span_of(text.p, (size_t)(first->raw.p - text.p));
    expected[1] = ccp_span_skip(text, expected[0].n + first->raw.n);
    MUST(ccp_span_eq(parts[0], expected[0]) && ccp_span_eq(parts[2], expected[1]));
    buf_init(&out, text.n + 16);
    for (int i = 0; i < 3; i++)
        MUST(buf_add(&out, parts[i]));
    MUST(json_parse_any(a, buf_span(&out), &again) == CCP_OK && again->count == root->count);
    MUST(ccp_span_is(again->child->raw, "\"alias\""));
    for (b = again->child->next, first = first->next; first != NULL; b = b->next, first = first->next)
        MUST(b != NULL && ccp_span_eq(first->raw, b->raw) && ccp_span_eq(first->key, b->key));
    buf_release(&out);
}

static unsigned depth_of(struct ccp_span text)
{
    unsigned depth = 0, deepest = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{'))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!quoted && (c == ']' || c == '}'))
            depth--;
    }
    return deepest;
}

/* jansson refuses what is JSON but not for it: numbers beyond a double, escapes of lone surrogates. We keep those as
 * text. jansson 2.14 takes a zero byte behind a value for the end of the text. In all else the two agree. */
static void second_opinion(struct ccp_span text, bool accepted)
{
    json_error_t e;
    json_t *v = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &e);
    bool deep = v != NULL ? depth_of(text) > JSON_MAX_DEPTH : json_error_code(&e) == json_error_stack_overflow;
    bool own_taste =
        v == NULL && (json_error_code(&e) == json_error_numeric_overflow ||
                      json_error_code(&e) == json_error_null_byte_in_key || strstr(e.text, "invalid Unicode") != NULL);
    own_taste = own_taste || (text.n != 0 && memchr(text.p, '\0', text.n) != NULL);
    MUST(!accepted || depth_of(text) <= JSON_MAX_DEPTH);
    if (deep)
        MUST(!accepted);
    else if (!own_taste)
        MUST(accepted == (v != NULL));
    json_decref(v);
}

static void tree(struct arena *a, struct ccp_span text, struct ccp_json *root, bool plain_keys)
{
    struct ccp_buf out;
    buf_init(&out, text.n + 1024);
    written(root, &out);
    MUST(ccp_span_eq(buf_span(&out), root->raw));
    MUST(root->raw.p >= text.p && root->raw.p + root->raw.n <= text.p + text.n);
    if (plain_keys && root->count < 64)
        members(root, text);
    strings(a, root);
    splice(a, text, root);
    edit(a, root, &out);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ccp_span text = {(const char *)data, size};
    struct arena a;
    struct ccp_json *root;
    struct ccp_json_error e = {0}, f = {0};
    arena_init(&a, NULL, 0);
    enum ccp_status parsed = json_parse(&a, text, &root, &e), scanned = json_scan(text, NULL, NULL, 0, &f);
    second_opinion(text, scanned == CCP_OK);
    MUST(parsed == scanned || (parsed == CCP_BAD_JSON && judges_keys(e.what)));
    if (scanned != CCP_OK && !judges_keys(e.what))
        MUST(e.offset == f.offset && strcmp(e.what, f.what) == 0 && e.offset <= size);
    if (parsed != CCP_OK)
        MUST(root == NULL && (scanned != CCP_OK || json_parse_any(&a, text, &root) == CCP_OK));
    if (root != NULL)
        tree(&a, text, root, parsed == CCP_OK);
    arena_end(&a);

    /* Any bytes at all can be quoted, and what was quoted is JSON. */
    arena_init(&a, NULL, 0);
    MUST(json_scan(json_quote(&a, text), NULL, NULL, 0, NULL) == CCP_OK);
    arena_end(&a);
    return 0;
}
