/*
 * What a watcher wants: types, one plugin, a level. Pure; the texts it refuses with are for people.
 */
#include <chain/hub_impl.h>

static const char *const dotted[] = {
#define X(name, text) text,
#include <ccproxy/event.def>
#undef X
};
#define PIECES (CCP_HEARS(PROVIDER_STREAM_CHUNK) | CCP_HEARS(HTTP_RESPONSE_BODY) | CCP_HEARS(PROVIDER_RESPONSE_BODY))
_Static_assert((int)CCP_EVENT_COUNT < (int)HUB_LOG, "kinds are bits of one word");

void filter_init(struct watch_filter *f)
{
    *f = (struct watch_filter){.level = CCP_LOG_INFO};
    f->kinds = (HUB_BIT(CCP_EVENT_COUNT) - 1) & ~PIECES;
    f->kinds |= HUB_BIT(HUB_LOG);
}

/* A name, or its beginning and a star. */
static bool fits(struct ccp_span pattern, struct ccp_span name)
{
    bool open = pattern.n != 0 && pattern.p[pattern.n - 1] == '*';
    return open ? ccp_span_starts(name, ccp_span_of(pattern.p, pattern.n - 1)) : ccp_span_eq(pattern, name);
}

/* Can there be custom events that it fits? All names below "custom." are possible. */
static bool may_be_custom(struct ccp_span pattern)
{
    struct ccp_span root = CCP_SPAN("custom.");
    bool open = pattern.n != 0 && pattern.p[pattern.n - 1] == '*';
    struct ccp_span fixed = {pattern.p, open ? pattern.n - 1 : pattern.n};
    return (fixed.n > root.n && ccp_span_starts(fixed, root)) || (open && ccp_span_starts(root, fixed));
}

static bool is_plain(struct ccp_span s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!word && (c == '\0' || strchr(more, c) == NULL))
            return false;
    }
    return s.n != 0;
}

const char *filter_type(struct watch_filter *f, struct filter_types *so_far, struct ccp_span type)
{
    uint64_t kinds = fits(type, CCP_SPAN("log")) ? HUB_BIT(HUB_LOG) : 0;
    if (type.n > HUB_PATTERN_MAX || !is_plain(type, ".*ABCDEFGHIJKLMNOPQRSTUVWXYZ") ||
        ccp_span_find(type, '*') + 1 < type.n)
        return "is no type: a name such as request.completed or log, or its beginning and *";
    for (unsigned i = 0; i < CCP_EVENT_COUNT; i++)
        if (i != CCP_EVENT_CUSTOM && fits(type, ccp_span_z(dotted[i])))
            kinds |= HUB_BIT(i);
    if (ccp_span_is(type, "custom"))
        type = CCP_SPAN("custom.*");
    if (may_be_custom(type)) {
        if (f->custom_n == HUB_PATTERNS)
            return "is one type too many";
        memcpy(f->custom[f->custom_n], type.p, type.n);
        f->custom[f->custom_n++][type.n] = '\0';
        kinds |= CCP_HEARS(CUSTOM);
    }
    if (kinds == 0)
        return "is no type of events";
    f->kinds = (so_far->n++ == 0 ? 0 : f->kinds) | kinds;
    return NULL;
}

const char *filter_plugin(struct watch_filter *f, struct ccp_span name)
{
    if (name.n > HUB_NAME_MAX || !is_plain(name, ""))
        return "is no name of a plugin";
    memcpy(f->plugin, name.p, name.n);
    f->plugin[name.n] = '\0';
    return NULL;
}

const char *filter_level(struct watch_filter *f, struct ccp_span level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (ccp_span_ieq(level, ccp_span_z(names[i]))) {
            f->level = (enum ccp_log_level)i;
            return NULL;
        }
    if (!ccp_span_ieq(level, CCP_SPAN("warning")))
        return "is no level: debug, info, warn or error";
    f->level = CCP_LOG_WARN;
    return NULL;
}

static bool custom_wanted(const struct watch_filter *f, struct ccp_span name)
{
    for (size_t i = 0; i < f->custom_n; i++)
        if (fits(ccp_span_z(f->custom[i]), name))
            return true;
    return f->custom_n == 0; /* no types were named */
}

bool filter_wants(const struct watch_filter *f, const struct hub_record *r)
{
    if (!(f->kinds & HUB_BIT(r->kind)))
        return false;
    if (f->plugin[0] != '\0' && !ccp_span_is(r->source, f->plugin))
        return false;
    if (r->kind == HUB_LOG)
        return r->level >= f->level;
    return r->kind != CCP_EVENT_CUSTOM || custom_wanted(f, r->dotted);
}
