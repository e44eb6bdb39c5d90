/*
 * What went wrong, in four vendors' words: errors of upstreams read, and written for clients (wire reference F.8).
 *
 * One table knows what each kind of failure is called; ccproxy's own errors (format.h) go through the same words. The
 * kinds themselves are in delta.h. Texts are ctexts. Nothing here knows a stream's grammar: the formats put these words
 * into theirs.
 */
#ifndef FORMAT_FAILURE_H
#define FORMAT_FAILURE_H

#include <format/delta.h>
#include <format/out.h>

#define FAILURE_TEXT_MAX 2048 /* bytes of plain text that an upstream's message is cut to */

/* -- reading -- */

/* From the JSON of an error, whoever wrote it: a body, an array around one, an error event of a stream, the
 * "response.failed" of one. `http`: upstream's status, or 0 in a stream. Fills everything in; texts live in `a` and are
 * free of credentials. Never fails: at worst the status speaks. */
void failure_of_json(struct failure *f, struct arena *a, int http, const struct ccp_json *root);
/* What kind it is, by the vendor's words where they are specific, else by status. Each word may be empty. */
enum failure_kind failure_kind_of(int http, ctext type, ctext code, ctext message);

/* -- writing -- */

/* Vendors' words for it. Never NULL, plain ASCII. */
const char *failure_anthropic_type(const struct failure *f); /* "overloaded_error" */
const char *failure_openai_type(const struct failure *f);    /* "invalid_request_error" */
const char *failure_gemini_status(const struct failure *f);  /* "RESOURCE_EXHAUSTED" */
/* "context_length_exceeded"; upstream's own word where that says more. A ctext. */
ctext failure_openai_code(const struct failure *f);
/* Its message as a member `key` (or an element): upstream's words, except where clients of this format know an error by
 * its wording. */
void failure_message(struct out *o, const char *key, enum ccp_format to, const struct failure *f);
/* The error object as a member `key` (NULL: an element or the root), the same in bodies and in streams:
 *   Anthropic  {"type","message"}   Chat, Responses  {"message","type","param":null,"code"}
 *   Gemini     {"code","message","status"} */
void failure_object(struct out *o, const char *key, enum ccp_format to, const struct failure *f);

#endif
