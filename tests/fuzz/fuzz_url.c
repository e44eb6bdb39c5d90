/*
 * URLs, paths and queries: whatever is accepted is in its final form. A canonical path is its own canonical path,
 * never holds a ".." segment, an encoded slash or a NUL in any spelling, and a removed parameter is gone for every
 * later reader.
 *
 * The first byte chooses where the rest is cut into a path (or URL) and a parameter's name.
 */
#include "fuzz.h"

#include <base/arena.h>
#include <base/url.h>

static bool printable(struct ccp_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return true;
}

/* Segments of a text that was decoded whole, as the least careful reader behind us would do it. */
static void no_climbing(struct ccp_span decoded, size_t slashes)
{
    size_t seen = 0;
    MUST(memchr(decoded.p, '\0', decoded.n) == NULL && memchr(decoded.p, '\\', decoded.n) == NULL);
    for (struct ccp_span rest = decoded; rest.n != 0;) {
        struct ccp_span segment = ccp_span_of(rest.p, ccp_span_find(rest, '/'));
        MUST(!ccp_span_is(segment, ".."));
        seen += segment.n < rest.n;
        rest = ccp_span_skip(rest, segment.n + 1);
    }
    MUST(seen == slashes);
}

static void path(struct arena *a, struct ccp_span raw)
{
    struct ccp_span one = url_canonical_path(a, raw), two, decoded;
    size_t slashes = 0;
    if (one.p == NULL)
        return;
    MUST(one.n != 0 && one.p[0] == '/' && one.n <= raw.n && one.p[one.n] == '\0' && printable(one));
    MUST(memchr(one.p, '?', one.n) == NULL && memchr(one.p, '#', one.n) == NULL);
    two = url_canonical_path(a, one);
    MUST(two.p != NULL && ccp_span_eq(one, two));
    for (size_t i = 0; i < one.n; i++)
        slashes += one.p[i] == '/';
    decoded = url_decode(a, one);
    MUST(decoded.p != NULL);
    no_climbing(decoded, slashes);
}

static void decode(struct arena *a, struct ccp_span text)
{
    struct ccp_span out = url_decode(a, text);
    MUST(out.p == NULL || (out.n <= text.n && out.p[out.n] == '\0'));
    if (memchr(text.p, '%', text.n) == NULL)
        MUST(out.p != NULL && ccp_span_eq(out, text));
    char *coded = malloc(text.n * 3 + 1);
    MUST(coded != NULL);
    for (size_t i = 0; i < text.n; i++)
        snprintf(coded + 3 * i, 4, i % 2 != 0 ? "%%%02x" : "%%%02X", (unsigned char)text.p[i]);
    out = url_decode(a, ccp_span_of(coded, text.n * 3));
    MUST(out.p != NULL && ccp_span_eq(out, text));
    if (text.n != 0)
        MUST(url_decode(a, ccp_span_of(coded, text.n * 3 - 1)).p == NULL);
    free(coded);
}

static size_t count(struct ccp_span query, struct ccp_span name, bool of_that_name)
{
    size_t n = 0;
    while (query.n != 0) {
        struct ccp_span one = ccp_span_of(query.p, ccp_span_find(query, '&'));
        n += ccp_span_eq(ccp_span_of(one.p, ccp_span_find(one, '=')), name) == of_that_name && one.n != 0;
        query = ccp_span_skip(query, one.n + 1);
    }
    return n;
}

static void query(struct arena *a, struct ccp_span text, struct ccp_span name)
{
    if (name.n == 0 || memchr(name.p, '&', name.n) != NULL || memchr(name.p, '=', name.n) != NULL)
        return;
    struct ccp_span left = url_query_remove(a, text, name), value = url_query_get(text, name);
    MUST((value.p != NULL) == (count(text, name, true) != 0));
    MUST(url_query_get(left, name).p == NULL && left.n <= text.n);
    MUST(count(left, name, false) == count(text, name, false) && count(left, name, true) == 0);
    if (value.p == NULL)
        MUST(left.p == text.p && left.n == text.n);
    struct ccp_span again = url_query_remove(a, left, name);
    MUST(again.p == left.p && again.n == left.n);
}

static void url(struct arena *a, struct ccp_span text)
{
    struct url u, v;
    if (url_parse(text, &u) != NULL)
        return;
    MUST(printable(text) && u.host.n != 0 && u.port != 0);
    MUST(memchr(u.host.p, '@', u.host.n) == NULL && memchr(u.host.p, '/', u.host.n) == NULL);
    MUST(u.path.n == 0 || u.path.p[0] == '/');
    MUST(!u.ipv6 || url_is_ip(u.host));
    /* Put together again it is the same address. */
    struct ccp_span whole =
        arena_printf(a, "%.*s://%s%.*s%s:%u%.*s%s%.*s", CCP_FMT(u.scheme), u.ipv6 ? "[" : "", CCP_FMT(u.host),
                     u.ipv6 ? "]" : "", u.port, CCP_FMT(u.path), u.query.n != 0 ? "?" : "", CCP_FMT(u.query));
    MUST(whole.p != NULL && url_parse(whole, &v) == NULL);
    MUST(ccp_span_eq(u.scheme, v.scheme) && ccp_span_eq(u.host, v.host) && u.port == v.port && u.ipv6 == v.ipv6);
    MUST(ccp_span_eq(u.path, v.path) && ccp_span_eq(u.query, v.query));
    MUST(!(url_is_ip(u.host) && url_is_localhost(u.host)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    if (size < 2)
        return 0;
    struct ccp_span text = {(const char *)data + 1, size - 1};
    struct ccp_span name = ccp_span_skip(text, text.n - data[0] % text.n % 12);
    struct ccp_span front = ccp_span_of(text.p, text.n - name.n);
    arena_init(&a, NULL, 0);
    path(&a, text);
    decode(&a, text);
    query(&a, front, name);
    query(&a, text, CCP_SPAN("key"));
    url(&a, text);
    arena_end(&a);
    return 0;
}
