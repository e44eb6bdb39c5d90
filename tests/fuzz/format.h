/*
 * What the targets of the wire formats share. Their inputs: four bytes of control, then one or two texts.
 *
 *   byte 0  switches, see struct control
 *   byte 1  seed of the cuts of the reads
 *   byte 2  from 128 on: which allocation is refused, counted from the first of the product
 *   byte 3  which model
 *
 * Compiled once per format (FUZZ_FORMAT) or pair (FUZZ_CLIENT, FUZZ_UPSTREAM), see tests/CMakeLists.txt.
 */
#ifndef TESTS_FUZZ_FORMAT_H
#define TESTS_FUZZ_FORMAT_H

#include "fuzz.h"

#include <base/fault.h>
#include <format/translate.h>
#include <grammar/grammar.h>
#include <grammar/tree.h>
#include <wire/json.h>

#define SIZE_LIMIT (1u << 18) /* longer inputs only cost time */

struct control {
    bool stream, upstream_streams, usage, array, compatible, narrow, alternate, foreign;
    uint32_t cuts;
    unsigned refused; /* 0 = none */
    uint8_t model;
};

static inline struct control control_of(const uint8_t *data)
{
    unsigned b = data[0];
    return (struct control){
        .stream = (b & 1) != 0,
        .upstream_streams = (b & 2) != 0,
        .usage = (b & 4) != 0,
        .array = (b & 8) != 0,
        .compatible = (b & 16) != 0,
        .narrow = (b & 0xe0) == 0xe0, /* little room for events */
        .alternate = (b & 32) != 0,
        .foreign = (b & 64) != 0, /* proofs are another provider's */
        .cuts = data[1] + 1u,
        .refused = data[2] < 128 ? 0 : data[2] - 127u,
        .model = data[3],
    };
}

static inline void refuse_nth(unsigned n)
{
    char spec[32];
    snprintf(spec, sizeof(spec), "alloc:%u", n);
    fault_arm(n != 0 ? spec : NULL);
}

/* "" of every generation that a writer tells apart by name, and one it knows nothing of. */
static inline struct ccp_span model_for(enum ccp_format f, uint8_t choice)
{
    static const char *const names[CCP_FORMAT_COUNT][4] = {
        [CCP_FORMAT_ANTHROPIC] = {"claude-test-1", "claude-sonnet-4-5", "claude-3-7-sonnet-20250219", "other"},
        [CCP_FORMAT_OPENAI_CHAT] = {"gpt-test-1", "gpt-4.1", "o3", "other"},
        [CCP_FORMAT_OPENAI_RESPONSES] = {"gpt-test-1", "gpt-4.1", "o3", "other"},
        [CCP_FORMAT_GEMINI] = {"gemini-test-1", "gemini-2.5-flash", "gemini-3-pro", "other"},
    };
    return ccp_span_z(names[f][choice % 4]);
}

/* Aborts with the reason and the text when a judge was not pleased. */
static inline void pleased(const char *what, const char *wrong, struct ccp_span text)
{
    if (wrong == NULL)
        return;
    fprintf(stderr, "%s: %s\n%.*s\n", what, wrong, (int)(text.n < 60000 ? text.n : 60000), text.p);
    abort();
}

/* Text that may stand between the quotes of a JSON string. Only while no allocation is refused. */
static inline void must_be_ctext(ctext text)
{
    struct tree t = {0};
    const char *what;
    char *quoted = malloc(text.n + 2);
    quoted[0] = quoted[text.n + 1] = '"';
    if (text.n != 0)
        memcpy(quoted + 1, text.p, text.n);
    const struct node *n = grammar_tree_read(&t, ccp_span_of(quoted, text.n + 2), &what);
    if (n == NULL || n->type != STRING)
        pleased("not a text", what != NULL ? what : "more than one", text);
    grammar_tree_release(&t);
    free(quoted);
}

/* The body as an object, or NULL: what the chain would not hand to a reader. */
static inline struct ccp_json *object_of(struct arena *a, struct ccp_span body)
{
    struct ccp_json *root = NULL;
    return json_parse(a, body, &root, NULL) == CCP_OK && root->type == CCP_JSON_OBJECT ? root : NULL;
}

/* A copy in memory of its own size. Asked for again when it was this allocation that is refused. */
static inline char *exact_copy(struct ccp_span text)
{
    char *copy;
    do
        copy = malloc(text.n + (text.n == 0));
    while (copy == NULL);
    if (text.n != 0)
        memcpy(copy, text.p, text.n);
    return copy;
}

/* Every read in memory of its own size. `cuts` 1: as one. */
static inline bool feed_cut(struct translation *t, struct ccp_span text, uint32_t cuts)
{
    bool ok = true;
    for (uint32_t seed = cuts; text.n != 0 && ok;) {
        size_t n = text.n;
        seed = seed * 1664525u + 1013904223u;
        if (cuts != 1)
            n = seed % 4 != 0 ? 1 : 1 + (seed >> 20) % 200;
        n = n < text.n ? n : text.n;
        char *copy = exact_copy(ccp_span_of(text.p, n));
        ok = translation_feed(t, ccp_span_of(copy, n));
        free(copy);
        text = ccp_span_skip(text, n);
    }
    return ok;
}

#endif
