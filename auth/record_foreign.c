/*
 * A vendor's file: members stand where struct ccp_oauth_file says, everything else is none of our business.
 *
 * Written is the vendor's own text with the changed values put in where the old ones stood; a missing member goes
 * behind the last one of its object, with that object's indentation. So a file that a person or the vendor's program
 * laid out keeps its layout, and what is not ours is never written anew.
 */
#include <auth/protocol.h>
#include <auth/record_impl.h>
#include <base/fault.h>

/* ---- reading ---- */

/* An array of words, or one text: joined by spaces. p = NULL: neither, or no memory. */
static struct ccp_span scopes_of(struct arena *a, const struct ccp_json *value)
{
    struct ccp_span joined = {"", 0}, word;
    if (value == NULL || value->type != CCP_JSON_ARRAY)
        return record_string(a, value, &joined) ? joined : ccp_span_of(NULL, 0);
    for (const struct ccp_json *s = value->child; s != NULL; s = s->next) {
        if (s->type != CCP_JSON_STRING || !record_string(a, s, &word))
            return ccp_span_of(NULL, 0);
        struct ccp_span pieces[] = {joined, s == value->child ? CCP_SPAN("") : CCP_SPAN(" "), word};
        joined = arena_cat(a, pieces, 3);
        if (joined.p == NULL)
            return joined;
    }
    return joined;
}

static const char *read_token(struct record *r, const char *path, struct ccp_span *out)
{
    *out = CCP_SPAN("");
    if (path == NULL)
        return NULL;
    if (!record_string(&r->arena, record_find(r->root, path, NULL, NULL), out))
        return out->p == NULL ? RECORD_NO_MEMORY : "a token in it is not text";
    return out->n == 0 || record_token_ok(*out) ? NULL : "a token in it has characters or a length that no token has";
}

static void read_fact(struct record *r, const char *name, const char *path)
{
    struct ccp_span value;
    if (path != NULL && record_string(&r->arena, record_find(r->root, path, NULL, NULL), &value) && value.n != 0)
        record_put_fact(r, ccp_span_z(name), value);
}

static const char *read_expiry(struct record *r)
{
    int64_t number;
    if (r->layout->expires_ms == NULL) {
        if (jwt_expiry(r->access_token, &number) && number > 0)
            r->expires_at = number;
        return NULL;
    }
    if (!record_number(record_find(r->root, r->layout->expires_ms, NULL, NULL), &number))
        return "its time of expiry is not a number";
    r->expires_at = number / 1000;
    return NULL;
}

const char *record_foreign_read(struct record *r)
{
    const struct ccp_oauth_file *f = r->layout;
    const char *why = read_token(r, f->access_token, &r->access_token);
    if (why == NULL && r->access_token.n == 0)
        why = "it holds no access token";
    if (why == NULL)
        why = read_token(r, f->refresh_token, &r->refresh_token);
    if (why == NULL)
        why = read_token(r, f->id_token, &r->id_token);
    if (why == NULL)
        why = read_expiry(r);
    if (why != NULL)
        return why;
    r->scope = f->scopes != NULL ? scopes_of(&r->arena, record_find(r->root, f->scopes, NULL, NULL)) : CCP_SPAN("");
    if (r->scope.p == NULL)
        return "its scopes are neither a list nor a text";
    read_fact(r, "plan", f->plan);
    read_fact(r, "account_id", f->account_id);
    return NULL;
}

/* ---- writing ---- */

struct edit {
    const char *at; /* in the base's text */
    size_t cut;     /* bytes that go */
    struct ccp_span with;
};

struct edits {
    const struct record *base;
    struct arena a; /* of the texts that are put in */
    struct edit list[8];
    size_t n;
    bool failed;
};

static void add(struct edits *e, const char *at, size_t cut, struct ccp_span with)
{
    size_t i = e->n;
    if (with.p == NULL || e->n == sizeof(e->list) / sizeof(e->list[0])) {
        e->failed = true;
        return;
    }
    for (; i > 0 && e->list[i - 1].at > at; i--)
        e->list[i] = e->list[i - 1];
    e->list[i] = (struct edit){at, cut, with};
    e->n++;
}

/* Behind the last member of `object`; the first one shows how members are set apart there. */
static void insert(struct edits *e, const struct ccp_json *object, struct ccp_span key, struct ccp_span value)
{
    const struct ccp_json *first = object->child, *last = first;
    const char *at = object->raw.p + 1;
    struct ccp_span gap = {"", 0}, colon = CCP_SPAN("\":");
    bool comma = first != NULL;
    if (first != NULL) {
        gap = ccp_span_of(at, (size_t)(first->key.p - 1 - at));
        colon = ccp_span_of(first->key.p + first->key.n, (size_t)(first->raw.p - first->key.p) - first->key.n);
        while (last->next != NULL)
            last = last->next;
        at = last->raw.p + last->raw.n;
    }
    for (size_t i = 0; i < e->n; i++)
        comma |= e->list[i].at == at && e->list[i].cut == 0;
    struct ccp_span pieces[] = {comma ? CCP_SPAN(",") : CCP_SPAN(""), gap, CCP_SPAN("\""), key, colon, value};
    add(e, at, 0, arena_cat(&e->a, pieces, 6));
}

/* `needed`: without a place for it the whole write fails. */
static void put(struct edits *e, const char *path, struct ccp_span value, bool needed)
{
    struct ccp_json *parent;
    struct ccp_span key;
    const struct ccp_json *old = record_find(e->base->root, path, &parent, &key);
    if (value.p == NULL || (parent == NULL && needed))
        e->failed = true;
    else if (old != NULL)
        add(e, old->raw.p, old->raw.n, value);
    else if (parent != NULL)
        insert(e, parent, key, value);
}

static void put_text(struct edits *e, const char *path, struct ccp_span text, bool needed)
{
    struct ccp_span old;
    const struct ccp_json *at = path != NULL ? record_find(e->base->root, path, NULL, NULL) : NULL;
    if (path == NULL || text.n == 0 || (at != NULL && record_string(&e->a, at, &old) && ccp_span_eq(old, text)))
        return;
    put(e, path, json_quote(&e->a, text), needed);
}

static struct ccp_span as_list(struct arena *a, struct ccp_span words)
{
    struct ccp_span list = CCP_SPAN("[");
    while (words.n != 0) {
        struct ccp_span word = ccp_span_of(words.p, ccp_span_find(words, ' '));
        words = ccp_span_skip(words, word.n + 1);
        if (word.n == 0)
            continue;
        struct ccp_span pieces[] = {list, list.n == 1 ? CCP_SPAN("") : CCP_SPAN(","), json_quote(a, word)};
        list = pieces[2].p != NULL ? arena_cat(a, pieces, 3) : pieces[2];
        if (list.p == NULL)
            return list;
    }
    struct ccp_span pieces[] = {list, CCP_SPAN("]")};
    return arena_cat(a, pieces, 2);
}

static void put_scopes(struct edits *e, const char *path, struct ccp_span scope)
{
    const struct ccp_json *old = path != NULL ? record_find(e->base->root, path, NULL, NULL) : NULL;
    struct ccp_span now = scopes_of(&e->a, old);
    if (path == NULL || scope.n == 0 || (now.p != NULL && ccp_span_eq(now, scope)))
        return;
    bool text = old != NULL && old->type == CCP_JSON_STRING;
    put(e, path, text ? json_quote(&e->a, scope) : as_list(&e->a, scope), false);
}

static void put_expiry(struct edits *e, const char *path, int64_t expires_at)
{
    int64_t old;
    if (path == NULL || expires_at <= 0 || expires_at > INT64_MAX / 1000)
        return;
    const struct ccp_json *at = record_find(e->base->root, path, NULL, NULL);
    if (at == NULL || !record_number(at, &old) || old / 1000 != expires_at)
        put(e, path, arena_printf(&e->a, "%lld", (long long)expires_at * 1000), true);
}

static void put_updated(struct edits *e, const char *path, int64_t when)
{
    struct tm tm;
    char date[40];
    time_t t = (time_t)when;
    if (path == NULL || e->n == 0 || when <= 0 || gmtime_r(&t, &tm) == NULL ||
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S.000000Z", &tm) == 0)
        return;
    put_text(e, path, ccp_span_z(date), false);
}

static void collect(struct edits *e, const struct record *r)
{
    const struct ccp_oauth_file *f = r->layout;
    put_text(e, f->access_token, r->access_token, true);
    put_text(e, f->refresh_token, r->refresh_token, true);
    put_text(e, f->id_token, r->id_token, false);
    put_scopes(e, f->scopes, r->scope);
    put_expiry(e, f->expires_ms, r->expires_at);
    put_text(e, f->plan, record_fact(r, "plan"), false);
    put_text(e, f->account_id, record_fact(r, "account_id"), false);
    put_updated(e, f->updated, r->obtained_at);
}

static bool apply(const struct edits *e, struct ccp_buf *out)
{
    struct ccp_span text = e->base->text;
    const char *at = text.p, *end = text.p + text.n;
    size_t n = text.n;
    for (size_t i = 0; i < e->n; i++)
        n += e->list[i].with.n;
    if (n > out->max - out->n)
        n = out->max - out->n;
    buf_reserve(out, n); /* at once: a buffer that grows leaves copies of tokens behind */
    for (size_t i = 0; i < e->n; i++) {
        buf_add(out, ccp_span_of(at, (size_t)(e->list[i].at - at)));
        buf_add(out, e->list[i].with);
        at = e->list[i].at + e->list[i].cut;
    }
    buf_add(out, ccp_span_of(at, (size_t)(end - at)));
    return !out->failed;
}

bool record_foreign_write(const struct record *r, const struct record *base, struct ccp_buf *out)
{
    struct edits e = {.base = base, .failed = CCP_FAULT("record.write")};
    arena_init_secret(&e.a, RECORD_BUDGET);
    collect(&e, r);
    bool ok = !e.failed && apply(&e, out);
    arena_end(&e.a);
    return ok;
}
