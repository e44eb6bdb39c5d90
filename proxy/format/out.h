/*
 * Writing JSON: a buffer that knows where commas go. No tree is built and nothing is checked twice: raw values and
 * ctexts are copied as they are. Failure is the buffer's (`failed`), to be looked at once at the end.
 */
#ifndef FORMAT_OUT_H
#define FORMAT_OUT_H

#include <base/buf.h>
#include <ccproxy/json.h>
#include <ccproxy/span.h>

struct out {
    struct ccp_buf *b;
    bool comma; /* the next value or key needs one before it */
};

static inline struct out out_of(struct ccp_buf *b)
{
    return (struct out){b, false};
}

void out_key(struct out *o, const char *key); /* plain ASCII */
/* key NULL: an element of an array (or the root). */
void out_object(struct out *o, const char *key);
void out_array(struct out *o, const char *key);
void out_end(struct out *o, char bracket); /* '}' or ']' */

void out_raw(struct out *o, const char *key, struct ccp_span json);         /* ready JSON text */
void out_node(struct out *o, const char *key, const struct ccp_json *node); /* NULL: nothing is written */
void out_text(struct out *o, const char *key, struct ccp_span ctext);       /* escaped already: only quotes are added */
void out_plain(struct out *o, const char *key, struct ccp_span text);       /* escapes */
void out_word(struct out *o, const char *key, const char *word);            /* plain ASCII that needs no escape */
void out_int(struct out *o, const char *key, int64_t value);
void out_bool(struct out *o, const char *key, bool value);
void out_null(struct out *o, const char *key);
/* A string in pieces: open, add ctexts, close. */
void out_text_open(struct out *o, const char *key);
void out_text_add(struct out *o, struct ccp_span ctext);
void out_text_close(struct out *o);

#endif
