/*
 * JSON: parser and scan accept the same texts; the writer gives back what was parsed; an edit leaves a text
 * that parses; strings survive decode and quote.
 */
#include <base/buf.h>
#include <wire/json_lex_impl.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
