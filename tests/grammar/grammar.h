/*
 * The four wire formats as their vendors and SDKs judge them: an independent checker for tests and fuzz targets.
 *
 * It shares no code with proxy/format, nor with proxy/wire: it has its own JSON parser and SSE framing, written from
 * the wire reference (A.3 - A.10, B.2 - B.7, C.1 - C.5, D.2 - D.6). It is strict on purpose: what an official SDK would
 * forgive but our own writers never have to produce is refused.
 *
 * Every function gives NULL when the bytes are valid, else what is wrong: a text of this thread, good until its next
 * call. Bytes are never changed and nothing is kept.
 */
#ifndef TESTS_GRAMMAR_H
#define TESTS_GRAMMAR_H

#include <ccproxy/exchange.h>

/* The whole body of a streamed answer as the client gets it, from first to last byte: framing, order of events,
 * indexes, ids, repeated texts, one usage, the good end. Keep-alives between events are allowed. A stream may end in
 * its format's in-stream error, nothing behind it, only when may_end_in_error is set. Gemini: a body that begins with
 * '[' is judged as a JSON array, else as events. */
const char *grammar_stream(enum ccp_format f, struct ccp_span bytes, bool may_end_in_error);

/* The body of a good answer that is not streamed. */
const char *grammar_whole(enum ccp_format f, struct ccp_span bytes);

/* The body of a request, as the vendor's API would accept it: members and their types, content, order of tool calls
 * and results, ids and names, legal ranges. Unknown members are refused where the vendor refuses them. `stream` is what
 * was asked for (its member must say so; Gemini tells it by the path). */
const char *grammar_request(enum ccp_format f, struct ccp_span bytes, bool stream);

/* The same, but what single values say is not judged (a number's range, a word out of a list, a name that must be
 * another one's): for requests made from one that its own API would have refused for that, too, and which the upstream
 * may refuse. Members, types, content, and the order of calls and results must hold. */
const char *grammar_request_shape(enum ccp_format f, struct ccp_span bytes, bool stream);

/* The body of an error answer. */
const char *grammar_error(enum ccp_format f, struct ccp_span bytes);

#endif
