/*
 * Finds the token counts of an answer in bytes that pass by: the objects at a format's usage_paths.
 *
 * Follows the JSON just enough to know where it stands; nothing is held back, and no byte is copied but those of such
 * an object that is cut in two. Names count only in their place: a tool's arguments or a text that look the same do
 * not. In an event stream each line begins anew, and whole lines without the name are skipped at the speed of a search.
 * What is not JSON is passed over without harm. An event whose JSON is spread over several data lines, which no
 * provider sends, is not understood.
 *
 * A whole answer (but Gemini's, which may be an array or have an envelope) tells its counts in a member of its
 * outermost object, mostly the last one. So its beginning is only searched for the name; where that stood is known when
 * the text has ended, from the brackets that were closed behind it.
 */
#ifndef CHAIN_USAGE_SCAN_H
#define CHAIN_USAGE_SCAN_H

#include <base/arena.h>
#include <ccproxy/exchange.h>
#include <ccproxy/json.h>
#include <format/delta.h>

enum { USAGE_OBJECT_MAX = 4096, USAGE_DEPTH = 4, USAGE_NAME = 20 };

struct usage_scan {
    const struct wire_format *format;
    struct arena *arena;            /* an object that was cut is kept here, parsed ones only for a moment */
    bool outermost, anchored;       /* a whole answer, see above; the first such name was seen */
    bool lines;                     /* an event stream */
    bool in_string, escaped, ended; /* ended: a string did, and may have been a name */
    bool named;                     /* `name` is that of the value to come */
    bool capturing, overflow;       /* within such an object; it is too large or memory ended */
    uint8_t name_n;                 /* UINT8_MAX: longer than any that matters */
    uint8_t at[USAGE_DEPTH + 1];    /* length of `path` inside so many containers */
    unsigned depth, from;           /* from: where the object began */
    int rank, best;                 /* the object's place in usage_paths; the best one of this text */
    char name[USAGE_NAME];
    char path[USAGE_DEPTH * (USAGE_NAME + 3)];
    char *kept;
    size_t kept_n;
    char before[8]; /* the last bytes of the search: a name may be cut */
    uint8_t before_n;
    unsigned best_depth;
    struct usage sum; /* outermost: of the best candidate, see usage_scan_sum */
    uint64_t seen[USAGE_SEEN];
};

/* usage_tree.c */
enum { USAGE_NODES = 64 };
struct usage_nodes {
    struct ccp_json v[USAGE_NODES];
    size_t n;
};
/* NULL: it is no object, or too large a one. Lives in `nodes`, spans in `text`. */
const struct ccp_json *usage_tree(struct usage_nodes *nodes, struct ccp_span text);

/* Zeroed but for these. */
void usage_scan_init(struct usage_scan *s, enum ccp_format format, bool lines, struct arena *arena);
void usage_scan_feed(struct usage_scan *s, struct ccp_span bytes); /* any cut */
/* What was told so far; of a whole answer nothing before its end. */
struct usage usage_scan_sum(const struct usage_scan *s);

#endif
