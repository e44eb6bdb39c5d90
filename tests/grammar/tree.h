/*
 * A JSON tree for judges: strict RFC 8259 text, every string unescaped, every number read.
 *
 * Written for the tests alone, so that no fault of the product's parser can hide in its own judge. Lone surrogate
 * escapes are grammatical JSON; they are kept as the three bytes UTF-8 would give them, so that texts compare. Memory
 * is one list of blocks, given back by grammar_tree_release; where none is left the program ends.
 */
#ifndef TESTS_GRAMMAR_TREE_H
#define TESTS_GRAMMAR_TREE_H

#include <ccproxy/span.h>

#define TREE_DEPTH 2000

enum node_type {
    NIL = 1,
    BOOLEAN = 2,
    INTEGER = 4, /* a number without a fraction, however it is spelled */
    REAL = 8,
    STRING = 16,
    ARRAY = 32,
    OBJECT = 64,
    NUMBER = INTEGER | REAL,
};

struct node {
    struct node *next, *child;
    enum node_type type;
    struct ccp_span key, text; /* unescaped */
    double number;
    bool truth;
    size_t count; /* members or elements */
};

struct tree {
    struct grammar_tree_block *blocks;
};

/* NULL: not JSON; *what says why. An empty tree is {0}. Several texts may be parsed into one. */
struct node *grammar_tree_read(struct tree *t, struct ccp_span text, const char **what);
void *grammar_tree_memory(struct tree *t, size_t n);
void grammar_tree_release(struct tree *t);

/* NULL: no such member, or no object. The first one of that name. */
const struct node *grammar_tree_get(const struct node *object, const char *key);
/* Numbers compare as numbers, members in any order. */
bool grammar_tree_equal(const struct node *a, const struct node *b);

#endif
