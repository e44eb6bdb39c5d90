/*
 * The neutral prompt: making it, failing, losing. See prompt.h.
 */
#include <base/fault.h>
#include <format/wire_format.h>
#include <stdarg.h>
#include <wire/json.h>

void prompt_init(struct prompt *p, struct arena *a, enum ccp_format from, const struct prompt_target *to,
                 struct names *names)
{
    *p = (struct prompt){.a = a, .from = from, .to = *to, .names = names};
}

static void record(struct prompt *p, enum ccp_status status, struct ccp_span text)
{
    if (p->status != CCP_OK)
        return;
    p->status = status;
    p->error = text.p != NULL ? text : CCP_SPAN("out of memory");
}

bool prompt_fail(struct prompt *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(p, CCP_BAD_REQUEST, arena_vprintf(p->a, fmt, ap));
    va_end(ap);
    return false;
}

bool prompt_fail_at(struct prompt *p, const struct part *part, const char *fmt, ...)
{
    char where[96] = "";
    va_list ap;
    format_of(p->from)->where(part, where, sizeof(where));
    va_start(ap, fmt);
    struct ccp_span text = arena_vprintf(p->a, fmt, ap);
    va_end(ap);
    if (text.p != NULL && where[0] != '\0')
        text = arena_printf(p->a, "%s: %.*s", where, CCP_FMT(text));
    record(p, CCP_BAD_REQUEST, text);
    return false;
}

bool prompt_no_memory(struct prompt *p)
{
    record(p, CCP_OVERLOADED, CCP_SPAN("out of memory"));
    return false;
}

void prompt_drop_span(struct prompt *p, struct ccp_span name)
{
    /* A client can invent any number of members; the list is for people. */
    if (prompt_drops_full(p))
        return;
    for (struct loss *l = p->dropped; l != NULL; l = l->next)
        if (ccp_span_eq(l->name, name))
            return;
    struct loss *l = CCP_FAULT("prompt.drop") ? NULL : arena_alloc(p->a, sizeof(*l));
    if (l == NULL) {
        prompt_no_memory(p);
        return;
    }
    *l = (struct loss){NULL, name};
    if (p->last_dropped != NULL)
        p->last_dropped->next = l;
    else
        p->dropped = l;
    p->last_dropped = l;
    p->dropped_count++;
}

void prompt_drop(struct prompt *p, const char *name)
{
    prompt_drop_span(p, ccp_span_z(name));
}

void prompt_drop_mark(struct prompt *p, bool marked)
{
    if (marked)
        prompt_drop(p, p->from == CCP_FORMAT_ANTHROPIC ? "cache_control" : "prompt_cache_breakpoint");
}

struct turn *prompt_turn(struct prompt *p, enum role role, uint32_t message)
{
    struct turn *t = CCP_FAULT("prompt.turn") ? NULL : arena_zalloc(p->a, sizeof(*t));
    if (t == NULL) {
        prompt_no_memory(p);
        return NULL;
    }
    t->role = role;
    t->message = message;
    if (p->last_turn != NULL)
        p->last_turn->next = t;
    else
        p->turns = t;
    p->last_turn = t;
    return t;
}

static struct part *new_part(struct prompt *p, enum part_kind kind, uint32_t message, uint32_t index)
{
    struct part *part = CCP_FAULT("prompt.part") ? NULL : arena_zalloc(p->a, sizeof(*part));
    if (part == NULL) {
        prompt_no_memory(p);
        return NULL;
    }
    part->kind = kind;
    part->message = message;
    part->index = index;
    return part;
}

struct part *prompt_part(struct prompt *p, struct turn *turn, enum part_kind kind, uint32_t index)
{
    struct part *part = turn != NULL ? new_part(p, kind, turn->message, index) : NULL;
    if (part == NULL)
        return NULL;
    if (turn->last != NULL)
        turn->last->next = part;
    else
        turn->parts = part;
    turn->last = part;
    return part;
}

struct part *prompt_result_part(struct prompt *p, struct part *result, enum part_kind kind)
{
    struct part *part = result != NULL ? new_part(p, kind, result->message, result->index) : NULL;
    if (part == NULL)
        return NULL;
    struct part **link = result->last_inner != NULL ? &result->last_inner->next : &result->parts;
    *link = result->last_inner = part;
    return part;
}

struct tool *prompt_tool(struct prompt *p, enum tool_kind kind)
{
    struct tool *t = CCP_FAULT("prompt.tool") ? NULL : arena_zalloc(p->a, sizeof(*t));
    if (t == NULL) {
        prompt_no_memory(p);
        return NULL;
    }
    t->kind = kind;
    if (p->last_tool != NULL)
        p->last_tool->next = t;
    else
        p->tools = t;
    p->last_tool = t;
    return t;
}

ctext prompt_ctext(const struct ccp_json *node)
{
    return ccp_json_inner(node);
}

ctext prompt_escape(struct prompt *p, struct ccp_span plain)
{
    struct ccp_span quoted = CCP_FAULT("prompt.escape") ? (struct ccp_span){NULL, 0} : json_quote(p->a, plain);
    if (quoted.p == NULL) {
        prompt_no_memory(p);
        return quoted;
    }
    return ccp_span_of(quoted.p + 1, quoted.n - 2);
}

struct ccp_span prompt_plain(struct prompt *p, ctext text)
{
    struct ccp_span plain = CCP_FAULT("prompt.plain") ? (struct ccp_span){NULL, 0} : json_unescape(p->a, text);
    if (plain.p == NULL && text.n != 0)
        prompt_no_memory(p);
    return plain;
}

/* Plain digits, as nearly all numbers are, need no arithmetic of fractions. */
static bool short_digits(struct ccp_span raw, int64_t *out)
{
    int64_t value = 0;
    if (raw.n > 15)
        return false;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] < '0' || raw.p[i] > '9')
            return false;
        value = value * 10 + (raw.p[i] - '0');
    }
    *out = value;
    return true;
}

bool prompt_int(const struct ccp_json *node, int64_t *out)
{
    if (node == NULL || node->type != CCP_JSON_NUMBER || node->raw.n > 40)
        return false;
    if (short_digits(node->raw, out))
        return true;
    char text[48];
    memcpy(text, node->raw.p, node->raw.n);
    text[node->raw.n] = '\0';
    double value = strtod(text, NULL);
    if (!(value >= -9e15 && value <= 9e15) || value != (double)(int64_t)value)
        return false;
    *out = (int64_t)value;
    return true;
}

bool prompt_true(const struct ccp_json *node)
{
    return node != NULL && node->type == CCP_JSON_TRUE;
}

bool prompt_is(const struct ccp_json *node, const char *text)
{
    return node != NULL && node->type == CCP_JSON_STRING && ccp_span_is(ccp_json_inner(node), text);
}
