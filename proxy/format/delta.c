/*
 * Putting an upstream's deltas in order; see delta.h.
 *
 * Parts stand in a list in the order of their opening. The first one is live: what it gets goes to the sink at once.
 * The others collect; when the live one closes, the next becomes live and gives what it has. A part that was closed
 * before its turn came just waits complete. Two parts cannot stream at once: a call of a free-text tool that upstream
 * sees as a function, because its text must be taken out of the arguments; and nothing else.
 */
#include <base/fault.h>
#include <format/delta.h>
#include <stdlib.h>
#include <wire/json.h>

struct delta_part {
    struct delta_part *next;
    uint64_t key;
    enum part_kind kind;
    struct ccp_buf id, name; /* while it waits */
    const struct name *known;
    struct ccp_buf text; /* what waits */
    struct ccp_buf proof;
    enum proof_kind proof_kind;
    char half[6]; /* "\ud83d" at the end of the last fragment */
    bool halved, closed, announced, said, free_text;
};

void delta_init(struct delta_stream *s, struct delta_sink sink, const struct names *names, struct ccp_span provider,
                size_t max, struct arena *scratch)
{
    *s = (struct delta_stream){.sink = sink, .names = names, .provider = provider, .max = max, .scratch = scratch};
}

static void free_part(struct delta_stream *s, struct delta_part *part)
{
    s->waiting -= part->text.n + part->proof.n;
    buf_release(&part->id);
    buf_release(&part->name);
    buf_release(&part->text);
    buf_release(&part->proof);
    free(part);
}

void delta_release(struct delta_stream *s)
{
    while (s->first != NULL) {
        struct delta_part *part = s->first;
        s->first = part->next;
        free_part(s, part);
    }
}

static void no_memory(struct delta_stream *s)
{
    static const struct failure f = {.kind = FAILURE_OVERLOADED, .message = CCP_LIT("out of memory"), .memory = true};
    delta_fail(s, &f);
}

static void too_much(struct delta_stream *s)
{
    delta_garbled(s, "an event or a part of the answer is larger than upstream.max_event_bytes");
}

static void put(struct delta_stream *s, const struct delta *d)
{
    if (!s->failed && !s->sink.put(s->sink.self, d))
        s->failed = true;
}

void delta_start(struct delta_stream *s, ctext id, ctext model)
{
    if (s->started || delta_over(s))
        return;
    s->started = true;
    put(s, &(struct delta){.type = DELTA_START, .id = id, .model = model, .usage = &s->usage});
}

static void start_anyway(struct delta_stream *s)
{
    delta_start(s, CCP_SPAN(""), CCP_SPAN(""));
}

struct usage *delta_usage(struct delta_stream *s)
{
    return &s->usage;
}

/* -- the live part -- */

static struct delta about(const struct delta_stream *s, const struct delta_part *part, enum delta_type type)
{
    const struct name *known = part->known;
    struct delta d = {.type = type, .kind = part->kind};
    if (type == DELTA_OPEN && part->kind == PART_CALL) {
        d.id = buf_span(&part->id);
        d.name = known != NULL ? known->client : buf_span(&part->name);
        d.space = known != NULL ? known->space : CCP_SPAN("");
    }
    d.custom = part->kind == PART_CALL && (part->free_text || (known != NULL && known->custom));
    if (part->proof_kind != PROOF_NONE)
        d.proof = (struct proof){part->proof_kind, s->provider, buf_span(&part->proof)};
    return d;
}

static void announce(struct delta_stream *s, struct delta_part *part)
{
    struct delta d = about(s, part, DELTA_OPEN);
    part->announced = true;
    put(s, &d);
}

static void say(struct delta_stream *s, struct delta_part *part, struct ccp_span text)
{
    struct delta d = about(s, part, DELTA_TEXT);
    d.text = text;
    if (text.n != 0)
        put(s, &d);
}

/* The free text of a tool that went up as a function with one string: {"input":"..."}. What is no such object is
 * given as it came. */
static struct ccp_span free_text_of(struct delta_stream *s, struct ccp_span arguments)
{
    static const struct ccp_span key[] = {CCP_LIT("input")};
    struct ccp_span value, json = json_unescape(s->scratch, arguments);
    if (json.p == NULL) {
        no_memory(s);
        return CCP_SPAN("");
    }
    if (json_scan(json, key, &value, 1, NULL) != CCP_OK || value.p == NULL || value.n < 2 || value.p[0] != '"')
        return arguments;
    return ccp_span_of(value.p + 1, value.n - 2);
}

static bool must_be_whole(const struct delta_part *part)
{
    return part->known != NULL && part->known->custom && !part->free_text;
}

/* Gives a live part what it has collected. */
static void flush(struct delta_stream *s, struct delta_part *part)
{
    if (!part->announced)
        announce(s, part);
    if (must_be_whole(part) && !part->closed)
        return;
    say(s, part, must_be_whole(part) ? free_text_of(s, buf_span(&part->text)) : buf_span(&part->text));
    s->waiting -= part->text.n;
    part->text.n = 0;
}

static void end_part(struct delta_stream *s, struct delta_part *part)
{
    if (part->proof_kind != PROOF_NONE) {
        struct delta d = about(s, part, DELTA_PROOF);
        put(s, &d);
    }
    struct delta d = about(s, part, DELTA_CLOSE);
    put(s, &d);
}

/* Moves on past parts that are complete. */
static void advance(struct delta_stream *s)
{
    while (s->first != NULL && !delta_over(s)) {
        struct delta_part *part = s->first;
        flush(s, part);
        if (!part->closed)
            return;
        end_part(s, part);
        s->first = part->next;
        free_part(s, part);
    }
}

/* -- what readers call -- */

static struct delta_part *find(const struct delta_stream *s, uint64_t key)
{
    for (struct delta_part *part = s->first; part != NULL; part = part->next)
        if (part->key == key)
            return part;
    return NULL;
}

static struct delta_part *find_open(const struct delta_stream *s, uint64_t key)
{
    struct delta_part *part = delta_over(s) ? NULL : find(s, key);
    return part != NULL && !part->closed ? part : NULL;
}

bool delta_has_text(const struct delta_stream *s, uint64_t key)
{
    const struct delta_part *part = find(s, key);
    return part != NULL && part->said;
}

static struct delta_part *append(struct delta_stream *s)
{
    struct delta_part *part = CCP_FAULT("delta.part") ? NULL : calloc(1, sizeof(*part)), **link = &s->first;
    size_t parts = 0;
    for (; *link != NULL; link = &(*link)->next)
        parts++;
    if (part != NULL && parts >= 1024) /* each may wait for the first: looking through them must stay short */
        delta_garbled(s, "more than 1024 parts of the upstream's answer are open at once");
    if (part == NULL || parts >= 1024) {
        free(part);
        return NULL;
    }
    return *link = part;
}

static void open_part(struct delta_stream *s, uint64_t key, enum part_kind kind, ctext id, ctext name, bool free_text)
{
    if (delta_over(s) || find_open(s, key) != NULL)
        return;
    if (kind == PART_CALL && (name.n == 0 || id.n == 0)) { /* no client could tell what to do, or answer it */
        delta_garbled(s, "the upstream's answer has a tool call without a name or an id");
        return;
    }
    start_anyway(s);
    struct delta_part *part = append(s);
    if (part == NULL) {
        no_memory(s);
        return;
    }
    part->key = key;
    part->kind = kind;
    part->free_text = free_text;
    buf_init(&part->id, 65536);
    buf_init(&part->name, 65536);
    buf_init(&part->text, s->max);
    buf_init(&part->proof, s->max);
    if (!buf_add(&part->id, id) || !buf_add(&part->name, name)) {
        no_memory(s);
        return;
    }
    s->calls = s->calls || kind == PART_CALL;
    part->known = kind == PART_CALL && s->names != NULL ? names_client(s->names, buf_span(&part->name)) : NULL;
}

void delta_open(struct delta_stream *s, uint64_t key, enum part_kind kind, ctext id, ctext name)
{
    open_part(s, key, kind, id, name, false);
}

void delta_open_custom(struct delta_stream *s, uint64_t key, ctext id, ctext name)
{
    open_part(s, key, PART_CALL, id, name, true);
}

static bool high_surrogate(const char *p)
{
    return p[0] == '\\' && p[1] == 'u' && (p[2] | 0x20) == 'd' && p[3] != '\0' && strchr("89abAB", p[3]) != NULL;
}

/* Does the text end with the first half of a pair? The backslash must be one that escapes. */
static bool ends_in_half(struct ccp_span text)
{
    if (text.n < 6 || !high_surrogate(text.p + text.n - 6))
        return false;
    size_t slashes = 0;
    for (size_t i = text.n - 6; i != 0 && text.p[i - 1] == '\\'; i--)
        slashes++;
    return slashes % 2 == 0;
}

static bool begins_with_low(struct ccp_span text)
{
    return text.n >= 6 && text.p[0] == '\\' && text.p[1] == 'u' && (text.p[2] | 0x20) == 'd' &&
           memchr("cdefCDEF", text.p[3], 8) != NULL;
}

static void keep(struct delta_stream *s, struct delta_part *part, struct ccp_span text)
{
    if (text.n > s->max - s->waiting)
        too_much(s);
    else if (!buf_add(&part->text, text))
        no_memory(s);
    else
        s->waiting += text.n;
}

static void pass(struct delta_stream *s, struct delta_part *part, struct ccp_span text)
{
    if (part == s->first && !must_be_whole(part)) {
        flush(s, part);
        say(s, part, text);
    } else {
        keep(s, part, text);
    }
}

/* Half a pair inside a fragment has no partner any more. It is JSON by the letter, but parsers of clients refuse it. */
static void pass_whole(struct delta_stream *s, struct delta_part *part, struct ccp_span text)
{
    size_t from = 0, at = 0;
    while ((at += ccp_span_find(ccp_span_skip(text, at), '\\')) < text.n) {
        struct ccp_span rest = ccp_span_skip(text, at);
        bool high = rest.n >= 6 && high_surrogate(rest.p);
        if (high && begins_with_low(ccp_span_skip(rest, 6))) {
            at += 12;
        } else if (high || begins_with_low(rest)) {
            if (at != from)
                pass(s, part, ccp_span_of(text.p + from, at - from));
            pass(s, part, CCP_SPAN("\\ufffd"));
            from = at += 6;
        } else {
            at += 2;
        }
    }
    if (from < text.n)
        pass(s, part, ccp_span_skip(text, from));
}

/* The half that was held back; without its partner it is no character. */
static void give_half(struct delta_stream *s, struct delta_part *part)
{
    if (part->halved)
        pass(s, part, CCP_SPAN("\\ufffd"));
    part->halved = false;
}

void delta_text(struct delta_stream *s, uint64_t key, ctext fragment)
{
    struct delta_part *part = find_open(s, key);
    if (part == NULL || fragment.n == 0)
        return;
    part->said = true;
    bool joined = part->halved && begins_with_low(fragment);
    if (joined) { /* both halves in one fragment */
        char both[12];
        memcpy(both, part->half, 6);
        memcpy(both + 6, fragment.p, 6);
        part->halved = false;
        pass(s, part, ccp_span_of(both, 12));
        fragment = ccp_span_skip(fragment, 6);
    }
    give_half(s, part);
    if (ends_in_half(fragment)) {
        fragment.n -= 6;
        memcpy(part->half, fragment.p + fragment.n, 6);
        part->halved = true;
    }
    pass_whole(s, part, fragment);
}

void delta_arguments(struct delta_stream *s, uint64_t key, struct ccp_span json)
{
    struct ccp_span quoted = json_quote(s->scratch, json);
    if (quoted.p == NULL)
        no_memory(s);
    else
        delta_text(s, key, ccp_span_of(quoted.p + 1, quoted.n - 2));
}

void delta_proof(struct delta_stream *s, uint64_t key, enum proof_kind kind, ctext text)
{
    struct delta_part *part = find_open(s, key);
    if (part == NULL || text.n == 0)
        return;
    s->waiting -= part->proof.n;
    part->proof.n = 0;
    part->proof_kind = kind;
    if (text.n > s->max - s->waiting)
        too_much(s);
    else if (!buf_add(&part->proof, text))
        no_memory(s);
    else
        s->waiting += text.n;
}

void delta_close(struct delta_stream *s, uint64_t key)
{
    struct delta_part *part = find_open(s, key);
    if (part == NULL)
        return;
    give_half(s, part);
    part->closed = true;
    advance(s);
}

void delta_close_all(struct delta_stream *s)
{
    for (struct delta_part *part = s->first; part != NULL; part = part->next)
        if (!part->closed) {
            give_half(s, part);
            part->closed = true;
        }
    advance(s);
}

void delta_settle_event(struct delta_stream *s)
{
    if (s->first != NULL && !delta_over(s))
        flush(s, s->first);
}

bool delta_waits(const struct delta_stream *s)
{
    const struct delta_part *live = s->first;
    return live != NULL && !delta_over(s) && (live->next != NULL || live->halved || live->text.n != 0);
}

void delta_stop(struct delta_stream *s, enum stop stop, ctext sequence)
{
    s->stop = stop;
    if (sequence.n <= sizeof(s->sequence)) {
        memcpy(s->sequence, sequence.p, sequence.n);
        s->sequence_n = sequence.n;
    }
}

static enum stop final_stop(const struct delta_stream *s)
{
    if (s->calls && s->stop == STOP_END)
        return STOP_TOOL;
    return !s->calls && s->stop == STOP_TOOL ? STOP_END : s->stop;
}

void delta_finish(struct delta_stream *s)
{
    static const struct failure cut = {.kind = FAILURE_CUT,
                                       .message = CCP_LIT("the upstream's answer ended before it was complete")};
    if (delta_over(s))
        return;
    if (s->stop == STOP_NONE) {
        delta_fail(s, &cut);
        return;
    }
    start_anyway(s);
    delta_close_all(s);
    if (delta_over(s))
        return;
    s->ended = true;
    put(s, &(struct delta){.type = DELTA_STOP,
                           .stop = final_stop(s),
                           .stop_sequence = ccp_span_of(s->sequence, s->sequence_n),
                           .usage = &s->usage});
}

void delta_fail(struct delta_stream *s, const struct failure *f)
{
    if (delta_over(s))
        return;
    put(s, &(struct delta){.type = DELTA_ERROR, .failure = f});
    s->failed = true;
}

void delta_garbled(struct delta_stream *s, const char *what)
{
    delta_fail(s, &(struct failure){.kind = FAILURE_GARBLED, .message = ccp_span_z(what)});
}
