/*
 * The neutral prompt: what a request says, whichever format says it (wire reference F.1 - F.5).
 *
 * One reader per format fills it from the parsed body, one writer per format turns it into that format's body. Nothing
 * here knows a format by name. All memory is the arena's; spans mostly point into the client's body.
 *
 * Text is kept *escaped*: a `ctext` is what stands between the quotes of a JSON string. All four formats are JSON, so
 * text moves from string to string without being unescaped, and joining two texts is putting them side by side. ASCII
 * that needs no escape may be compared and written directly.
 *
 * Order of work: prompt_init, the reader (prompt_read), prompt_settle, the writer (prompt_write). The first failure
 * stays in `error`; losses collect in `dropped`.
 */
#ifndef FORMAT_PROMPT_H
#define FORMAT_PROMPT_H

#include <base/arena.h>
#include <base/buf.h>
#include <ccproxy/exchange.h>
#include <ccproxy/json.h>
#include <format/map.h>

typedef struct ccp_span ctext; /* escaped: between the quotes of a JSON string */

enum param {
#define X(id, loss, what) PARAM_##id,
#include <format/param.def>
#undef X
    PARAM_COUNT
};

enum part_kind {
#define X(id, what) PART_##id,
#include <format/part.def>
#undef X
    PART_KINDS
};

/* SYSTEM and DEVELOPER turns may stand anywhere; a format's one "system" member is a SYSTEM turn in front. */
enum role { ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_USER, ROLE_ASSISTANT };

enum media_source {
    MEDIA_BASE64,  /* data: the base64 text */
    MEDIA_URL,     /* data: the URL (never a data: URL: readers split those, prompt_data_url) */
    MEDIA_FILE_ID, /* data: an id that only its own provider knows */
    MEDIA_TEXT,    /* data: plain text (documents) */
};

/* An opaque proof of thinking. It is only good for the provider that made it: `origin` is that provider's tag, empty
 * when the client's own format carried it bare. Writers take it through prompt_proof, which compares. */
enum proof_kind {
    PROOF_NONE,
    PROOF_SIGNATURE, /* Anthropic: thinking.signature */
    PROOF_REDACTED,  /* Anthropic: redacted_thinking.data */
    PROOF_ENCRYPTED, /* Responses: reasoning.encrypted_content */
    PROOF_THOUGHT,   /* Gemini: thoughtSignature, of a text or call part too */
    PROOF_DETAIL,    /* Chat: what its vendor must get back as it was; only its own files know how to read it */
};
struct proof {
    enum proof_kind kind;
    ctext origin, text;
};

/* A tool call's arguments as the client wrote them: a JSON value, or a JSON string that holds JSON text. */
struct arguments {
    struct ccp_span raw; /* !quoted: the value's JSON text. quoted: a ctext whose unescaped form is the JSON text */
    bool quoted;
};

struct part {
    struct part *next;
    enum part_kind kind;
    uint32_t message, index; /* where it stood in the client's request, for error texts */
    ctext text;              /* TEXT, REFUSAL, THINKING (may be empty) */
    /* IMAGE, DOCUMENT, AUDIO, VIDEO */
    enum media_source source;
    ctext mime, data;    /* mime "image/png"; may be empty with a URL or file id */
    ctext title, detail; /* file name or document title; OpenAI's image detail */
    /* CALL and RESULT */
    ctext id, name;                  /* RESULT: name of the call, found by prompt_settle; empty for an orphan */
    ctext space;                     /* CALL: the namespace the tool is in, or empty */
    struct arguments args;           /* CALL. custom: the free text, as a ctext with quoted = true */
    bool custom;                     /* CALL, RESULT: of a free-text tool */
    bool failed;                     /* RESULT: the tool reported an error */
    struct part *parts, *last_inner; /* RESULT: its content */
    struct proof proof;              /* THINKING; CALL and TEXT when the proof sits there (Gemini) */
    struct waiting *answer;          /* CALL: prompt_settle's notes */
    bool placed;                     /* CALL, RESULT: stands right already */
    bool cache;                      /* a cache breakpoint stands on this part */
    const struct ccp_json *node;     /* what it was read from */
};

struct turn {
    struct turn *next;
    enum role role;
    struct part *parts, *last;
    uint32_t message; /* index in the client's list; UINT32_MAX: not from there (system member, synthesised) */
};

enum tool_kind { TOOL_FUNCTION, TOOL_CUSTOM, TOOL_WEB_SEARCH, TOOL_HOSTED };
enum tri { UNSET, NO, YES };

struct tool {
    struct tool *next;
    enum tool_kind kind;
    ctext name, description, space;
    const struct ccp_json *schema; /* JSON Schema of the arguments, or NULL */
    bool openapi;                  /* the schema is Gemini's OpenAPI subset */
    enum tri strict;
    bool cache;
    const struct ccp_json *node;
};

enum choice { CHOICE_UNSET, CHOICE_AUTO, CHOICE_ANY, CHOICE_NAMED, CHOICE_NONE };

/* Depth of thinking. UNSET: the client said nothing, so nothing is said upstream. */
enum effort {
    EFFORT_UNSET,
    EFFORT_NONE,
    EFFORT_MINIMAL,
    EFFORT_LOW,
    EFFORT_MEDIUM,
    EFFORT_HIGH,
    EFFORT_XHIGH,
    EFFORT_MAX
};

struct reasoning {
    enum effort effort;
    int64_t budget; /* tokens, 0 = none given (off is effort NONE), -1 = dynamic */
    bool adaptive;  /* the model decides */
    enum tri show;  /* does the client want to see it? */
};

enum output_kind { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_SCHEMA };

struct output {
    enum output_kind kind;
    ctext name, description;
    const struct ccp_json *schema;
    bool openapi;
    enum tri strict;
};

/* Who will read what the writer writes. Set by the chain before prompt_read. */
struct prompt_target {
    enum ccp_format format;
    struct ccp_span provider; /* its tag in proofs: the provider's id */
    struct ccp_span model;    /* upstream name, plain text */
    int64_t max_output;       /* the model's limit when a card tells, else 0 */
    bool compatible;          /* a compatible server, not the vendor itself: plain old fields only */
    bool stream;              /* what to ask for */
    bool count;               /* a token count is asked, not an answer */
};

struct loss {
    struct loss *next;
    struct ccp_span name;
};

struct prompt {
    struct arena *a;
    enum ccp_format from;
    struct prompt_target to;
    bool stream, include_usage;                 /* what the client asked for */
    const struct ccp_json *params[PARAM_COUNT]; /* values that move as they are; see fields.h */
    const char *param_names[PARAM_COUNT];       /* the client's names of them */
    struct turn *turns, *last_turn;
    struct tool *tools, *last_tool;
    enum choice choice;
    ctext choice_name, choice_space;
    struct ctext_list {
        ctext *v;
        size_t n;
    } allowed;         /* only these tools may be called; empty = all */
    enum tri parallel; /* may calls be parallel? */
    struct reasoning reasoning;
    struct output output;
    struct names *names; /* see names.h */
    struct loss *dropped, *last_dropped;
    size_t dropped_count;
    enum ccp_status status; /* CCP_OK or the first failure */
    struct ccp_span error;
    struct ccp_span code; /* of the failure, static: a word that the client's own software looks for, or empty */
};

/* `names` from names_new; it outlives the prompt, since answers need it. */
void prompt_init(struct prompt *p, struct arena *a, enum ccp_format from, const struct prompt_target *to,
                 struct names *names);

/* Failure: always false, so that readers can `return prompt_fail(...)`. Only the first is kept. */
bool prompt_fail(struct prompt *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with the part's place in front: "messages[3].content[0]: ". */
bool prompt_fail_at(struct prompt *p, const struct part *part, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool prompt_no_memory(struct prompt *p); /* CCP_OVERLOADED; false */
/* Notes that something of this name (the client's word for it) does not reach the upstream; once per name. */
void prompt_drop(struct prompt *p, const char *name);
static inline bool prompt_drops_full(const struct prompt *p)
{
    return p->dropped_count == 64;
}
void prompt_drop_span(struct prompt *p, struct ccp_span name);

/* Notes that a cache breakpoint stays behind, if there is one. */
void prompt_drop_mark(struct prompt *p, bool marked);

/* -- for readers; NULL = refused and noted -- */
struct turn *prompt_turn(struct prompt *p, enum role role, uint32_t message); /* appends */
struct part *prompt_part(struct prompt *p, struct turn *turn, enum part_kind kind, uint32_t index);
/* A part of a result: `index` is the result's own. */
struct part *prompt_result_part(struct prompt *p, struct part *result, enum part_kind kind);
struct tool *prompt_tool(struct prompt *p, enum tool_kind kind);
/* Text of a JSON string node; empty for NULL and anything else. */
ctext prompt_ctext(const struct ccp_json *node);
/* Escapes plain text; p = NULL when refused (noted). */
ctext prompt_escape(struct prompt *p, struct ccp_span plain);
/* Plain text of a ctext (no copy when nothing is escaped). */
struct ccp_span prompt_plain(struct prompt *p, ctext text);
/* Splits "data:image/png;base64,AAAA" (possibly with escaped slashes) into part->mime, data and source; anything else
 * becomes MEDIA_URL. False when it is a data: URL without base64 (noted). */
bool prompt_data_url(struct prompt *p, struct part *part, ctext url);
/* "image/png" from a URL's or file name's ending, or empty. */
ctext prompt_mime_of(ctext name);
/* OpenAI's file_data, in both of its formats: a data: URL by the book, but plain base64 and web addresses are sent,
 * too. The part becomes what its type says. False: noted. */
bool prompt_file_data(struct prompt *p, struct part *part, ctext data);
/* A medium's type without the escapes that some encoders put before a slash; empty when it is no plain word. */
ctext prompt_mime(struct prompt *p, ctext mime);

/* After reading: makes the conversation canonical, whatever format it came from.
 *  - no two tools have one name, and no two calls one id: repeated ids get another one, always the same
 *  - neighbouring assistant turns become one; with `alternate` (the target wants it) neighbouring user turns, too
 *  - RESULT parts stand in the user turn right after their calls, first in it, in the calls' order, with `name` set
 *  - a call without a result gets one that says so (listed as "tool_result"); a result without a call becomes text
 *  - empty TEXT parts and empty turns vanish
 * False: failed. */
bool prompt_settle(struct prompt *p, bool alternate);

/* -- for writers -- */
/* The call's arguments as JSON object text: unquoted, checked, wrapped when it is no object. Never invalid. */
struct ccp_span prompt_arguments(struct prompt *p, const struct part *call);
/* The proof's text if this target's provider made it, else empty. `native`: the kind the target's format takes. */
ctext prompt_proof(const struct prompt *p, const struct proof *proof, enum proof_kind native);
/* The id as the target takes it: [A-Za-z0-9_-], at most `max` bytes; else a hash that is always the same. */
ctext prompt_call_id(struct prompt *p, ctext id, size_t max);
ctext call_id_from(struct arena *a, ctext id, size_t max); /* the same for answers; p = NULL: no memory */
/* All text of a result in one ctext: TEXT parts joined with a line feed, an "Error: " in front when it failed and
 * `flag` is set. Parts of other kinds are left to the caller. */
ctext prompt_result_text(struct prompt *p, const struct part *result, bool flag);
/* The SYSTEM and DEVELOPER text in front of the conversation, joined with blank lines; for formats with one system
 * member. Without the attribution line of a vendor's own client, see prompt_attribution. Later turns of these roles are
 * the writer's to place: what stands in front must not change when the conversation grows. p = NULL: there is none. */
ctext prompt_system_text(struct prompt *p);
/* Is this text block the billing line that one vendor's client puts in front (wire reference F.12)? */
bool prompt_attribution(ctext text);
bool prompt_only_text(const struct part *first); /* a list of TEXT (and REFUSAL) parts, or empty */
/* The client's user id if it has at most `max` bytes, else a hash of it, which is listed; empty: it gave none. p =
 * NULL: no memory (noted). */
ctext prompt_user(struct prompt *p, size_t max);

/* Media (media.c) */
struct out;
void media_write_url(struct out *o, const char *key, const struct part *part);  /* a data: URL, or the URL it came by */
void media_write_text(struct out *o, const char *key, const struct part *part); /* MEDIA_TEXT under its title */
const char *media_audio_format(ctext mime); /* OpenAI's word for it, "wav" or "mp3"; NULL: it takes no other */

/* Thinking depth, both ways (wire reference F.5). */
enum effort effort_of(ctext word);      /* "high"; EFFORT_UNSET when unknown */
const char *effort_word(enum effort e); /* "high" */
enum effort effort_of_budget(int64_t budget);
int64_t effort_budget(enum effort e); /* tokens; 0 for NONE and UNSET */

/* What asks for JSON in words. OpenAI's JSON mode wants that word somewhere, too. */
#define PROMPT_JSON_HINT CCP_SPAN("Answer with one valid JSON object and nothing else.")

/* Integer value of a number node; false when it is none or does not fit. 1e3 and 5.0 count as integers. */
bool prompt_int(const struct ccp_json *node, int64_t *out);
bool prompt_true(const struct ccp_json *node);
bool prompt_is(const struct ccp_json *node, const char *text); /* a string node with this plain text */

#endif
