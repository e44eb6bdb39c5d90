/*
 * OpenAI Responses (wire reference C): what its own files share. Included by no other format.
 */
#ifndef FORMAT_RESPONSES_H
#define FORMAT_RESPONSES_H

#include <format/proof.h>
#include <format/wire_format.h>

/* Index of a part that is an item of its own, not content of a message. */
#define RESPONSES_ITEM UINT32_MAX

extern const struct field responses_fields[];

/* -- models (responses_model.c) -- */

/* What a model takes, by its name; unknown names take everything. */
struct responses_model {
    const char *prefix;
    bool reasons;            /* reasoning model: no sampling parameters */
    bool plain;              /* known not to reason: no reasoning parameters */
    bool verbosity;          /* text.verbosity is taken */
    bool none;               /* effort "none" is taken */
    enum effort least, most; /* of the efforts above "none" */
};
const struct responses_model *responses_model(struct ccp_span name);
/* The effort this model takes that is nearest to the wanted one. */
enum effort responses_effort(const struct responses_model *m, enum effort wanted);

/* -- calls and results that have an item type of their own -- */

/* Tools that the client runs and that this format calls by item type: "local_shell_call" and its like. Elsewhere they
 * are function calls of `name` with the value of `member` as arguments. NULL: it is none. */
struct responses_builtin {
    const char *type, *name, *member;
};
const struct responses_builtin *responses_builtin_call(const struct ccp_json *item);
bool responses_builtin_output(const struct ccp_json *type);

/* -- reading requests -- */

bool responses_prompt_read(struct prompt *p, const struct ccp_json *root);
bool responses_input_read(struct prompt *p, const struct ccp_json *input);
/* A message's content, string or parts, into `turn`. */
bool responses_content_read(struct prompt *p, struct turn *turn, const struct ccp_json *content);
/* A result's output: string or parts; `loose`: any JSON, as text. */
bool responses_output_read(struct prompt *p, struct part *result, const struct ccp_json *output, bool loose);
/* `path` names the list in errors: "tools". */
bool responses_tools_read(struct prompt *p, const struct ccp_json *tools, const char *path);
bool responses_choice_read(struct prompt *p, const struct ccp_json *choice);
/* Names a member that is dropped when it says anything: not null, not an empty array or object. */
void responses_drop_member(struct prompt *p, const struct ccp_json *object, const char *member, const char *name);

/* -- writing requests -- */

bool responses_prompt_write(struct prompt *p, struct ccp_buf *out);
bool responses_input_write(struct prompt *p, struct out *o);
bool responses_tools_write(struct prompt *p, struct out *o);
/* p = NULL: no memory (noted). */
ctext responses_tool_name(struct prompt *p, ctext space, ctext name);

/* -- reading answers -- */

enum responses_item { ITEM_MESSAGE, ITEM_REASONING, ITEM_CALL, ITEM_CUSTOM, ITEM_BUILTIN, ITEM_OTHER };

/* An output item that has begun and is not done. */
struct responses_slot {
    bool used;
    enum responses_item item;
    uint64_t index; /* output_index: ids change under way on some servers */
    uint64_t part;  /* message: parts before this one are done; reasoning: the summary or content part we are in */
    uint64_t count; /* message: parts that have begun */
    bool opened;    /* call: its part is open */
    bool said;      /* reasoning: has text */
    bool summary;   /* that text is a summary, else content */
};

#define RESPONSES_SLOTS 16

struct responses_reader {
    struct responses_slot slots[RESPONSES_SLOTS];
    uint64_t seen; /* items below this index have begun */
    uint64_t current;
    bool refused;
};

void responses_read_event(void *self, struct delta_stream *s, const struct sse_event *event,
                          const struct ccp_json *root);
void responses_read_whole(void *self, struct delta_stream *s, const struct ccp_json *root);
void responses_read_usage(struct usage *u, uint64_t *seen, const struct ccp_json *usage);
void responses_read_end(void *self, struct delta_stream *s);
/* The slot of an item, or NULL. */
struct responses_slot *responses_slot(struct responses_reader *r, uint64_t index);
/* The same for a fragment; some servers never announce their items. NULL: it is done, or another kind. */
struct responses_slot *responses_slot_for(struct responses_reader *r, uint64_t index, enum responses_item item);
enum responses_item responses_item_of(const struct ccp_json *item);
/* output_item.added, .done, and the same for an item that only the final response shows. */
void responses_item_added(struct responses_reader *r, struct delta_stream *s, uint64_t index,
                          const struct ccp_json *item);
void responses_item_done(struct responses_reader *r, struct delta_stream *s, uint64_t index,
                         const struct ccp_json *item);
/* Keys of the delta stream. */
uint64_t responses_key(uint64_t index, uint64_t part);
/* One fragment of a message's part or of thinking; opens what is not open. */
void responses_message_text(struct delta_stream *s, struct responses_slot *slot, uint64_t part, enum part_kind kind,
                            ctext text);
void responses_thinking(struct delta_stream *s, struct responses_slot *slot, uint64_t part, bool summary, ctext text);
/* A call's text as a whole, unless it came in fragments: a string, or an object where a server sends one. */
void responses_call_text(struct delta_stream *s, uint64_t key, const struct ccp_json *text);
/* The final response object: what was not streamed, usage, end or failure. `event`: what it came in, or NULL. */
void responses_final(struct responses_reader *r, struct delta_stream *s, const struct ccp_json *response,
                     const struct ccp_json *event);

/* -- errors in a stream -- */

/* From an event or a response object that tells of one: flat, below "error", or below "response". */
void responses_fail(struct delta_stream *s, const struct ccp_json *root);
/* Its members code and message. */
void responses_error_write(struct out *o, const struct failure *f);

/* -- writing answers -- */

/* What a response object tells. */
struct responses_object {
    const struct answer_to *to;
    const struct collect *c;
    const char *status; /* "in_progress" (output and usage are not shown yet), "completed", "incomplete", "failed" */
    const char *reason; /* of "incomplete" */
    const struct failure *failure; /* of "failed" */
};
void responses_object_write(struct out *o, const char *key, const struct responses_object *r);
/* "completed", or "incomplete" for the part that the end cut off. */
const char *responses_item_status(const struct responses_object *r, const struct collected *part);
/* How the end of this collected answer is told here. */
struct responses_object responses_ended(const struct answer_to *to, const struct collect *c);
/* A collected part as output item number `index`. status "in_progress": as it is announced, without content. */
void responses_item_write(struct out *o, const char *key, const struct answer_to *to, const struct collected *part,
                          uint64_t index, const char *status);
/* A reasoning item that only carries the proof of the call or text next to it (proof.h). */
void responses_proof_item(struct out *o, const char *key, const struct answer_to *to, const struct collected *part,
                          uint64_t index);
/* Has the part such an item: a call before it, a text behind it? */
bool responses_proof_apart(const struct collected *part);
/* The id of a part's item as a string member. */
void responses_item_id(struct out *o, const char *key, const struct answer_to *to, const struct collected *part,
                       uint64_t index);
/* A message's content part with this text as a member or element. */
void responses_content_write(struct out *o, const char *key, enum part_kind kind, ctext text);
/* A call's text as it is told: arguments are never empty. */
ctext responses_call_body(const struct collected *part);

struct responses_writer {
    struct collect c;
    bool ready, started, ended;
    bool open, inner;         /* a part is open; its summary part was announced */
    bool owed;                /* the last item is done, but has not been told so */
    uint64_t sequence, index; /* of the next event; of the item that is open or comes next */
};

bool responses_write_delta(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out);
void responses_writer_release(void *self);
bool responses_write_whole(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out);

#endif
