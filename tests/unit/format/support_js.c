/*
 * See js.h.
 */
#include "js.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Static: a judge stops at the first thing it does not like, and a test program has one thread. */
static char error[600];

/* -- the pool -- */

#define POOL ((size_t)1 << 30) /* address space; only what is used becomes memory */

static struct {
    char *p;
    size_t used;
} pool;

static void *pool_take(size_t n)
{
    char *at = pool.p + pool.used;
    n = (n + 15) & ~(size_t)15;
    if (n > POOL - pool.used)
        return NULL;
    pool.used += n;
    return at;
}

static void pool_leave(void *p)
{
}

void js_pool(void)
{
    pool.p = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pool.p != MAP_FAILED)
        json_set_alloc_funcs(pool_take, pool_leave);
}

void js_pool_empty(void)
{
    pool.used = 0;
}

const char *js_error(void)
{
    return error;
}

struct text {
    char *p;
    size_t n;
};

static void add(struct text *t, const char *p, size_t n)
{
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static bool is_escape(const char *p, const char *end, const char *low, const char *high)
{
    return end - p >= 6 && p[0] == '\\' && p[1] == 'u' && strncasecmp(p + 2, low, 2) >= 0 &&
           strncasecmp(p + 2, high, 2) <= 0;
}

/* Copies a string token; with `lenient` the escape of half a surrogate pair becomes U+FFFD. */
static const char *copy_string(struct text *out, const char *p, const char *end, bool lenient)
{
    add(out, p++, 1);
    while (p < end && *p != '"') {
        bool high = is_escape(p, end, "d8", "db"), low = is_escape(p, end, "dc", "df");
        if (high && is_escape(p + 6, end, "dc", "df")) {
            add(out, p, 12);
            p += 12;
        } else if (lenient && (high || low)) {
            add(out, "\\ufffd", 6);
            p += 6;
        } else {
            size_t n = *p == '\\' && end - p > 1 ? 2 : 1;
            add(out, p, n);
            p += n;
        }
    }
    if (p < end)
        add(out, p++, 1);
    return p;
}

static const char *copy_number(struct text *out, const char *p, const char *end)
{
    const char *begin = p;
    while (p < end && strchr("+-.0123456789eE", *p) != NULL && *p != '\0')
        p++;
    add(out, "\"#", 2);
    add(out, begin, (size_t)(p - begin));
    add(out, "\"", 1);
    return p;
}

static bool good_number(const char *p, const char *end)
{
    char copy[512] = "[";
    size_t n = 1;
    json_error_t e;
    while (p < end && strchr("+-.0123456789eE", *p) != NULL && *p != '\0' && n < sizeof(copy) - 2)
        copy[n++] = *p++;
    copy[n] = ']';
    json_t *v = json_loads(copy, JSON_DECODE_INT_AS_REAL, &e);
    bool good = v != NULL || strstr(e.text, "overflow") != NULL;
    json_decref(v);
    return good;
}

static json_t *load(const char *p, size_t n, bool lenient)
{
    const char *end = p + n;
    struct text out = {malloc(n * 4 + 64), 0};
    bool numbers = true;
    while (p < end) {
        if (*p == '"') {
            p = copy_string(&out, p, end, lenient);
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            numbers = numbers && good_number(p, end);
            p = copy_number(&out, p, end);
        } else {
            add(&out, p++, 1);
        }
    }
    json_error_t e;
    json_t *root = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (root != NULL && !numbers) {
        json_decref(root);
        root = NULL;
        snprintf(error, sizeof(error), "a number that is none in %.100s", out.p);
    } else if (root == NULL) {
        snprintf(error, sizeof(error), "%s at %d of %.150s", e.text, e.position, n != 0 ? end - n : "(nothing)");
    }
    free(out.p);
    return root;
}

json_t *js_load(const char *text, size_t n)
{
    return load(text, n, false);
}

json_t *js_load_lenient(const char *text, size_t n)
{
    return load(text, n, true);
}

json_t *js_load_inner(const json_t *string)
{
    const char *text = js_text(string);
    size_t n = js_is_text(string) ? json_string_length(string) : 0;
    return strspn(text, " \t\r\n") >= n ? json_object() : js_load(text, n);
}

json_t *js_get(const json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    return json_is_null(v) ? NULL : v;
}

json_t *js_at(const json_t *o, size_t index)
{
    return json_array_get(o, index);
}

bool js_is_number(const json_t *v)
{
    return json_is_string(v) && json_string_value(v)[0] == '#';
}

/* A text that begins with '#' would be taken for a number; fixtures and generators have none. */
bool js_is_text(const json_t *v)
{
    return json_is_string(v);
}

bool js_is(const json_t *v, const char *text)
{
    return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

int64_t js_number(const json_t *v)
{
    return js_is_number(v) ? strtoll(json_string_value(v) + 1, NULL, 10) : 0;
}

const char *js_text(const json_t *v)
{
    return json_is_string(v) ? json_string_value(v) : "";
}

json_t *js_concat(const json_t *a, const char *between, const json_t *b)
{
    size_t na = json_string_length(a), nb = json_string_length(b), m = strlen(between);
    struct text out = {malloc(na + nb + m + 1), 0};
    add(&out, js_text(a), na);
    add(&out, between, m);
    add(&out, js_text(b), nb);
    json_t *joined = json_stringn(out.p, out.n);
    free(out.p);
    return joined;
}

void js_append_text(json_t *o, const char *key, const json_t *b)
{
    json_t *a = js_get(o, key);
    if (a == NULL)
        json_object_set(o, key, (json_t *)b);
    else if (json_string_length(b) != 0)
        json_object_set_new(o, key, js_concat(a, "", b));
}

const char *js_show(const json_t *v)
{
    static char ring[4][400];
    static unsigned next;
    char *slot = ring[next++ % 4];
    size_t room = sizeof(ring[0]) - 1;
    size_t n = v != NULL ? json_dumpb(v, slot, room, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : 0;
    slot[n < room ? n : room] = '\0';
    if (n == 0)
        snprintf(slot, room, "%s", v != NULL ? "(unprintable)" : "(nothing)");
    return slot;
}

static const char *differ(const char *path, const json_t *a, const json_t *b)
{
    snprintf(error, sizeof(error), "%s: %.110s instead of %.110s", path, js_show(a), js_show(b));
    return error;
}

static const char *diff(const char *path, const json_t *a, const json_t *b);

static const char *diff_objects(const char *path, const json_t *a, const json_t *b)
{
    char inner[200];
    const char *key, *found;
    json_t *value;
    json_object_foreach((json_t *)a, key, value)
    {
        snprintf(inner, sizeof(inner), "%s.%s", path, key);
        if ((found = diff(inner, value, json_object_get(b, key))) != NULL)
            return found;
    }
    json_object_foreach((json_t *)b, key, value)
    {
        snprintf(inner, sizeof(inner), "%s.%s", path, key);
        if (json_object_get(a, key) == NULL)
            return differ(inner, NULL, value);
    }
    return NULL;
}

static const char *diff_arrays(const char *path, const json_t *a, const json_t *b)
{
    char inner[200];
    size_t n = json_array_size(a) > json_array_size(b) ? json_array_size(a) : json_array_size(b);
    const char *found = NULL;
    for (size_t i = 0; i < n && found == NULL; i++) {
        snprintf(inner, sizeof(inner), "%s[%zu]", path, i);
        found = diff(inner, js_at(a, i), js_at(b, i));
    }
    return found;
}

static const char *diff(const char *path, const json_t *a, const json_t *b)
{
    if (json_is_object(a) && json_is_object(b))
        return diff_objects(path, a, b);
    if (json_is_array(a) && json_is_array(b))
        return diff_arrays(path, a, b);
    return a != NULL && b != NULL && json_equal((json_t *)a, (json_t *)b) ? NULL : differ(path, a, b);
}

const char *js_diff(const json_t *a, const json_t *b)
{
    return diff("$", a, b);
}
