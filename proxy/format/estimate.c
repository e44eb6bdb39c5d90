/*
 * Tokens of a prompt, estimated from its text: for providers that cannot count (wire reference F.11).
 *
 * No tokenizer: vendors change theirs, and keep the newest ones to themselves. Text is weighed by script, since that is
 * what decides how many bytes a token has; media have prices of their own, which no vendor makes depend on bytes alone.
 * It is no bound: what vendors put in front of tools on their side is not in it. Integers only, the same for the same
 * prompt everywhere. The figures are in docs/translation.md, too.
 */
#include <format/translate.h>

/* One token is UNIT units. */
#define UNIT 20

enum {
    UNITS_ASCII = 5,        /* 4 letters a token */
    UNITS_TWO_BYTES = 10,   /* Latin with accents, Greek, Cyrillic, Hebrew, Arabic: 2 letters a token */
    UNITS_THREE_BYTES = 20, /* Chinese, Japanese, Korean, Indic scripts: a token each */
    UNITS_FOUR_BYTES = 40,  /* emoji and rare scripts: two tokens each */
    TURN_TOKENS = 4,        /* role and delimiters of a message */
    CALL_TOKENS = 10,       /* id and frame of a call; of a result, too */
    TOOL_TOKENS = 12,       /* frame of a definition */
    PROMPT_TOKENS = 3,      /* what begins the answer */
};

/* Prices of media: so many tokens, and one for so many bytes of what is encoded. */
static const struct {
    enum part_kind kind;
    uint32_t tokens, bytes_per_token; /* 0: not by size */
} media[] = {
    {PART_IMAGE, 1600, 0},     /* the most that one image of usual size takes */
    {PART_DOCUMENT, 1500, 64}, /* a page and more, by size; scanned ones are heavier per page */
    {PART_AUDIO, 50, 500},
    {PART_VIDEO, 300, 1000},
};
#define REMOTE_TOKENS 3000 /* a document, sound or film behind a URL or an id */

static uint64_t units_of_code(uint32_t unit)
{
    if (unit < 0x80)
        return UNITS_ASCII;
    if (unit < 0x800)
        return UNITS_TWO_BYTES;
    /* Half of a pair: two of them make one of four bytes. */
    return unit >= 0xd800 && unit < 0xe000 ? UNITS_FOUR_BYTES / 2 : UNITS_THREE_BYTES;
}

static uint32_t hex4(const char *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)((p[i] & 15) + (p[i] > '9' ? 9 : 0));
    return value;
}

/* An escape counts as the letter it stands for; *at goes behind it. */
static uint64_t units_of_escape(struct ccp_span text, size_t *at)
{
    bool code = *at + 5 < text.n && text.p[*at + 1] == 'u';
    uint64_t units = code ? units_of_code(hex4(text.p + *at + 2)) : UNITS_ASCII;
    *at += code ? 6 : 2;
    return units;
}

/* Works on a ctext and on JSON text alike. */
static uint64_t units_of(struct ccp_span text)
{
    uint64_t units = 0;
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '\\') {
            units += units_of_escape(text, &i);
            continue;
        }
        /* By first bytes; the rest of a code point weighs nothing. */
        units += c < 0x80   ? UNITS_ASCII
                 : c < 0xc0 ? 0
                 : c < 0xe0 ? UNITS_TWO_BYTES
                 : c < 0xf0 ? UNITS_THREE_BYTES
                            : UNITS_FOUR_BYTES;
        i++;
    }
    return units;
}

static uint64_t media_units(const struct part *part)
{
    for (size_t i = 0; i < sizeof(media) / sizeof(media[0]); i++) {
        if (media[i].kind != part->kind)
            continue;
        if (part->source == MEDIA_TEXT)
            return units_of(part->data) + units_of(part->title);
        uint64_t tokens = media[i].tokens, per = media[i].bytes_per_token;
        if (per != 0)
            tokens = part->source == MEDIA_BASE64 ? tokens + part->data.n / 4 * 3 / per : REMOTE_TOKENS;
        return tokens * UNIT;
    }
    return 0;
}

static uint64_t part_units(const struct part *part)
{
    uint64_t units = media_units(part);
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
    case PART_THINKING:
        return units_of(part->text);
    case PART_CALL:
        return CALL_TOKENS * UNIT + units_of(part->name) + units_of(part->args.raw);
    case PART_RESULT:
        units = CALL_TOKENS * UNIT;
        for (const struct part *inner = part->parts; inner != NULL; inner = inner->next)
            units += inner->kind == PART_TEXT ? units_of(inner->text) : media_units(inner);
        return units;
    default:
        return units;
    }
}

static uint64_t tool_units(const struct tool *tool)
{
    uint64_t units = TOOL_TOKENS * UNIT + units_of(tool->name) + units_of(tool->description);
    return tool->schema != NULL ? units + units_of(tool->schema->raw) : units;
}

uint64_t prompt_estimate(const struct prompt *p)
{
    uint64_t units = PROMPT_TOKENS * UNIT;
    for (const struct turn *turn = p->turns; turn != NULL; turn = turn->next) {
        units += TURN_TOKENS * UNIT;
        for (const struct part *part = turn->parts; part != NULL; part = part->next)
            units += part_units(part);
    }
    for (const struct tool *tool = p->tools; tool != NULL; tool = tool->next)
        units += tool_units(tool);
    if (p->output.schema != NULL)
        units += units_of(p->output.schema->raw);
    return (units + UNIT - 1) / UNIT;
}
