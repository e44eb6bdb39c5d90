/*
 * Tool names and the way back: what the client calls a tool, what it is called upstream, and what kind it was.
 *
 * A name that the target does not take (too long, wrong letters, in a namespace, taken already) goes out under another
 * one that is always the same for the same name, and comes back under its own. Lives as long as the exchange.
 */
#ifndef FORMAT_NAMES_H
#define FORMAT_NAMES_H

#include <format/prompt.h>

struct name {
    ctext client, space; /* as the client knows it */
    ctext wire;          /* as it is called upstream */
    bool custom;         /* the client's is a free-text tool that upstream sees as a function with one `input` */
};

struct names {
    struct arena *a;
    struct map by_client, by_wire; /* struct name */
};

struct names *names_new(struct arena *a); /* NULL = refused */

/* The rule of a target: at most `max` letters of A-Z a-z 0-9 _ - and those in `also`; `letter_first`: begins with a
 * letter or '_'. */
struct name_rule {
    size_t max;
    const char *also;
    bool letter_first;
};

/* The upstream name of a tool (defined, chosen or called in the history). p = NULL: no memory. */
ctext names_wire(struct names *n, const struct name_rule *rule, ctext space, ctext client, bool custom);
/* A wire name that means something else to this target: no client's name becomes it. False: no memory. */
bool names_reserve(struct names *n, ctext wire);
/* What came back; NULL = a name we never sent, to be given as it is. */
const struct name *names_client(const struct names *n, ctext wire);

#endif
