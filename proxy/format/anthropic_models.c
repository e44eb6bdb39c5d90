/*
 * What Anthropic's models take, by generation (wire reference A.3, A.6, A.7).
 *
 * Names are read, not listed: family and version stand in them in either order ("claude-3-7-sonnet-20250219",
 * "claude-opus-4.1", "us.anthropic.claude-haiku-4-5-v1:0"). A claude-* name that says neither is taken for the newest
 * generation; any other name for a server that speaks the format as it was when it was young.
 */
#include <format/anthropic.h>

struct model_name {
    bool claude, opus, haiku, sonnet, always, old;
    int version; /* 307 = 3.7; 0 = not said */
};

static size_t claude_at(struct ccp_span name)
{
    const char *hit = name.n != 0 ? memmem(name.p, name.n, "claude", 6) : NULL;
    return hit != NULL ? (size_t)(hit - name.p) + 6 : name.n;
}

static bool small_number(struct ccp_span word, int *value)
{
    if (word.n == 0 || word.n > 2)
        return false;
    *value = 0;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9')
            return false;
        *value = *value * 10 + word.p[i] - '0';
    }
    return true;
}

static void take_word(struct model_name *m, struct ccp_span word)
{
    m->opus = m->opus || ccp_span_is(word, "opus");
    m->haiku = m->haiku || ccp_span_is(word, "haiku");
    m->sonnet = m->sonnet || ccp_span_is(word, "sonnet");
    m->always = m->always || ccp_span_is(word, "mythos") || ccp_span_is(word, "fable");
    m->old = m->old || ccp_span_is(word, "instant");
}

static size_t word_length(struct ccp_span name)
{
    size_t n = 0;
    while (n < name.n && strchr("-.@:_/", name.p[n]) == NULL)
        n++;
    return n;
}

static struct model_name read_name(struct ccp_span name)
{
    struct model_name m = {0};
    size_t at = claude_at(name);
    m.claude = at < name.n;
    int major = -1, minor = -1, value;
    bool first = true;
    for (name = ccp_span_skip(name, at + 1); name.n != 0;) {
        struct ccp_span word = ccp_span_of(name.p, word_length(name));
        take_word(&m, word);
        bool number = small_number(word, &value);
        m.old = m.old || (first && number && value < 3);
        if (number && major < 0)
            major = value;
        else if (number && minor < 0)
            minor = value;
        else if (major >= 0 && minor < 0)
            minor = 0; /* the version ends where another word stands */
        first = false;
        name = ccp_span_skip(name, word.n + 1);
    }
    if (major >= 0 && (m.opus || m.haiku || m.sonnet || m.always))
        m.version = major * 100 + (minor > 0 ? minor : 0);
    return m;
}

static int64_t default_output(const struct model_name *m)
{
    if (m->version == 0 || m->version >= 405)
        return 64000;
    if (m->version <= 300)
        return 4096;
    if (m->version <= 305)
        return 8192;
    return m->opus ? 32000 : 64000;
}

static const struct claude young = {.max_output = 8192,
                                    .name_max = 64,
                                    .sampling = true,
                                    .sampling_together = true,
                                    .thinking = CLAUDE_BUDGET,
                                    .prefill = true};

static struct claude of_generation(const struct model_name *m)
{
    int v = m->version != 0 ? m->version : 9900;
    struct claude c = {
        .max_output = default_output(m),
        .name_max = v < 400 ? 64 : 128,
        .sampling = v <= 406,
        .sampling_together = v <= 400,
        .thinking = v < 307   ? CLAUDE_NO_THINKING
                    : v < 406 ? CLAUDE_BUDGET
                              : CLAUDE_ADAPTIVE,
        .always_thinks = m->always,
        .off_by_word = v >= 500,
        .xhigh = v >= 407,
        .schema = v >= 405,
        .prefill = v < 406,
        .late_system = v >= 408,
        .vendor = true,
    };
    return c;
}

struct claude anthropic_model(const struct prompt_target *to)
{
    struct model_name m = read_name(to->model);
    struct claude c = m.claude && !m.old ? of_generation(&m) : young;
    if (m.old) {
        c.max_output = 4096;
        c.thinking = CLAUDE_NO_THINKING;
        c.vendor = true;
    }
    /* The vendor itself knows its newer fields whatever it calls the model. */
    if (!m.claude && !to->compatible)
        c.schema = c.vendor = true;
    if (to->compatible)
        c.schema = c.late_system = false;
    if (to->max_output > 0)
        c.max_output = to->max_output;
    return c;
}
