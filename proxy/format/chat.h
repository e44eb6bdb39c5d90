/*
 * OpenAI Chat Completions (wire reference B): what this format's own files share. Nobody else includes it.
 */
#ifndef FORMAT_CHAT_H
#define FORMAT_CHAT_H

#include <format/proof.h>
#include <format/wire_format.h>

extern const struct field chat_fields[];

/* A member that says something: NULL when it is absent or null. */
static inline const struct ccp_json *chat_get(const struct ccp_json *object, const char *key)
{
    const struct ccp_json *m = ccp_json_get(object, key);
    return m != NULL && m->type != CCP_JSON_NULL ? m : NULL;
}

/* -- models (chat_model.c) -- */

struct chat_model {
    bool reasons;     /* refuses sampling parameters and max_tokens, knows the role developer and reasoning_effort */
    bool no_effort;   /* known to refuse reasoning_effort */
    bool no_stop;     /* refuses stop sequences */
    bool echo;        /* wants its reasoning_content back on turns with tool calls */
    bool searches;    /* takes web_search_options */
    unsigned efforts; /* bit per enum effort that it takes */
};

struct chat_model chat_model_of(struct ccp_span name); /* "openai/gpt-5-mini" is known, too */
/* The nearest depth that the model takes. */
enum effort chat_effort(const struct chat_model *m, enum effort wanted);

/* -- requests -- */

bool chat_prompt_read(struct prompt *p, const struct ccp_json *root);
bool chat_read_messages(struct prompt *p, const struct ccp_json *messages);
bool chat_read_tools(struct prompt *p, const struct ccp_json *root);
bool chat_read_reasoning(struct prompt *p, const struct ccp_json *root);
/* The thinking that an assistant message carries, as parts of its turn; `late` holds a proof that belongs to the
 * message's text. */
bool chat_read_thinking(struct prompt *p, struct turn *turn, const struct ccp_json *message, struct proof *late);
/* extra_content.google.thought_signature of a message or a call. */
bool chat_read_extra(struct prompt *p, struct proof *proof, const struct ccp_json *node);

bool chat_prompt_write(struct prompt *p, struct ccp_buf *out);
bool chat_write_tools(struct prompt *p, const struct chat_model *m, struct out *o);
bool chat_write_messages(struct prompt *p, const struct chat_model *m, struct out *o);
/* User content: one string, or parts. `extra`: a list of media to go in front (of results), or NULL. */
struct chat_media {
    const struct part *part;
    struct chat_media *next;
};
bool chat_write_content(struct prompt *p, struct out *o, const struct chat_media *extra, const struct part *first);
/* reasoning_content, reasoning_details and reasoning_opaque of an assistant message. */
void chat_write_thinking(struct prompt *p, const struct chat_model *m, struct out *o, const struct turn *t);
ctext chat_call_id(struct prompt *p, ctext id);
extern const struct name_rule chat_names;

/* -- opaque proofs of other Chat servers (chat_detail.c) -- */

/* One item of reasoning_details, or reasoning_opaque, as the text of a PROOF_DETAIL: letter, format, id, payload. */
struct chat_detail {
    char letter; /* 's' signature of reasoning.text, 'e' reasoning.encrypted, 'o' reasoning_opaque */
    ctext format, id, payload;
};
/* Nothing opaque in it: payload empty. */
struct chat_detail chat_detail_of(const struct ccp_json *item);
ctext chat_detail_pack(struct arena *a, const struct chat_detail *d); /* p = NULL: no memory */
bool chat_detail_unpack(ctext text, struct chat_detail *d);
/* Length of a text as JSON counts it, in UTF-16 units: however it is escaped, it stays the same, and lengths of
 * fragments add up. */
uint64_t chat_units(ctext text);
/* The `id` of a detail that is signed together with a text: how long that text is. */
void chat_write_units(struct out *o, uint64_t units);
/* Is the item's signature about a text of this length? True also when it does not say. */
bool chat_same_units(const struct ccp_json *item, ctext text);

/* -- answers -- */

struct chat_call {
    uint64_t index, key, id; /* upstream's index; our key of the part; its id's hash, 0 = none came */
    bool named;              /* the part is open */
    uint8_t early_n;         /* an id that came before the name */
    char early[64];
};

struct chat_reader {
    uint64_t serial;                /* of parts: each gets a key of its own */
    uint64_t plain;                 /* key of the open text, refusal or thinking part; 0 = none */
    enum part_kind kind;            /* its kind */
    bool proven;                    /* it has got a proof */
    bool any;                       /* a choice was seen */
    uint8_t source;                 /* the member that thinking is taken from */
    uint64_t seed;                  /* for ids of calls that came without one */
    struct chat_call *calls, *last; /* last: the one that got something last */
    size_t n, capacity;
};

void chat_read_event(void *self, struct delta_stream *s, const struct sse_event *event, const struct ccp_json *root);
void chat_read_whole(void *self, struct delta_stream *s, const struct ccp_json *root);
void chat_read_end(void *self, struct delta_stream *s);
void chat_reader_release(void *self);
/* tool_calls and function_call of a delta or a whole message; `whole`: every call in it is complete and new. */
void chat_read_calls(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *delta, bool whole);
/* Text, refusal and thinking of a delta or a whole message. */
void chat_read_plain(struct chat_reader *r, struct delta_stream *s, const struct ccp_json *delta);
void chat_close_plain(struct chat_reader *r, struct delta_stream *s);
void chat_no_memory(struct delta_stream *s);
void chat_read_usage(struct usage *u, uint64_t *seen, const struct ccp_json *usage);

struct chat_writer {
    bool begun, said;        /* said: the open call has got arguments */
    bool proven;             /* the open part's proof is written */
    bool custom;             /* the open call is of a free-text tool */
    uint64_t calls, details; /* written so far */
    uint64_t units;          /* length of the open part's thinking (chat_units) */
    struct ccp_buf head;     /* of every chunk, up to the choices' bracket */
};

bool chat_write_delta(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out);
void chat_writer_release(void *self);
bool chat_write_whole(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out);
void chat_write_usage(struct out *o, const struct usage *u);
const char *chat_finish_word(enum stop stop);
/* "id", "object", "created" and "model" of an answer. */
void chat_write_identity(struct out *o, const struct answer_to *to, ctext id, const char *object);

#endif
