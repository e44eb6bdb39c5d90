/*
 * Judges of requests: each format's body, read by its rules and told in neutral words; and the way back, for generated
 * conversations. Independent of the product.
 *
 * Neutral: {system, turns:[{role, parts}], tools:[{name, description, schema}], choice, max, temperature, top_p, top_k,
 * stop, effort, rest}. Parts: text | image, document {mime, data | url, title} | call {id, name, arguments} |
 * result {id, name, failed, parts} | thinking {text, proof}. `rest`: members that nobody here knows, as they stand.
 */
#ifndef UNIT_FORMAT_REQUEST_H
#define UNIT_FORMAT_REQUEST_H

#include "js.h"

struct request {
    json_t *neutral;   /* NULL when it is not even JSON */
    char problem[400]; /* what an upstream of the format would refuse */
};
struct request request_read(int format, const char *text, size_t n);
void request_free(struct request *r);

/* The same conversation as others would say it: neighbours of a role are one turn, results stand first in theirs,
 * neighbouring texts are one, what a format cannot say is said by words (README rule 4). */
enum {
    IMAGES_BEHIND = 1, /* images of results follow all results of their turn: Chat and Gemini */
    IDS_FREE = 2,      /* ids are counted: only who belongs to whom matters */
    THINKING_GOES = 4, /* thinking is left out */
};
json_t *request_canon(const json_t *neutral, unsigned how); /* new reference */

/* Body of a format that says this; its spelling (escapes, white space) depends on the seed, 0 = plain. Freed by
 * free(). */
char *request_write(int format, const json_t *neutral, uint32_t seed, size_t *n);
/* JSON text of a value that js_load has read. */
char *js_dump(const json_t *v, uint32_t seed, size_t *n);

/* -- between the judges -- */
void turn_down(struct request *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
json_t *request_turn(struct request *r, const char *role); /* appends a turn; borrowed */
json_t *request_part(json_t *turn, const char *kind);
void request_text(json_t *turn, const json_t *text); /* a text part; text may be NULL */
/* Splits "data:mime;base64,..." into mime and data, else sets url. */
void request_media(json_t *part, const json_t *url);
void request_system(struct request *r, const json_t *text); /* joins by blank lines */
/* Moves known members out of root into neutral: {from, to, from, to, NULL}. What remains is the rest. */
void request_move(struct request *r, json_t *root, const char *const *names);
json_t *text_or_list(const json_t *content, const char *type); /* new: a list of parts */

void anthropic_request(struct request *r, json_t *root);
void chat_request(struct request *r, json_t *root);
void responses_request(struct request *r, json_t *root);
void gemini_request(struct request *r, json_t *root);
json_t *anthropic_body(const json_t *neutral);
json_t *chat_body(const json_t *neutral);
json_t *responses_body(const json_t *neutral);
json_t *gemini_body(const json_t *neutral);
/* "data:image/png;base64,..." or the url of a media part. New. */
json_t *media_url(const json_t *part);
json_t *json_text_of(const json_t *v); /* a string that holds the JSON text of v. New. */

#endif
