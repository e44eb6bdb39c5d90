/*
 * What the files of the mock share: the request as they see it, the answer as a short script, and one writer
 * per wire format that turns the script into bytes.
 *
 * The way of a call: target.c reads the URL, prompt.c the body, answer.c decides what is said, a writer says it
 * into `mock_play.out`, transfer.c gives the bytes to the core when they are due. Same request, same bytes: no
 * clock and no random number goes into an answer.
 */
#ifndef MOCK_H
#define MOCK_H

#include "out.h"

/* The `created` of every answer; fixed so that answers can be compared byte for byte. */
#define MOCK_CREATED 1760000000

enum mock_call { MOCK_UNKNOWN, MOCK_GENERATE, MOCK_COUNT, MOCK_EMBED, MOCK_EMBED_BATCH };

/* Bound from [plugins.mock]. */
struct mock_config {
    int format;                      /* 0: the client's own; else 1 + enum ccp_format */
    uint64_t first_token_delay;      /* ms */
    double tokens_per_second;        /* 0 = unpaced */
    int64_t error_rate;              /* percent */
    int64_t rate_limit_every;        /* 0 = off */
    uint64_t rate_limit_retry_after; /* ms */
};

/* What the URL says. */
struct mock_target {
    enum ccp_format format;
    enum mock_call call;
    bool stream, sse;      /* Gemini has them in the URL */
    struct ccp_span model; /* Gemini only, else empty */
};

/* What the body says. Spans and nodes live as long as the exchange. */
struct mock_ask {
    struct ccp_exchange *x;
    struct mock_target target;
    struct ccp_span model;
    const struct ccp_json *root;
    bool stream, include_usage, tools_forbidden;
    bool tool_answered;                 /* a tool result came after the model's last turn */
    const struct ccp_json *user_text;   /* the last text of a user, a JSON string, or NULL */
    const struct ccp_json *tool_result; /* the last tool result, any JSON, or NULL */
    struct ccp_span wanted_tool;        /* tool_choice names one; between quotes, as written */
    struct ccp_span tool_name;          /* same; empty = no tool */
    const struct ccp_json *tool_schema; /* or NULL */
    uint64_t text_bytes;                /* of all texts; what the token estimate is made from */
    uint64_t max_tokens;                /* 0 = no limit */
    uint64_t hash;                      /* of URL and body; ids are made from it */
};

enum mock_kind { MOCK_THINKING, MOCK_TEXT, MOCK_TOOL };

struct mock_block {
    enum mock_kind kind;
    struct ccp_span text; /* MOCK_TOOL: the arguments, a JSON object */
};

struct mock_answer {
    struct mock_block block[2];
    size_t count;
    bool has_tool;
    bool truncated;                                  /* max_tokens was reached */
    uint64_t tokens_in, tokens_out, tokens_thinking; /* tokens_out includes tokens_thinking */
};

/* An answer being written. */
struct mock_play {
    struct mock_ask ask;
    struct mock_answer answer;
    struct mock_out out;
    /* the cursor of a stream */
    size_t block, offset;
    bool begun, opened, ended;
    uint64_t pieces;   /* of text said so far: the tokens */
    uint64_t thinking; /* of these, in thinking blocks */
    uint64_t sequence; /* of events (Responses), of chunks (Gemini) */
};

struct mock_writer {
    /* A stream, call by call; each adds zero or more complete events to play->out. */
    void (*begin)(struct mock_play *play);
    void (*open)(struct mock_play *play, const struct mock_block *block);
    void (*piece)(struct mock_play *play, const struct mock_block *block, struct ccp_span text);
    void (*close)(struct mock_play *play, const struct mock_block *block);
    void (*end)(struct mock_play *play);
    /* The same answer in one body. */
    void (*whole)(struct mock_play *play);
    void (*count)(struct mock_play *play);
};

extern const struct mock_writer mock_write_anthropic, mock_write_chat, mock_write_responses, mock_write_gemini;

/* False: not a call that the mock knows; target->format is then left alone. */
bool mock_target_read(struct ccp_span url, struct mock_target *target);

/* Reads a generate or count request. NULL, or why the request is refused (static text). */
const char *mock_prompt_read(struct mock_ask *ask);
/* `max_tokens` and the like; 0 when absent or not a positive integer. */
uint64_t mock_json_count(const struct ccp_json *number);
/* Bytes of a JSON string's value. */
uint64_t mock_text_length(const struct ccp_json *string);
/* The documented token estimate for so many bytes of text. */
uint64_t mock_estimate(uint64_t bytes);

/* Decides what is said. False when memory was refused. */
bool mock_answer_make(struct mock_play *play);
/* Length of the next piece (one token) of a text that is not empty. */
size_t mock_piece(struct ccp_span text);
/* The status that the model's name asks for ("mock-error-503"), or 0. */
int mock_answer_error(struct ccp_span model);
/* A JSON object that satisfies the schema's required properties. */
void mock_arguments(struct mock_out *out, const struct ccp_json *schema);

/* An error body in the format's shape. */
void mock_error_body(struct mock_out *out, const struct mock_ask *ask, int status, const char *message,
                     uint64_t retry_after_s);

/* NULL, or why the request is refused. `items` is the number of vectors the answer has. */
const char *mock_embed_check(struct mock_ask *ask, size_t *items);
/* Adds the item'th part of the answer (0 <= item < items), with the frame before the first and after the last. */
void mock_embed_write(struct mock_play *play, size_t item, size_t items);

extern const struct ccp_transport mock_transport;

/* The plugin's instance. */
struct mock {
    const struct mock_config *config;
    uint64_t calls; /* atomic: workers share the instance */
};

#endif
