/*
 * The client's own model name in an answer that otherwise passes byte for byte.
 *
 * Only where a mapping changed the name on the way up. A stage that follows the JSON just enough to know a member's
 * name and its depth, and puts the client's name in the place of the value; every other byte goes on as it came, at
 * once, whatever the cuts. Text and tool arguments are safe: quotes in strings are escaped, and arguments lie deeper.
 */
#include <base/fault.h>
#include <chain/exchange_impl.h>
#include <wire/headers.h>
#include <wire/json.h>

enum place {
    BETWEEN,  /* outside of strings */
    STRING,   /* in a string that is of no interest */
    NAME,     /* in a string that may be the member's name */
    NAMED,    /* behind it: a colon follows if it was a name */
    VALUE,    /* behind the colon */
    REPLACED, /* in the value that is left out */
};

struct rename {
    struct ccp_stage stage;
    struct ccp_span member, value; /* its name; the new value, quoted */
    unsigned deepest;              /* the member lies in this many containers at most */
    bool lines;                    /* events: each line begins anew */
    enum place place;
    bool escaped;
    unsigned depth;
    size_t matched; /* bytes of the name; SIZE_MAX = not it */
};

static void in_name(struct rename *r, char c)
{
    if (c == '"')
        r->place = r->matched == r->member.n ? NAMED : BETWEEN;
    else if (r->matched < r->member.n && c == r->member.p[r->matched])
        r->matched++;
    else
        r->matched = SIZE_MAX;
}

static void between(struct rename *r, char c)
{
    if (c == '"') {
        r->place = r->depth <= r->deepest ? NAME : STRING;
        r->matched = 0;
    } else if (c == '{' || c == '[') {
        r->depth++;
    } else if ((c == '}' || c == ']') && r->depth != 0) {
        r->depth--;
    }
}

/* A byte in a string; true = it ends here. */
static bool string_ends(struct rename *r, char c)
{
    bool escaped = r->escaped;
    r->escaped = !escaped && c == '\\';
    return !escaped && c == '"';
}

static bool white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Moves over one byte. True: the value begins with it. */
static bool step(struct rename *r, char c)
{
    switch (r->place) {
    case STRING:
        if (string_ends(r, c))
            r->place = BETWEEN;
        return false;
    case NAME:
        if (c == '\\') {
            r->place = STRING;
            r->escaped = true;
        } else {
            in_name(r, c);
        }
        return false;
    case NAMED:
        if (c == ':')
            r->place = VALUE;
        else if (!white(c)) {
            r->place = BETWEEN;
            between(r, c);
        }
        return false;
    case VALUE:
        if (white(c))
            return false;
        r->place = BETWEEN;
        if (c == '"')
            return true;
        between(r, c);
        return false;
    default:
        between(r, c);
        return false;
    }
}

static void new_line(struct rename *r)
{
    r->place = BETWEEN;
    r->escaped = false;
    r->depth = 0;
}

static enum ccp_push next(struct rename *r, struct ccp_span bytes, bool last)
{
    return bytes.n != 0 || last ? r->stage.next->push(r->stage.next, bytes, last) : CCP_PUSH_MORE;
}

static enum ccp_push push(struct ccp_stage *stage, struct ccp_span bytes, bool last)
{
    struct rename *r = (struct rename *)stage;
    enum ccp_push result = CCP_PUSH_MORE, one;
    size_t from = 0;
    for (size_t i = 0; i < bytes.n && result != CCP_PUSH_GONE; i++) {
        char c = bytes.p[i];
        if (r->place == REPLACED) {
            from = i + 1;
            if (string_ends(r, c))
                r->place = BETWEEN;
        } else if (r->lines && (c == '\n' || c == '\r')) {
            new_line(r);
        } else if (step(r, c)) {
            r->place = REPLACED;
            one = next(r, ccp_span_of(bytes.p + from, i - from), false);
            result = one > result ? one : result;
            one = result != CCP_PUSH_GONE ? next(r, r->value, false) : result;
            result = one > result ? one : result;
            from = i + 1;
        }
    }
    if (result == CCP_PUSH_GONE)
        return result;
    one = next(r, ccp_span_skip(bytes, from), last);
    return one > result ? one : result;
}

static bool wanted(const struct exchange *x)
{
    const struct ccp_response_head *h = &x->head;
    return x->crossing == NULL && x->attempts != 0 && x->route.op == CCP_OP_GENERATE && h->status == 200 &&
           x->upstream_model.n != 0 && !ccp_span_eq(x->client_model, x->upstream_model) &&
           coding_of(headers_get(h->headers, h->count, CCP_SPAN("content-encoding"))) == CODING_IDENTITY;
}

struct ccp_stage *rename_open(struct exchange *x)
{
    enum ccp_format f = x->route.format;
    if (!wanted(x))
        return NULL;
    struct rename *r = CCP_FAULT("rename.open") ? NULL : arena_zalloc(&x->arena, sizeof(*r));
    struct ccp_span value =
        CCP_FAULT("rename.value") ? (struct ccp_span){NULL, 0} : json_quote(&x->arena, x->client_model);
    if (r == NULL || value.p == NULL)
        return NULL; /* the answer is right all the same: it only names the upstream's model */
    bool nested = x->sse && (f == CCP_FORMAT_ANTHROPIC || f == CCP_FORMAT_OPENAI_RESPONSES);
    bool array = f == CCP_FORMAT_GEMINI && !x->sse; /* a stream without alt=sse is an array of answers */
    *r = (struct rename){.stage.push = push,
                         .member = f == CCP_FORMAT_GEMINI ? CCP_SPAN("modelVersion") : CCP_SPAN("model"),
                         .value = value,
                         .deepest = nested || array ? 2 : 1,
                         .lines = x->sse};
    return &r->stage;
}
