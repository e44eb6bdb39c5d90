/*
 * An upstream's words, made fit to be shown: no credentials, no HTML, no megabytes.
 *
 * Providers repeat what they were sent ("Incorrect API key provided: ..."), and gateways in between put their own pages
 * in place of an answer. What looks like a credential is taken out by its form (wire reference G.9), since the text may
 * quote any key, not only ours. Only a window of the text is ever looked at.
 */
#include <format/failure_impl.h>
#include <wire/json.h>

#define WINDOW (2 * FAILURE_TEXT_MAX) /* a credential that begins within the limit is seen beyond it */

/* How credentials begin, and how long the whole must be to be one. */
static const struct {
    struct ccp_span begins;
    size_t min;
} forms[] = {
    {CCP_LIT("sk-"), 16},  {CCP_LIT("AIza"), 20}, {CCP_LIT("AQ."), 20},   {CCP_LIT("ya29."), 16},
    {CCP_LIT("gho_"), 16}, {CCP_LIT("ghu_"), 16}, {CCP_LIT("ghp_"), 16},  {CCP_LIT("ghs_"), 16},
    {CCP_LIT("ghr_"), 16}, {CCP_LIT("hf_"), 16},  {CCP_LIT("gsk_"), 16},  {CCP_LIT("github_pat_"), 20},
    {CCP_LIT("xai-"), 16}, {CCP_LIT("r8_"), 16},  {CCP_LIT("pplx-"), 16}, {CCP_LIT("nvapi-"), 16},
    {CCP_LIT("AKIA"), 16}, {CCP_LIT("ASIA"), 16}, {CCP_LIT("eyJ"), 20},   {CCP_LIT("1//"), 20},
};

/* What a credential stands behind, whatever it looks like itself. In a sentence ("Bearer authentication") only what has
 * a digit is one. */
static const struct {
    struct ccp_span text;
    bool digit;
} labels[] = {
    {CCP_LIT("bearer "), true},          {CCP_LIT("basic "), true},
    {CCP_LIT("x-api-key: "), true},      {CCP_LIT("api-key: "), true},
    {CCP_LIT("x-goog-api-key: "), true}, {CCP_LIT("key="), false},
    {CCP_LIT("token="), false},          {CCP_LIT("tid="), false},
    {CCP_LIT("secret="), false},         {CCP_LIT("signature="), false},
    {CCP_LIT("password="), false},
};
#define LABELLED_MIN 8

static bool alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool in_token(char c)
{
    return alnum(c) || (c != '\0' && strchr("_-.~+/=", c) != NULL);
}

/* Bytes of the token at the beginning of `s`; the point of a sentence is not its own. */
static size_t token(struct ccp_span s)
{
    size_t n = 0;
    while (n < s.n && in_token(s.p[n]))
        n++;
    while (n != 0 && s.p[n - 1] == '.')
        n--;
    return n;
}

static bool has_digit(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9')
            return true;
    return false;
}

/* How many bytes at the beginning of `s` are a credential; *keep of them are a label that may stay. */
static size_t credential(struct ccp_span s, size_t *keep)
{
    *keep = 0;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (ccp_span_starts(s, forms[i].begins) && token(s) >= forms[i].min)
            return token(s);
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        size_t n = labels[i].text.n;
        if (s.n < n || strncasecmp(s.p, labels[i].text.p, n) != 0)
            continue;
        size_t secret = token(ccp_span_skip(s, n));
        *keep = n;
        if (secret >= LABELLED_MIN && (!labels[i].digit || has_digit(ccp_span_of(s.p + n, secret))))
            return n + secret;
    }
    return 0;
}

/* `out` has room for what labels and marks can add: half of text.n more. */
static size_t scrub(char *out, struct ccp_span text)
{
    static const struct ccp_span mark = CCP_LIT("[redacted]");
    size_t n = 0;
    for (size_t i = 0; i < text.n;) {
        size_t keep, found = 0;
        if (i == 0 || !alnum(text.p[i - 1]))
            found = credential(ccp_span_skip(text, i), &keep);
        if (found == 0) {
            out[n++] = text.p[i++];
            continue;
        }
        memcpy(out + n, text.p + i, keep);
        memcpy(out + n + keep, mark.p, mark.n);
        n += keep + mark.n;
        i += found;
    }
    return n;
}

static struct ccp_span trim(struct ccp_span s)
{
    while (s.n != 0 && (unsigned char)s.p[0] <= ' ')
        s.p++, s.n--;
    while (s.n != 0 && (unsigned char)s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

/* Not longer than max, and no code point cut in two. */
static size_t cut(const char *text, size_t n, size_t max)
{
    if (n <= max)
        return n;
    n = max;
    while (n != 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

bool failure_says(ctext text, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= text.n; i++)
        if (strncasecmp(text.p + i, what, n) == 0)
            return true;
    return false;
}

/* A page, or bytes that were never meant to be read. */
static bool not_for_people(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' && s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\t')
            return true;
    return s.n == 0 || s.p[0] == '<' || failure_says(s, "<html") || failure_says(s, "<!doctype");
}

static ctext clean(struct arena *a, struct ccp_span s)
{
    char *out = arena_alloc(a, s.n + s.n / 2 + 16);
    if (out == NULL)
        return CCP_SPAN("");
    size_t n = cut(out, scrub(out, s), FAILURE_TEXT_MAX);
    struct ccp_span quoted = json_quote(a, ccp_span_of(out, n));
    return quoted.p != NULL ? ccp_span_of(quoted.p + 1, quoted.n - 2) : CCP_SPAN("");
}

ctext failure_text(struct arena *a, struct ccp_span plain)
{
    plain = trim(plain);
    plain.n = cut(plain.p, plain.n, WINDOW);
    return not_for_people(plain) ? CCP_SPAN("") : clean(a, plain);
}

/* The beginning of a string's inner that certainly holds WINDOW plain bytes, cut between two escapes. */
static ctext beginning(ctext escaped)
{
    size_t n = 0;
    while (n < escaped.n && n < (size_t)6 * WINDOW)
        n += escaped.p[n] != '\\' ? 1 : escaped.p[n + 1] == 'u' ? 6 : 2;
    return ccp_span_of(escaped.p, n);
}

ctext failure_text_of_json(struct arena *a, ctext escaped)
{
    struct ccp_span plain = json_unescape(a, beginning(escaped));
    if (plain.p == NULL)
        return CCP_SPAN("");
    plain = trim(plain);
    plain.n = cut(plain.p, plain.n, WINDOW);
    /* A JSON string is text by its sender's word: control characters in it are escaped again, pages are left out. */
    return plain.n == 0 || plain.p[0] == '<' ? CCP_SPAN("") : clean(a, plain);
}

ctext failure_word(struct ccp_span text)
{
    size_t keep;
    if (text.n == 0 || text.n > 64 || credential(text, &keep) != 0)
        return CCP_SPAN("");
    for (size_t i = 0; i < text.n; i++)
        if (!alnum(text.p[i]) && text.p[i] != '_' && text.p[i] != '-' && text.p[i] != '.')
            return CCP_SPAN("");
    return text;
}
