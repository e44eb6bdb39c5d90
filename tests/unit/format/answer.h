/*
 * Judges of answers: each format's whole answer and stream, read strictly by its grammar and told in neutral words.
 *
 * Independent of the product: nothing of proxy/ is used. What the grammar forbids is a `problem` (wire reference A.9,
 * B.6, C.5, D.6, F.9), whatever the rest says.
 */
#ifndef UNIT_FORMAT_ANSWER_H
#define UNIT_FORMAT_ANSWER_H

#include "js.h"

enum { INPUT, CACHE_READ, CACHE_WRITE, OUTPUT, REASONING, COUNTS };

struct answer {
    json_t *parts;    /* {kind: text|thinking|call, text | id, name, arguments; proof, custom when there} */
    char stop[24];    /* end, stop_seq, length, tool, refusal, pause, malformed_call; "" = none */
    json_t *sequence; /* the stop sequence, or NULL */
    bool usage;
    int64_t count[COUNTS];
    bool failed; /* ended with an error in the format's grammar */
    char error[300];
    char id[100], model[100];
    char problem[400];
};

/* `format` counts as in wire.h. Freed by answer_free. */
struct answer answer_of_stream(int format, const char *text, size_t n);
struct answer answer_of_whole(int format, const char *text, size_t n);
/* An error body of a format. */
struct answer answer_of_error(int format, const char *text, size_t n);
void answer_free(struct answer *a);

/* Parts as they are compared: neighbours of a kind (text, thinking) are one, empty ones vanish, proofs go. New. */
json_t *answer_parts(const json_t *parts);

/* -- between the judges -- */
struct happening {
    char name[64]; /* of the event line; "" = none */
    char *data;
    size_t n;
};
/* Splits a stream of events; the last one must be complete. *count is set; freed by happenings_free. */
struct happening *happenings_of(const char *text, size_t n, size_t *count, struct answer *a);
void happenings_free(struct happening *h, size_t count);

/* Notes the first problem. */
void object_to(struct answer *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void answer_stop(struct answer *a, const char *word);
void answer_fail(struct answer *a, const json_t *message);
/* A new part at the end. */
json_t *answer_part(struct answer *a, const char *kind);
bool answer_has_calls(const struct answer *a);
/* Every chunk must say the same. */
void answer_same(struct answer *a, char *kept, size_t room, const json_t *value, const char *what);

void anthropic_stream(struct answer *a, const struct happening *h, size_t n);
void anthropic_whole(struct answer *a, const json_t *root);
void chat_stream(struct answer *a, const struct happening *h, size_t n);
void chat_whole(struct answer *a, const json_t *root);
void responses_stream(struct answer *a, const struct happening *h, size_t n);
void responses_whole(struct answer *a, const json_t *root);
void gemini_stream(struct answer *a, const struct happening *h, size_t n);
void gemini_whole(struct answer *a, const json_t *root);

#endif
