/*
 * Gemini generateContent, private: what the files of this format share. Nothing else includes it.
 *
 * Members are read in both spellings of proto3 JSON (camelCase and snake_case) and written in camelCase.
 */
#ifndef FORMAT_GEMINI_H
#define FORMAT_GEMINI_H

#include <format/proof.h>
#include <format/wire_format.h>

extern const struct field gemini_fields[];

/* Is this key the member `name` (camelCase), in either spelling? */
bool gemini_named(struct ccp_span key, const char *name);
/* Member in either spelling; NULL when absent or null. */
const struct ccp_json *gemini_get(const struct ccp_json *object, const char *name);
/* A count that may be a JSON string, as int64 is in proto3 JSON. False: it is none, and *out stays. */
bool gemini_count(const struct ccp_json *node, uint64_t *out);

/* -- what models differ in (gemini_models.c) -- */
enum gemini_thinking { GEMINI_NO_THINKING, GEMINI_BUDGET, GEMINI_LEVEL, GEMINI_EITHER };
struct gemini_model {
    const char *prefix;
    enum gemini_thinking thinking;
    int64_t budget_min, budget_max; /* GEMINI_BUDGET */
    bool off;                       /* thinking can be turned off */
    bool minimal, medium;           /* GEMINI_LEVEL: these words are known; LOW and HIGH always are */
    bool mixes_tools;               /* hosted tools beside functions */
    bool signed_calls;              /* wants a thoughtSignature on the first call of a step; media in results */
};
/* By name, "models/" in front or not. Never NULL. */
const struct gemini_model *gemini_model_of(struct ccp_span name);

/* -- requests -- */
bool gemini_prompt_read(struct prompt *p, const struct ccp_json *root);
/* The pieces of it: systemInstruction and contents; everything else. */
bool gemini_read_contents(struct prompt *p, const struct ccp_json *contents);
bool gemini_read_system(struct prompt *p, const struct ccp_json *node);
/* proto3 JSON also takes one object where a list of objects belongs, and Google's own examples use that. */
static inline bool gemini_is_list(const struct ccp_json *node)
{
    return node == NULL || node->type == CCP_JSON_ARRAY || node->type == CCP_JSON_OBJECT;
}
static inline const struct ccp_json *gemini_first(const struct ccp_json *list)
{
    return list != NULL && list->type == CCP_JSON_ARRAY ? list->child : list;
}
static inline const struct ccp_json *gemini_next(const struct ccp_json *list, const struct ccp_json *element)
{
    return list->type == CCP_JSON_ARRAY ? element->next : NULL;
}

bool gemini_read_config(struct prompt *p, const struct ccp_json *config);
bool gemini_read_tools(struct prompt *p, const struct ccp_json *tools);
bool gemini_read_choice(struct prompt *p, const struct ccp_json *config);

/* inlineData and fileData. `make` appends a part of the kind that the medium turns out to be; NULL when refused. */
struct gemini_place {
    struct turn *turn;
    struct part *result; /* or NULL: into the turn */
    uint32_t index;
};
struct part *gemini_read_media(struct prompt *p, const struct gemini_place *place, const struct ccp_json *node,
                               bool inlined);

bool gemini_prompt_write(struct prompt *p, struct ccp_buf *out);
void gemini_write_config(struct prompt *p, struct out *o);
bool gemini_write_tools(struct prompt *p, struct out *o);
bool gemini_write_system(struct prompt *p, struct out *o);
bool gemini_write_contents(struct prompt *p, struct out *o);
extern const struct name_rule gemini_name_rule;

/* -- answers -- */

/* Arguments of a call that come piece by piece (D.6): the JSON text is built as the pieces come, in their order. All
 * in place: a path that is deeper, longer or busier than this is refused, not guessed. */
#define GEMINI_PATH_BYTES  1024
#define GEMINI_PATH_LEVELS 24
#define GEMINI_PATH_KEYS   256
struct gemini_step { /* ".name" or "[3]" */
    bool indexed;
    uint32_t index;    /* of an array */
    uint32_t at, size; /* the name, in `names` */
};
struct gemini_partial {
    bool active, in_string;
    uint32_t levels; /* containers that are open, the root first; 0: nothing came yet */
    struct gemini_level {
        bool array;
        uint32_t members, keys;  /* how many so far; where the hashes of its keys begin */
        struct gemini_step step; /* how it is reached from the one above */
    } level[GEMINI_PATH_LEVELS];
    struct gemini_step leaf; /* of the open string */
    uint64_t keys[GEMINI_PATH_KEYS];
    uint32_t key_count, name_bytes;
    char names[GEMINI_PATH_BYTES];
};
/* One update of partialArgs. Appends JSON text to `out`; false: it cannot be expressed. */
bool gemini_partial_add(struct gemini_partial *s, const struct ccp_json *update, struct arena *scratch,
                        struct ccp_buf *out);
/* Closes what is open; an untouched one gives {}. */
void gemini_partial_end(struct gemini_partial *s, struct ccp_buf *out);

struct gemini_reader {
    uint64_t key;              /* of the part that is open, when `open` */
    uint64_t seed;             /* of this answer's call ids */
    uint64_t seen[USAGE_SEEN]; /* the latest counts */
    enum part_kind kind;
    bool open, proven, started, finished, truncated;
    struct gemini_partial partial;
};
void gemini_read_event(void *self, struct delta_stream *s, const struct sse_event *event, const struct ccp_json *root);
void gemini_read_whole(void *self, struct delta_stream *s, const struct ccp_json *root);
void gemini_read_end(void *self, struct delta_stream *s);
void gemini_read_usage(struct usage *u, uint64_t *seen, const struct ccp_json *usage);
/* One part of a candidate (gemini_answer_parts.c), and the end of the part that is open. */
void gemini_read_part(struct gemini_reader *r, struct delta_stream *s, const struct ccp_json *part);
void gemini_close_part(struct gemini_reader *r, struct delta_stream *s);

struct gemini_writer {
    bool begun;            /* something was written: the JSON array is open */
    struct collected call; /* the call, or the proof of any part, until it is complete */
};
bool gemini_write_delta(void *self, const struct answer_to *to, const struct delta *d, struct ccp_buf *out);
void gemini_writer_release(void *self);
bool gemini_write_whole(const struct answer_to *to, struct collect *c, struct arena *scratch, struct ccp_buf *out);

#endif
