/*
 * One response head, whole and in one piece: status line and fields (RFC 9112 sections 4 and 5).
 *
 * Names are lowered where they stand and nothing is copied. Lines may end in LF alone (section 2.2 allows it to a
 * recipient); nothing else is forgiven, because what passes here is written to clients later.
 */
#include <wire/headers.h>
#include <wire/http1.h>

static const char malformed[] = "its answer has a malformed head";

/* The lower-case form of a token's byte, or 0 (RFC 9110 section 5.6.2). */
static const char token[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+',
    ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`', ['|'] = '|',   ['~'] = '~', ['0'] = '0',
    ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',   ['7'] = '7', ['8'] = '8',
    ['9'] = '9', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e',   ['F'] = 'f', ['G'] = 'g',
    ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm',   ['N'] = 'n', ['O'] = 'o',
    ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u',   ['V'] = 'v', ['W'] = 'w',
    ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c',   ['d'] = 'd', ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',   ['l'] = 'l', ['m'] = 'm',
    ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's',   ['t'] = 't', ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

/* "HTTP/1.1 200 OK", also without reason and without the space before it. */
static const char *status_line(struct ccp_span line, struct http1_head *head, bool *version_1_1)
{
    const char *p = line.p;

    if (line.n < 12 || (p[7] != '0' && p[7] != '1') || p[8] != ' ' || (line.n > 12 && p[12] != ' '))
        return malformed;
    for (int i = 9; i < 12; i++)
        if (p[i] < '0' || p[i] > '9')
            return malformed;
    *version_1_1 = p[7] == '1';
    head->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    if (head->status < 100 || head->status > 599 || head->status == 101) /* 101: never asked for */
        return malformed;
    return headers_value_ok(ccp_span_skip(line, 12)) ? NULL : malformed;
}

static bool add_length(struct ccp_span text, uint64_t *out)
{
    uint64_t value = 0;

    if (text.n == 0 || text.n > 18)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    }
    *out = value;
    return true;
}

/* What the fields say about framing, gathered over the head. */
struct gathered {
    bool version_1_1, close, length, coding;
    uint64_t bytes;
};

static const char *content_length(struct gathered *g, struct ccp_span value)
{
    uint64_t n;

    if (!add_length(value, &n))
        return "its answer has a malformed content-length";
    if (g->length && n != g->bytes)
        return "its answer has two different content-lengths";
    g->length = true;
    g->bytes = n;
    return NULL;
}

static const char *transfer_encoding(struct gathered *g, struct ccp_span value)
{
    if (g->coding || !ccp_span_ieq(value, CCP_SPAN("chunked")))
        return "its answer has a transfer coding that nobody asked for";
    g->coding = true;
    return NULL;
}

static void connection(struct gathered *g, struct ccp_span value)
{
    while (value.n != 0) {
        size_t comma = ccp_span_find(value, ',');
        if (ccp_span_ieq(ccp_span_trim(ccp_span_of(value.p, comma)), CCP_SPAN("close")))
            g->close = true;
        value = ccp_span_skip(value, comma + 1);
    }
}

static const char *note_framing(struct gathered *g, const struct ccp_header *h)
{
    switch (h->name.n) {
    case 10:
        if (ccp_span_eq(h->name, CCP_SPAN("connection")))
            connection(g, h->value);
        return NULL;
    case 14:
        return ccp_span_eq(h->name, CCP_SPAN("content-length")) ? content_length(g, h->value) : NULL;
    case 17:
        return ccp_span_eq(h->name, CCP_SPAN("transfer-encoding")) ? transfer_encoding(g, h->value) : NULL;
    default:
        return NULL;
    }
}

static const char *field_line(struct http1_bytes line, struct ccp_header *out)
{
    size_t i = 0;

    if (line.p[0] == ' ' || line.p[0] == '\t')
        return "its answer has a malformed head: a folded line";
    for (char c; i < line.n && (c = token[(unsigned char)line.p[i]]) != 0; i++)
        line.p[i] = c;
    if (i == 0 || i == line.n || line.p[i] != ':')
        return malformed;
    out->name = ccp_span_of(line.p, i);
    out->value = ccp_span_trim(ccp_span_of(line.p + i + 1, line.n - i - 1));
    return headers_value_ok(out->value) ? NULL : malformed;
}

/* The next line without its end; the head is known to end in an empty line. */
static struct http1_bytes cut_line(struct http1_bytes *rest)
{
    char *lf = memchr(rest->p, '\n', rest->n);
    struct http1_bytes line = {rest->p, (size_t)(lf - rest->p)};

    rest->n -= line.n + 1;
    rest->p = lf + 1;
    if (line.n != 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* RFC 9112 section 6.3, without the cases that depend on the status. */
static const char *decide_framing(const struct gathered *g, struct http1_fields_of_framing *f)
{
    if (g->coding && g->length)
        return "its answer has both a content-length and a transfer coding";
    if (g->coding && !g->version_1_1)
        return "its answer has a transfer coding in HTTP/1.0";
    f->framing = g->coding ? HTTP1_CHUNKED : g->length ? HTTP1_LENGTH : HTTP1_NO_FRAMING;
    f->length = g->bytes;
    f->keep = g->version_1_1 && !g->close;
    return NULL;
}

const char *http1_parse_head(struct http1_bytes bytes, struct http1_head *head, struct http1_fields_of_framing *f)
{
    struct gathered g = {.bytes = 0};
    struct http1_bytes line = cut_line(&bytes);
    const char *why = status_line(ccp_span_of(line.p, line.n), head, &g.version_1_1);

    head->n = 0;
    while (why == NULL && (line = cut_line(&bytes)).n != 0) {
        if (head->n == HTTP1_FIELDS_MAX)
            return "the head of its answer is too large";
        why = field_line(line, &head->fields[head->n]);
        if (why == NULL)
            why = note_framing(&g, &head->fields[head->n++]);
    }
    return why != NULL ? why : decide_framing(&g, f);
}
