/*
 * What comes back from an authorization page: in a redirect's query, or pasted by the user.
 *
 * Reads, judges nothing: state, issuer and code are compared by whoever waits for them. A parameter that occurs twice
 * is refused (RFC 6749 section 3.1), for two readers could take different ones.
 */
#include <auth/protocol.h>
#include <base/url.h>

enum { PASTE_MAX = 8 * 1024 };

/* A form's value: '+' is a space, too. p = NULL = malformed or no memory. */
static struct ccp_span decode(struct arena *a, struct ccp_span raw)
{
    struct ccp_span copy = arena_dup(a, raw);
    if (copy.p == NULL)
        return copy;
    for (char *p = (char *)(uintptr_t)copy.p; p < copy.p + copy.n; p++)
        if (*p == '+')
            *p = ' ';
    return url_decode(a, copy);
}

/* Authorization codes are printable ASCII (RFC 6749 appendix A.11). */
static bool code_ok(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return true;
}

static const char *take(struct arena *a, struct ccp_span one, struct pasted *out, unsigned *seen)
{
    const struct {
        const char *name;
        struct ccp_span *to;
    } known[] = {{"code", &out->code},
                 {"state", &out->state},
                 {"iss", &out->iss},
                 {"error", &out->error},
                 {"error_description", &out->error_description}};
    size_t eq = ccp_span_find(one, '=');
    struct ccp_span name = ccp_span_of(one.p, eq);

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!ccp_span_is(name, known[i].name))
            continue;
        if ((*seen & 1u << i) != 0)
            return "a parameter occurs twice in it";
        *seen |= 1u << i;
        struct ccp_span value = decode(a, ccp_span_skip(one, eq + 1));
        if (value.p == NULL)
            return "its percent-encoding is malformed";
        *known[i].to = value;
    }
    return NULL;
}

static void clear(struct pasted *out)
{
    const struct ccp_span none = CCP_SPAN("");
    *out = (struct pasted){none, none, none, none, none};
}

const char *paste_read_query(struct arena *a, struct ccp_span query, struct pasted *out)
{
    unsigned seen = 0;

    clear(out);
    if (query.n > PASTE_MAX)
        return "it is longer than 8 KiB";
    while (query.n != 0) {
        struct ccp_span one = ccp_span_of(query.p, ccp_span_find(query, '&'));
        const char *wrong = take(a, one, out, &seen);
        if (wrong != NULL) {
            clear(out);
            return wrong;
        }
        query = ccp_span_skip(query, one.n + 1);
    }
    if (!code_ok(out->code) || !code_ok(out->state) || !code_ok(out->iss)) {
        clear(out);
        return "there are control bytes in it";
    }
    return NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct ccp_span trim(struct ccp_span s)
{
    while (s.n != 0 && is_space(s.p[0]))
        s = ccp_span_skip(s, 1);
    while (s.n != 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool plain(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return true;
}

static bool looks_like_query(struct ccp_span s)
{
    return ccp_span_starts(s, CCP_SPAN("code=")) || ccp_span_starts(s, CCP_SPAN("state=")) ||
           ccp_span_starts(s, CCP_SPAN("error=")) || ccp_span_starts(s, CCP_SPAN("iss="));
}

/* "code#state", or a code alone. */
static const char *read_pair(struct arena *a, struct ccp_span text, struct pasted *out)
{
    size_t hash = ccp_span_find(text, '#');
    struct ccp_span state = ccp_span_skip(text, hash + 1);

    if (hash == 0 || ccp_span_find(state, '#') != state.n)
        return "it is neither a code nor the address of the page that showed it";
    out->code = arena_dup(a, ccp_span_of(text.p, hash));
    out->state = arena_dup(a, state);
    if (out->code.p != NULL && out->state.p != NULL)
        return NULL;
    clear(out);
    return "out of memory";
}

const char *paste_read(struct arena *a, struct ccp_span text, struct pasted *out)
{
    clear(out);
    if (text.n > PASTE_MAX)
        return "it is longer than 8 KiB";
    text = trim(text);
    if (text.n == 0)
        return "it is empty";
    if (!plain(text))
        return "there are spaces or control bytes in it";
    size_t mark = ccp_span_find(text, '?');
    /* Some browsers copy an address without its scheme. */
    bool url = ccp_span_starts(text, CCP_SPAN("http://")) || ccp_span_starts(text, CCP_SPAN("https://")) ||
               looks_like_query(ccp_span_skip(text, mark + 1));
    if (!url && text.p[0] != '?' && !looks_like_query(text))
        return read_pair(a, text, out);
    if (url && mark == text.n)
        return "the address holds no code";
    struct ccp_span query = url || mark == 0 ? ccp_span_skip(text, mark + 1) : text;
    query.n = ccp_span_find(query, '#'); /* browsers show a fragment that is not the server's */
    const char *wrong = paste_read_query(a, query, out);
    return wrong == NULL && out->code.n == 0 && out->error.n == 0 ? "the address holds no code" : wrong;
}
