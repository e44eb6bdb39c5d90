/*
 * What the four judges share: where and why something is wrong, members by table, SSE framing, small alphabets.
 *
 * Every function gives true when all is well; `refuse` notes the first thing that is not and gives false, so that a
 * judge reads as a chain of `return a && b && c`.
 */
#ifndef TESTS_GRAMMAR_CHECK_H
#define TESTS_GRAMMAR_CHECK_H

#include "tree.h"

#include <math.h>

struct check {
    struct tree tree;
    char wrong[400];
    const char *list; /* what is being judged: "messages", "event"; NULL = the root */
    size_t at;        /* which of it */
    bool shape_only;  /* ranges, words and references of single values are not judged */
    bool stream, may_fail;
};

bool refuse(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A member. `types` is a set of node types, NEEDED if it must be there. words: "a|b", what a string may be; low < high:
 * what a number may be. Those are values, see shape_only; what decides about the shape is asked for with is_word. */
#define NEEDED 256u
struct row {
    const char *name;
    unsigned types;
    const char *words;
    double low, high;
};
#define AT_LEAST(n) NULL, n, INFINITY

/* Is it an object with these members, none of them twice? `closed`: and no others. The table ends with name NULL. */
bool members(struct check *c, const struct node *object, const char *what, const struct row *rows, bool closed);
bool is_one_of(struct ccp_span text, const char *words);
/* A string member of exactly this text. */
bool is_word(const struct node *object, const char *key, const char *word);
/* A member that is there and not null. */
const struct node *given(const struct node *object, const char *key);
struct ccp_span text_of(const struct node *object, const char *key); /* empty when it is no string */
double number_of(const struct node *object, const char *key);        /* 0 when it is no number */

/* At least `least` and at most `most` letters of A-Z a-z 0-9 and `also`. */
bool is_name(struct ccp_span text, size_t least, size_t most, const char *also);
bool is_blank(struct ccp_span text);      /* empty, or white space only */
bool is_media_type(struct ccp_span text); /* "image/png", without parameters */
bool is_base64(struct ccp_span text);     /* either alphabet, not empty */
bool has_prefix(struct ccp_span text, const char *prefix);
bool is_data_url(struct ccp_span text, const char *type); /* "data:" type... ";base64," base64 */
bool is_web_url(struct ccp_span text);
/* Ends with the first half of a surrogate pair? Such a fragment cuts a character in two. */
bool cuts_a_character(struct ccp_span text);

/* A schema of arguments is of an object, if it says at all what it is of. NULL is fine. */
bool is_parameters(struct check *c, const struct node *schema);

/* A growing text in the tree's memory. */
struct gathered {
    char *p;
    size_t n, size;
};
void gather(struct check *c, struct gathered *g, struct ccp_span text);
static inline struct ccp_span gathered_span(const struct gathered *g)
{
    return ccp_span_of(g->p, g->n);
}

/* Names seen: for uniqueness and for looking up. */
struct seen {
    const struct ccp_span *names;
    size_t n, size;
};
bool seen_add(struct check *c, struct seen *s, struct ccp_span name); /* false: there already (nothing is refused) */
bool seen_has(const struct seen *s, struct ccp_span name);

/* One event of a stream. data is NULL for "[DONE]". */
struct frame {
    struct ccp_span event;
    const struct node *data;
};
/* Goes through an event stream: lines end all alike (LF or CR LF), one data line each, at most one event line before
 * it, an empty line behind, comments only between events. `take` false: refused. `done_word`: [DONE] may occur. */
bool frames(struct check *c, struct ccp_span bytes, bool done_word, bool (*take)(void *self, const struct frame *f),
            void *self);

const struct node *parse(struct check *c, struct ccp_span bytes); /* NULL: refused */
/* Ends a check: releases it and gives the verdict. */
const char *verdict(struct check *c, bool ok);

/* One judge per question and format. */
#define GRAMMAR_JUDGE(name)                                                                                            \
    bool name##_stream(struct check *c, struct ccp_span bytes);                                                        \
    bool name##_whole(struct check *c, const struct node *root);                                                       \
    bool name##_request(struct check *c, const struct node *root);                                                     \
    bool name##_error(struct check *c, const struct node *root);
GRAMMAR_JUDGE(anthropic)
GRAMMAR_JUDGE(chat)
GRAMMAR_JUDGE(responses)
GRAMMAR_JUDGE(gemini)

#endif
