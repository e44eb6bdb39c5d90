/*
 * A wire format, whole: what a new one has to bring. One record per format; format_of() finds it by table, and nothing
 * outside a format's own files knows what it looks like.
 *
 * Readers and writers of answers keep their state in a struct of their own, made by the translation
 * (reader_size / writer_size bytes, zeroed) and passed back as `self`.
 */
#ifndef FORMAT_WIRE_FORMAT_H
#define FORMAT_WIRE_FORMAT_H

#include <format/collect.h>
#include <format/fields.h>
#include <format/format.h>
#include <wire/sse.h>

/* What a writer of answers has to know. */
struct answer_to {
    struct ccp_span model;      /* the client's own name for it: what answers say */
    struct ccp_span request_id; /* plain text; ids of answers are made from it when upstream sent none */
    struct ccp_span whole_id;   /* the same as logs and heads name it; errors tell it. Empty: request_id is it */
    uint64_t created;           /* Unix seconds */
    bool include_usage;         /* Chat: the client asked for a usage chunk */
    bool json_array;            /* Gemini without alt=sse: a JSON array instead of events */
};

struct wire_format {
    const char *id;
    const struct field *fields;     /* of the request */
    const struct part_field *parts; /* one row per part kind, in the order of part.def */
    bool counts;                    /* there is an endpoint that counts tokens */
    bool alternate;                 /* requests want user and assistant to take turns */

    /* -- requests -- */
    /* Reads the parsed body (an object). Everything the client may send is carried over, dropped by name, or refused
     * with a path. False: prompt_fail was called. */
    bool (*prompt_read)(struct prompt *p, const struct ccp_json *root);
    /* Writes the body: everything stable first, the conversation last and grown only at its end, so that turns of a
     * conversation share their beginning byte for byte. The buffer is fresh. False: prompt_fail was called. */
    bool (*prompt_write)(struct prompt *p, struct ccp_buf *out);
    /* Path and query below the base URL ("/v1/messages"); p->to tells model, stream, count. p = NULL: refused. */
    struct ccp_span (*path)(struct prompt *p);
    /* "messages[3].content[0]", or with the part's parent when it stands in a result. Into out, at most n bytes. */
    void (*where)(const struct part *part, char *out, size_t n);

    /* -- reading answers -- */
    size_t reader_size;
    void (*reader_release)(void *self); /* or NULL */
    /* One event of a stream. `root` is its data as JSON, or NULL when the data is not JSON ("[DONE]"). */
    void (*read_event)(void *self, struct delta_stream *s, const struct sse_event *event, const struct ccp_json *root);
    /* A whole answer that is not an error. Ends with delta_finish. */
    void (*read_whole)(void *self, struct delta_stream *s, const struct ccp_json *root);
    /* End of the upstream's stream: delta_finish where the format allows an end here, else delta_fail (FAILURE_CUT). */
    void (*read_end)(void *self, struct delta_stream *s);
    /* Where an answer tells its token counts, NULL-terminated: "response.usage", "choices[].usage", "[]." for each
     * chunk of an array; of two in one text that which stands later in this list counts. At most 20 letters a name and
     * 4 containers deep; the last name begins with "usage". */
    const char *const *usage_paths;
    /* Reads the object found there into *u. `seen` (USAGE_SEEN numbers, zeroed with *u) keeps what one object says and
     * the next leaves out, for formats that need it. */
    void (*read_usage)(struct usage *u, uint64_t *seen, const struct ccp_json *usage);
    /* The answer to a token count. False: it is none. */
    bool (*read_count)(const struct ccp_json *root, uint64_t *tokens);

    /* -- writing answers: valid for the format's grammar whatever the upstream sent -- */
    size_t writer_size;
    /* Turns one delta into zero or more complete events. ERROR: the format's in-stream error (F.8). The end of the
     * stream is written with STOP (Chat: [DONE]). False: no memory. */
    bool (*write_delta)(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out);
    void (*writer_release)(void *self); /* or NULL */
    bool (*write_whole)(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out);
    bool (*write_count)(uint64_t tokens, bool estimated, struct ccp_buf *out);
};

/* One line per format; the names in format.def are the table's. */
extern const struct wire_format format_anthropic, format_openai_chat, format_openai_responses, format_gemini;
#define WIRE_FORMAT_ANTHROPIC        format_anthropic
#define WIRE_FORMAT_OPENAI_CHAT      format_openai_chat
#define WIRE_FORMAT_OPENAI_RESPONSES format_openai_responses
#define WIRE_FORMAT_GEMINI           format_gemini

const struct wire_format *format_of(enum ccp_format f);

#endif
