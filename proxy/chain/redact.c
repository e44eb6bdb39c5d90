/*
 * Hiding what ccproxy knows to be secret in bytes that somebody writes down.
 *
 * Secrets are those of this configuration (clients' keys, providers' keys, operators' headers) and those that this
 * exchange came or was sent with. An upstream may echo them, whole or in the spelling of JSON, of URLs or of base64, so
 * each is looked for in all of these. Everything is found in one pass: pairs of bytes with which nothing secret begins
 * are skipped by a bitmap. The plugin that asks learns where a secret stood, never what it is.
 */
#include <base/fault.h>
#include <base/secret.h>
#include <chain/api_impl.h>
#include <wire/headers.h>

enum {
    LEAST = 8, /* bytes of a secret that is looked for within other text */
    CUT = 4,   /* so much of its beginning counts at the very end, where the rest may have been cut off */
    BUCKETS = 1024
};

struct word {
    uint32_t next; /* in its bucket; 0 = the last one, else index + 1 */
    uint32_t at, n;
};

/* One pass's vocabulary; `text` holds secrets and is wiped. */
struct words {
    uint8_t begins[65536 / 8];
    uint32_t heads[BUCKETS];
    struct word *v;
    char *text;
    size_t n, room, text_n, text_room;
};

static size_t bucket_of(unsigned pair)
{
    return (pair * 40503u >> 6) % BUCKETS;
}

static void add(struct words *w, const char *p, size_t n)
{
    if (n < LEAST || w->n == w->room || w->text_room - w->text_n < n)
        return;
    unsigned pair = (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
    uint32_t *head = &w->heads[bucket_of(pair)];
    memcpy(w->text + w->text_n, p, n);
    w->begins[pair / 8] |= (uint8_t)(1 << pair % 8);
    w->v[w->n] = (struct word){.next = *head, .at = (uint32_t)w->text_n, .n = (uint32_t)n};
    w->text_n += n;
    *head = (uint32_t)++w->n;
}

/* -- base64: what of its text is the same whatever stands around the secret -- */

static void add_base64(struct words *w, struct ccp_span s, size_t before, const char *last_two)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t skipped = before == 0 ? 0 : before + 1, whole = (before + s.n) * 8 / 6, n = 0;
    char *out = w->text + w->text_n;
    if (w->text_room - w->text_n < 2 * whole) /* made in the second half, so that `add` may copy it to the first */
        return;
    out += whole;
    for (size_t i = skipped; i < whole; i++) {
        size_t bit = i * 6, byte = bit / 8 - before;
        unsigned window = (unsigned)(unsigned char)s.p[byte] << 8 | (byte + 1 < s.n ? (unsigned char)s.p[byte + 1] : 0);
        unsigned value = window >> (10 - bit % 8) & 63;
        out[n++] = value < 62 ? alphabet[value] : last_two[value - 62];
    }
    add(w, out, n);
}

/* -- which -- */

typedef void each_secret(void *arg, struct ccp_span s);

static void reveal(const struct ccp_secret *s, each_secret *each, void *arg)
{
    if (s != NULL)
        each(arg, secret_reveal(s)); /* to hide it wherever it is echoed */
}

/* Operators set headers of all kinds; most are no secret, and hiding "application/json" everywhere would help nobody.
 */
static bool is_secret(const struct ccp_header *h)
{
    bool digit = false, letter = false;
    for (size_t i = 0; i < h->value.n; i++) {
        char c = h->value.p[i];
        if (c == ' ')
            return headers_secret(h->name);
        digit |= c >= '0' && c <= '9';
        letter |= (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    }
    return headers_secret(h->name) || (digit && letter && h->value.n >= 16);
}

/* How long "Bearer " or the like is at its beginning. */
static size_t scheme_of(struct ccp_span value)
{
    size_t space = ccp_span_find(value, ' ');
    return space < value.n ? space + 1 : 0;
}

static void for_each(const struct exchange *x, each_secret *each, void *arg)
{
    const struct security_settings *s = &x->rt->settings.security;
    const struct security_key *keys = s->keys.v;
    reveal(s->auth_token, each, arg);
    for (size_t i = 0; i < s->keys.n; i++)
        reveal(keys[i].token, each, arg);
    for (size_t i = 0; i < x->rt->provider_count; i++) {
        const struct provider_settings *p = &x->rt->providers[i].s;
        reveal(p->api_key, each, arg);
        for (size_t k = 0; k < p->headers.n; k++)
            if (is_secret(&p->headers.v[k]))
                each(arg, p->headers.v[k].value);
    }
    for (size_t i = 0; i < x->header_count; i++)
        if (headers_credential(x->headers[i].name) && !ccp_span_is(x->headers[i].name, "cookie"))
            each(arg, ccp_span_skip(x->headers[i].value, scheme_of(x->headers[i].value)));
    if (x->credential != NULL)
        reveal(x->credential->secret, each, arg);
    if (x->refused != NULL)
        reveal(x->refused->secret, each, arg);
}

static void add_forms(void *arg, struct ccp_span s)
{
    struct words *w = arg;
    add(w, s.p, s.n);
    for (size_t before = 0; before < 3 && s.n >= LEAST; before++) {
        add_base64(w, s, before, "+/");
        add_base64(w, s, before, "-_");
    }
}

/* A short one counts only where it is all there is, such as a header's value. */
struct short_one {
    char *bytes;
    size_t n, places;
};

static void hide_short(void *arg, struct ccp_span s)
{
    struct short_one *one = arg;
    if (s.n == 0 || s.n >= LEAST || s.n != one->n || memcmp(s.p, one->bytes, s.n) != 0)
        return;
    memset(one->bytes, '*', one->n);
    one->places++;
}

static void measure(void *arg, struct ccp_span s)
{
    size_t *most = arg;
    most[0] += 7;
    most[1] += s.n * 12 + 64; /* itself, six times 4/3 of it, and room to make one */
}

/* -- where -- */

static int hex(unsigned char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* How many bytes of p spell one escaped character, which goes to *c; 0 = none begins here; n without it = it is cut. */
static size_t escaped(const unsigned char *p, size_t n, unsigned char *c)
{
    size_t prefix = p[0] == '%' ? 1 : n > 1 && p[0] == '\\' && p[1] == 'u' ? 2 : 0, digits = prefix == 2 ? 4 : 2;
    int value = 0;
    if (n == 1 && p[0] == '\\')
        return n;
    if (n > 1 && p[0] == '\\' && (p[1] == '/' || p[1] == '"' || p[1] == '\\')) {
        *c = p[1];
        return 2;
    }
    for (size_t i = prefix; prefix != 0 && i < prefix + digits; i++) {
        if (i == n)
            return n;
        if (hex(p[i]) < 0)
            return 0;
        value = value * 16 + hex(p[i]);
    }
    if (prefix == 0 || value > 255)
        return 0;
    *c = (unsigned char)value;
    return prefix + digits;
}

/* How many bytes of p spell the secret, or its beginning if p ends there; 0 = it is something else. */
static size_t spelled(const unsigned char *p, size_t n, const char *secret, size_t length)
{
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = 0;
        if (at >= n)
            return i >= CUT ? n : 0;
        if (p[at] == (unsigned char)secret[i]) {
            at++;
            continue;
        }
        size_t k = escaped(p + at, n - at, &c);
        if (k == n - at && c != (unsigned char)secret[i])
            return k != 0 && i >= CUT ? n : 0;
        if (k == 0 || c != (unsigned char)secret[i])
            return 0;
        at += k;
    }
    return at;
}

static size_t in_bucket(const struct words *w, unsigned pair, const unsigned char *p, size_t n)
{
    if (!(w->begins[pair / 8] >> pair % 8 & 1))
        return 0;
    for (uint32_t i = w->heads[bucket_of(pair)]; i != 0; i = w->v[i - 1].next) {
        size_t k = spelled(p, n, w->text + w->v[i - 1].at, w->v[i - 1].n);
        if (k != 0)
            return k;
    }
    return 0;
}

/* The longest of what begins at p in one of its spellings. */
static size_t begins(const struct words *w, const unsigned char *p, size_t n)
{
    unsigned char c[2] = {p[0], p[1]};
    size_t k = in_bucket(w, (unsigned)c[0] << 8 | c[1], p, n);
    if (k != 0 || (c[0] != '%' && c[0] != '\\' && c[1] != '%' && c[1] != '\\'))
        return k;
    size_t first = escaped(p, n, &c[0]);
    first = first != 0 ? first : 1;
    if (first >= n)
        return 0;
    c[1] = p[first];
    escaped(p + first, n - first, &c[1]);
    return in_bucket(w, (unsigned)c[0] << 8 | c[1], p, n);
}

static size_t hide(const struct words *w, unsigned char *p, size_t n)
{
    size_t places = 0;
    for (size_t i = 0; i + 1 < n;) {
        size_t k = begins(w, p + i, n - i);
        if (k != 0) {
            memset(p + i, '*', k);
            places++;
        }
        i += k != 0 ? k : 1;
    }
    return places;
}

size_t api_redact(struct ccp_exchange *pub, char *bytes, size_t n)
{
    const struct exchange *x = exchange_of(pub);
    size_t most[2] = {1, 1};
    struct short_one one = {bytes, n, 0};
    if (n < LEAST) {
        for_each(x, hide_short, &one);
        return one.places;
    }
    for_each(x, measure, most);
    size_t size = sizeof(struct words) + most[0] * sizeof(struct word) + most[1];
    struct words *w = CCP_FAULT("redact.words") ? NULL : calloc(1, size);
    if (w == NULL)
        return SIZE_MAX;
    w->v = (struct word *)(w + 1);
    w->room = most[0];
    w->text = (char *)(w->v + w->room);
    w->text_room = most[1];
    for_each(x, add_forms, w);
    size_t places = hide(w, (unsigned char *)bytes, n);
    secret_wipe(w, size);
    free(w);
    return places;
}
