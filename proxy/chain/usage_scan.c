/*
 * See usage_scan.h.
 */
#include <base/fault.h>
#include <chain/usage_bytes.h>
#include <chain/usage_scan.h>
#include <format/wire_format.h>

enum { ANCHOR = 1u << 20 }; /* the depth that the first name of a whole answer is said to have */

void usage_scan_init(struct usage_scan *s, enum ccp_format format, bool lines, struct arena *arena)
{
    *s = (struct usage_scan){.format = format_of(format),
                             .arena = arena,
                             .lines = lines,
                             .outermost = !lines && format != CCP_FORMAT_GEMINI,
                             .best = -1};
}

/* -- the object -- */

/* Of a whole answer: the name that is nearest to the outermost object counts, and of two the last one. */
static bool outdone(struct usage_scan *s)
{
    if (!s->outermost)
        return s->rank < s->best;
    if (s->best >= 0 && s->from > s->best_depth)
        return true;
    s->best_depth = s->from;
    s->sum = (struct usage){.known = false};
    return false;
}

static void parse(struct usage_scan *s, struct ccp_span object)
{
    struct usage_nodes nodes;
    const struct ccp_json *root = usage_tree(&nodes, object);
    if (root != NULL && !outdone(s)) {
        s->best = s->rank;
        s->format->read_usage(&s->sum, s->seen, root);
    }
}

static void keep(struct usage_scan *s, const char *p, const char *end)
{
    size_t n = (size_t)(end - p);
    if (s->kept == NULL && !s->overflow)
        s->kept = CCP_FAULT("usage.keep") ? NULL : arena_alloc(s->arena, USAGE_OBJECT_MAX);
    if (s->kept == NULL || n > USAGE_OBJECT_MAX - s->kept_n)
        s->overflow = true;
    if (s->overflow)
        return;
    memcpy(s->kept + s->kept_n, p, n);
    s->kept_n += n;
}

static void object_ends(struct usage_scan *s, const char *began, const char *end)
{
    s->capturing = false;
    if (s->kept_n == 0 && !s->overflow && (size_t)(end - began) <= USAGE_OBJECT_MAX) {
        parse(s, ccp_span_of(began, (size_t)(end - began)));
        return;
    }
    keep(s, began, end);
    if (!s->overflow)
        parse(s, ccp_span_of(s->kept, s->kept_n));
}

/* -- where it stands -- */

static void begin_text(struct usage_scan *s)
{
    s->in_string = s->escaped = s->ended = s->named = s->capturing = false;
    s->depth = 0;
    s->best = -1;
}

static struct ccp_span here(const struct usage_scan *s)
{
    return ccp_span_of(s->path, s->at[s->depth]);
}

static bool is_path(const struct usage_scan *s, const char *path)
{
    struct ccp_span all = ccp_span_z(path), front = here(s);
    return all.n == front.n + s->name_n && ccp_span_starts(all, front) &&
           memcmp(all.p + front.n, s->name, s->name_n) == 0;
}

static int rank_of(const struct usage_scan *s)
{
    if (s->outermost)
        return s->named && s->name_n == NAME_N - 1 && memcmp(s->name, &NAME_BEGINS[1], NAME_N - 1) == 0 ? 0 : -1;
    if (!s->named || s->name_n == UINT8_MAX || s->depth > USAGE_DEPTH || memchr(s->name, '.', s->name_n) != NULL)
        return -1;
    for (int i = 0; s->format->usage_paths[i] != NULL; i++)
        if (is_path(s, s->format->usage_paths[i]))
            return i;
    return -1;
}

/* Adds a container to the path: "name." for an object, "name[]." for an array. One whose name is too long to matter
 * gets a name that none of the paths has. */
static void enter(struct usage_scan *s, bool array)
{
    if (s->depth < USAGE_DEPTH) {
        size_t n = s->at[s->depth];
        size_t name = s->named && s->name_n != UINT8_MAX ? s->name_n : 0;
        memcpy(s->path + n, s->name, name);
        n += name;
        if (s->named && s->name_n == UINT8_MAX)
            s->path[n++] = '?';
        if (array) {
            s->path[n++] = '[';
            s->path[n++] = ']';
        }
        if (array || s->named)
            s->path[n++] = '.';
        s->at[s->depth + 1] = (uint8_t)n;
    }
    s->depth++;
    s->named = false;
}

static void string_begins(struct usage_scan *s)
{
    s->in_string = true;
    s->named = false;
    s->name_n = 0;
}

static void note_name(struct usage_scan *s, const char *p, size_t n)
{
    if ((s->depth > USAGE_DEPTH && !s->outermost) || s->name_n == UINT8_MAX)
        return;
    if (n > (size_t)(USAGE_NAME - s->name_n)) {
        s->name_n = UINT8_MAX;
        return;
    }
    memcpy(s->name + s->name_n, p, n);
    s->name_n = (uint8_t)(s->name_n + n);
}

/* To the end of a run in a string, over what is escaped in it: a quote, a byte that cannot stand there, or end. */
static const char *over_text(struct usage_scan *s, const char *p, const char *end)
{
    for (;;) {
        const char *stop = skip_text(p, end);
        if (!s->capturing)
            note_name(s, p, (size_t)(stop - p));
        if (stop == end || *stop != '\\')
            return stop;
        s->name_n = UINT8_MAX; /* no name that matters is spelled so */
        s->escaped = stop + 1 == end;
        if (s->escaped)
            return end;
        p = stop + 1 + ((unsigned char)stop[1] >= 0x20);
    }
}

/* Bytes of a string; returns where it goes on. */
static const char *in_string(struct usage_scan *s, const char *p, const char *end)
{
    p += s->escaped && (unsigned char)*p >= 0x20; /* cut behind the backslash */
    s->escaped = false;
    p = over_text(s, p, end);
    if (p == end)
        return end;
    if (*p == '"') {
        s->in_string = false;
        s->ended = true;
    } else if (s->lines && (*p == '\n' || *p == '\r')) {
        begin_text(s);
    }
    return p + 1;
}

/* Behind a string: was it a name? */
static const char *after_string(struct usage_scan *s, const char *p)
{
    if (*p == ' ' || *p == '\t' || (!s->lines && (*p == '\n' || *p == '\r')))
        return p + 1;
    s->ended = false;
    s->named = *p == ':';
    return s->named ? p + 1 : p;
}

static bool line_ends(const struct usage_scan *s, char c)
{
    return s->lines && (c == '\n' || c == '\r');
}

/* A bracket or brace at p. `began` is where the object begins that is wanted, if this is it or one is open. */
static const char *bracket(struct usage_scan *s, const char *p, const char *began)
{
    if (*p == '{' || *p == '[') {
        int rank = *p == '{' && !s->capturing ? rank_of(s) : -1;
        enter(s, *p == '[');
        if (rank < 0)
            return began;
        s->capturing = true;
        s->overflow = false;
        s->rank = rank;
        s->from = s->depth - 1;
        s->kept_n = 0;
        return p;
    }
    s->named = false;
    s->depth -= s->depth != 0;
    if (s->capturing && s->depth == s->from)
        object_ends(s, began, p + 1);
    return began;
}

/* One line, or all of a text that is not an event stream. Returns behind it. */
static const char *follow(struct usage_scan *s, const char *p, const char *end)
{
    const char *began = p;
    while (p != end) {
        if (s->in_string) {
            p = in_string(s, p, end);
            if (line_ends(s, p[-1]))
                return p;
        } else if (s->ended) {
            p = after_string(s, p);
        } else if ((p = skip_plain(p, end)) != end) {
            char c = *p;
            if (c == '"')
                string_begins(s);
            else if (c != '\n' && c != '\r')
                began = bracket(s, p, began);
            p++;
            if (line_ends(s, c)) {
                begin_text(s);
                return p;
            }
        }
    }
    if (s->capturing)
        keep(s, began, end);
    return end;
}

/* -- whole answers -- */

/* Is this quote the beginning of a name, not the end of a text that was escaped? */
static bool opens(const char *quote, const char *first)
{
    return quote == first || quote[-1] != '\\';
}

static void anchor(struct usage_scan *s)
{
    s->anchored = true;
    s->depth = ANCHOR;
}

/* The last bytes that were searched, for a name that goes on in the next piece. */
static void note_end(struct usage_scan *s, const char *p, const char *end)
{
    size_t n = (size_t)(end - p) < sizeof(s->before) ? (size_t)(end - p) : sizeof(s->before);
    size_t kept = s->before_n < sizeof(s->before) - n ? s->before_n : sizeof(s->before) - n;
    memmove(s->before, s->before + s->before_n - kept, kept);
    memcpy(s->before + kept, end - n, n);
    s->before_n = (uint8_t)(kept + n);
}

/* A name that began in the pieces before: it is gone through from there. */
static bool cut_name(struct usage_scan *s, const char *p, const char *end)
{
    char window[sizeof(s->before) + NAME_N];
    size_t n = s->before_n, more = (size_t)(end - p) < NAME_N ? (size_t)(end - p) : NAME_N;
    memcpy(window, s->before, n);
    memcpy(window + n, p, more);
    for (size_t i = n > NAME_N - 1 ? n - (NAME_N - 1) : 0; i < n; i++)
        if (begins(window + i, window + n + more, NAME_BEGINS, NAME_N) && opens(window + i, window)) {
            anchor(s);
            follow(s, s->before + i, s->before + n);
            return true;
        }
    return false;
}

static void search(struct usage_scan *s, const char *p, const char *end)
{
    if (cut_name(s, p, end)) {
        follow(s, p, end);
        return;
    }
    for (const char *at = p; (at = find_name(at, end)) != end; at++) {
        char last = at != p ? at[-1] : s->before_n != 0 ? s->before[s->before_n - 1] : ' ';
        if (last == '\\')
            continue;
        anchor(s);
        follow(s, at, end);
        return;
    }
    note_end(s, p, end);
}

struct usage usage_scan_sum(const struct usage_scan *s)
{
    if (s->outermost && (s->best < 0 || s->best_depth != s->depth + 1))
        return (struct usage){.known = false};
    return s->sum;
}

/* -- event streams -- */

static bool at_line(const struct usage_scan *s)
{
    return s->depth == 0 && !s->in_string && !s->ended;
}

void usage_scan_feed(struct usage_scan *s, struct ccp_span bytes)
{
    const char *p = bytes.p, *end = bytes.p + bytes.n;
    if (bytes.n == 0)
        return;
    if (!s->lines) {
        s->outermost && !s->anchored ? search(s, p, end) : (void)follow(s, p, end);
        return;
    }
    while (p != end) {
        /* Whole lines before the name, or before the last line, which may be cut, do not matter. */
        const char *line = at_line(s) ? last_line(p, find_name(p, end)) : p;
        if (line != p)
            begin_text(s);
        p = line;
        if (p != end)
            p = follow(s, p, end);
    }
}
