/*
 * What the parts of a record share: the two layouts' readers and writers, and the ways a member becomes a value.
 *
 * Readers fill the views of a record whose root is an object; writers only read it. Static texts say what is wrong and
 * never quote the record.
 */
#ifndef AUTH_RECORD_IMPL_H
#define AUTH_RECORD_IMPL_H

#include <auth/record.h>

#define RECORD_NO_MEMORY "there is no memory for it"

/* What a record may take in memory besides its text: a file of RECORD_MAX bytes can hold half a million members. */
enum { RECORD_BUDGET = 24 * 1024 * 1024 };
/* What a struct ccp_secret holds: a longer one could be stored and never be sent. */
enum { RECORD_TOKEN_MAX = 64 * 1024 };

/* NULL = fine, else the text for record_parse. */
const char *record_own_read(struct record *r);
const char *record_foreign_read(struct record *r);
bool record_own_write(const struct record *r, struct ccp_buf *out);
/* `base` is a record of r's layout: its text with r's values put in where they differ. It is what the file holds now,
 * which may be newer than what r was read from. */
bool record_foreign_write(const struct record *r, const struct record *base, struct ccp_buf *out);

/* A token is sent in a header: printable ASCII (VSCHAR of RFC 6749 appendix A), not empty, at most RECORD_TOKEN_MAX. */
bool record_token_ok(struct ccp_span token);
/* What a string member holds; NULL and null give an empty span. False: not a string, or no memory (p = NULL). */
bool record_string(struct arena *a, const struct ccp_json *value, struct ccp_span *out);
/* A number without exponent and at least 0; a fraction is cut off. NULL and null give 0. False: it is none. */
bool record_number(const struct ccp_json *value, int64_t *out);
/* Member behind a dotted path, or NULL. `parent` (may be NULL): the object that holds or would hold it, or NULL;
 * `last`: the path's last word. */
struct ccp_json *record_find(const struct ccp_json *root, const char *path, struct ccp_json **parent,
                             struct ccp_span *last);
/* Adds or replaces a fact of the view; both spans live as long as the record. False = there is no more room. */
bool record_put_fact(struct record *r, struct ccp_span name, struct ccp_span value);

#endif
