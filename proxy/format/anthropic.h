/*
 * Anthropic Messages: what the files of this format share (wire reference A). Nobody else includes this.
 */
#ifndef FORMAT_ANTHROPIC_H
#define FORMAT_ANTHROPIC_H

#include <format/wire_format.h>

/* What a model takes, told by its name (anthropic_models.c). */
enum claude_thinking {
    CLAUDE_NO_THINKING,
    CLAUDE_BUDGET,   /* {"type":"enabled","budget_tokens":n} */
    CLAUDE_ADAPTIVE, /* {"type":"adaptive"}, depth by output_config.effort */
};
struct claude {
    int64_t max_output;     /* what to ask for when the client said nothing */
    size_t name_max;        /* length of a tool name */
    bool sampling;          /* temperature, top_p, top_k */
    bool sampling_together; /* temperature and top_p in one request */
    enum claude_thinking thinking;
    bool always_thinks; /* refuses "disabled" */
    bool off_by_word;   /* thinks unless "disabled" is said */
    bool xhigh;         /* knows this effort, and hides its thinking unless asked */
    bool schema;        /* output_config.format */
    bool prefill;       /* a last message of the assistant is continued */
    bool late_system;   /* role "system" in the middle of a conversation */
    bool vendor;        /* a Claude model, or Anthropic itself whatever the name */
};
struct claude anthropic_model(const struct prompt_target *to);

extern const struct field anthropic_fields[];
extern const struct part_field anthropic_parts[];

/* -- reading requests -- */
bool anthropic_prompt_read(struct prompt *p, const struct ccp_json *root);
bool anthropic_messages_read(struct prompt *p, const struct ccp_json *messages);
bool anthropic_system_read(struct prompt *p, const struct ccp_json *node);
bool anthropic_tools_read(struct prompt *p, const struct ccp_json *root);
/* One content block of any role. Unknown kinds are refused, what the provider made itself is dropped by name. `turn`
 * and `index` say where it goes, `result` is the tool result it stands in or NULL. */
struct block_place {
    struct turn *turn;
    struct part *result;
    uint32_t message, index;
};
bool anthropic_block_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block);
struct part *anthropic_part(struct prompt *p, const struct block_place *at, enum part_kind kind,
                            const struct ccp_json *block);
/* image, document, search_result, container_upload; see block_read. */
bool anthropic_image_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block);
bool anthropic_document_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block);
bool anthropic_search_result_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block);
bool anthropic_upload_read(struct prompt *p, const struct block_place *at, const struct ccp_json *block);
/* "messages[3].content[0]: " and the reason; false. */
bool anthropic_refuse(struct prompt *p, const struct block_place *at, const char *reason);
/* True, and the prompt has failed, when the member is there, not null and of another type. */
bool anthropic_wrong(struct prompt *p, const struct ccp_json *root, const char *name, enum ccp_json_type type);
void anthropic_where(const struct part *part, char *out, size_t n);

/* -- writing requests -- */
/* What is decided once and used in many places. */
struct anthropic_writer {
    struct prompt *p;
    struct out *o;
    struct claude model;
    struct name_rule names;
    size_t marks, skip; /* cache breakpoints so far, and how many of the first are left out */
    int64_t max_tokens;
    int64_t budget;     /* of thinking, for CLAUDE_BUDGET; 0 = none */
    bool thinks;        /* thinking is asked for */
    enum effort effort; /* for output_config, or UNSET */
    size_t strict_tools;
};
bool anthropic_prompt_write(struct prompt *p, struct ccp_buf *out);
/* Decides thinks, budget and effort from what the client wants, the model takes and the conversation allows. */
void anthropic_thinking_decide(struct anthropic_writer *w);
void anthropic_thinking_write(struct anthropic_writer *w);
void anthropic_output_config_write(struct anthropic_writer *w);
bool anthropic_tools_write(struct anthropic_writer *w); /* tool_choice, too */
bool anthropic_system_write(struct anthropic_writer *w);
bool anthropic_messages_write(struct anthropic_writer *w);
/* One part as a content block; nothing for what stays out. */
bool anthropic_block_write(struct anthropic_writer *w, const struct part *part);
bool anthropic_media_write(struct anthropic_writer *w, const struct part *part);
void anthropic_text_write(struct anthropic_writer *w, ctext text, const struct part *part);
/* Would block_write write anything? Audio and video count as staying: block_write refuses them. */
bool anthropic_block_stays(const struct anthropic_writer *w, const struct part *part);
/* A cache breakpoint on what `node` was read from, within the four that the API takes. */
void anthropic_mark_write(struct anthropic_writer *w, const struct ccp_json *node);
/* How many breakpoints the prompt wants. */
size_t anthropic_marks(const struct prompt *p);
/* Only spaces, however they are spelled. */
bool anthropic_blank(ctext text);
/* Is this thinking signed by the target's own provider? */
bool anthropic_signed(const struct prompt *p, const struct part *part);

/* -- answers -- */
struct anthropic_reader {
    uint64_t next; /* index of the next block when upstream does not say */
};
void anthropic_read_event(void *self, struct delta_stream *s, const struct sse_event *event,
                          const struct ccp_json *root);
void anthropic_read_whole(void *self, struct delta_stream *s, const struct ccp_json *root);
void anthropic_read_end(void *self, struct delta_stream *s);

struct anthropic_stream {
    bool started, open, over;
    bool complete;  /* the open block has had all it may get */
    uint64_t index; /* of the open block, or the next one */
    enum part_kind kind;
    bool custom;
};
bool anthropic_write_delta(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out);
bool anthropic_write_whole(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out);
/* Shared by both (anthropic_answer.c): members of a message, of its usage and of a tool_use block. */
void anthropic_message_write(struct out *o, const struct answer_to *to, ctext id);
void anthropic_call_id_write(struct out *o, const struct answer_to *to, ctext id, uint64_t index);
void anthropic_usage_write(struct out *o, const struct usage *u);
void anthropic_read_usage(struct usage *u, uint64_t *seen, const struct ccp_json *usage);
void anthropic_stop_write(struct out *o, enum stop stop, ctext sequence);

#endif
