/*
 * Our own layout: version 1 of the object that record.h shows.
 *
 * It is read strictly and written anew each time: the members of the table in its order, then everything else byte for
 * byte as it was read, also inside "facts" and "session", so that what a later version or a person added stays.
 */
#include <auth/record_impl.h>
#include <base/fault.h>

enum kind { TEXT, TOKEN, SECONDS, COUNT, LASTS, VERSION, ORIGINS, FACTS, SESSION };

struct row {
    const char *name;
    size_t offset;
    enum kind kind;
};

#define AT(member) offsetof(struct record, member)

static const struct row rows[] = {
    {"version", 0, VERSION},
    {"provider", AT(provider), TEXT},
    {"account", AT(account), TEXT},
    {"generation", AT(generation), COUNT},
    {"access_token", AT(access_token), TOKEN},
    {"refresh_token", AT(refresh_token), TOKEN},
    {"id_token", AT(id_token), TOKEN},
    {"token_type", AT(token_type), TEXT},
    {"scope", AT(scope), TEXT},
    {"obtained_at", AT(obtained_at), SECONDS},
    {"expires_in", 0, LASTS},
    {"expires_at", AT(expires_at), SECONDS},
    {"token_url", AT(token_url), TEXT},
    {"client_id", AT(client_id), TEXT},
    {"origins", 0, ORIGINS},
    {"facts", 0, FACTS},
    {"session", 0, SESSION},
};

static const struct row session_rows[] = {
    {"token", AT(session_token), TOKEN},
    {"obtained_at", AT(session_obtained_at), SECONDS},
    {"expires_at", AT(session_expires_at), SECONDS},
    {"refresh_at", AT(session_refresh_at), SECONDS},
};

#define ROWS(table) (table), sizeof(table) / sizeof((table)[0])

/* ---- reading ---- */

static const char *read_rows(struct record *r, const struct ccp_json *object, const struct row *table, size_t n);

static const char *read_version(const struct ccp_json *value)
{
    int64_t version;
    if (value == NULL || !record_number(value, &version) || version < 1)
        return "it does not say which version of a login it is";
    return version > RECORD_VERSION ? "a newer version of ccproxy wrote it" : NULL;
}

static const char *read_origins(struct record *r, const struct ccp_json *value)
{
    if (value->type != CCP_JSON_ARRAY || value->count > RECORD_ORIGINS)
        return "\"origins\" is not a short list";
    for (const struct ccp_json *o = value->child; o != NULL; o = o->next)
        if (o->type != CCP_JSON_STRING || !record_string(&r->arena, o, &r->origins[r->origin_count++]))
            return "\"origins\" holds something else than text";
    return NULL;
}

/* Facts are for people: what is not plain text stays in the file and is not shown. */
static const char *read_facts(struct record *r, const struct ccp_json *value)
{
    if (value->type != CCP_JSON_OBJECT)
        return "\"facts\" is not an object";
    for (const struct ccp_json *f = value->child; f != NULL; f = f->next) {
        struct ccp_span text;
        if (f->key_escaped || f->type != CCP_JSON_STRING)
            continue;
        if (!record_string(&r->arena, f, &text))
            return RECORD_NO_MEMORY;
        record_put_fact(r, f->key, text);
    }
    return NULL;
}

static const char *read_token(struct record *r, const struct ccp_json *value, struct ccp_span *to)
{
    if (!record_string(&r->arena, value, to))
        return to->p == NULL ? RECORD_NO_MEMORY : "a token in it is not text";
    return to->n == 0 || record_token_ok(*to) ? NULL : "a token in it has characters or a length that no token has";
}

static const char *read_row(struct record *r, const struct row *row, const struct ccp_json *value)
{
    void *to = (char *)r + row->offset;
    int64_t number;
    if (row->kind == VERSION)
        return read_version(value);
    if (value == NULL || value->type == CCP_JSON_NULL)
        return NULL;
    switch (row->kind) {
    case TOKEN:
        return read_token(r, value, to);
    case TEXT:
        return record_string(&r->arena, value, to) ? NULL : "a member of it that should be text is not";
    case ORIGINS:
        return read_origins(r, value);
    case FACTS:
        return read_facts(r, value);
    case SESSION:
        return value->type == CCP_JSON_OBJECT ? read_rows(r, value, ROWS(session_rows)) : "\"session\" is no object";
    default:
        break;
    }
    if (!record_number(value, &number))
        return "a member of it that should be a whole number is not";
    if (row->kind == COUNT)
        *(uint64_t *)to = (uint64_t)number;
    else if (row->kind == SECONDS)
        *(int64_t *)to = number;
    return NULL;
}

static const char *read_rows(struct record *r, const struct ccp_json *object, const struct row *table, size_t n)
{
    const char *why = NULL;
    for (size_t i = 0; i < n && why == NULL; i++)
        why = read_row(r, &table[i], ccp_json_get(object, table[i].name));
    return why;
}

const char *record_own_read(struct record *r)
{
    const char *why = read_rows(r, r->root, ROWS(rows));
    return why != NULL ? why : r->access_token.n == 0 ? "it holds no access token" : NULL;
}

/* ---- writing ---- */

struct writer {
    const struct record *r;
    struct ccp_buf *out;
    bool comma;
};

static void name_it(struct writer *w, struct ccp_span raw_key)
{
    buf_addz(w->out, w->comma ? ",\"" : "\"");
    buf_add(w->out, raw_key);
    buf_addz(w->out, "\":");
    w->comma = true;
}

static void write_text(struct writer *w, const char *name, struct ccp_span text)
{
    if (text.n == 0)
        return;
    name_it(w, ccp_span_z(name));
    json_quote_to(w->out, text);
}

static void write_number(struct writer *w, const char *name, uint64_t value)
{
    char digits[20];
    name_it(w, ccp_span_z(name));
    buf_add(w->out, ccp_span_of(digits, ccp_digits(digits, value, 1)));
}

static void open_object(struct writer *w, const char *name)
{
    name_it(w, ccp_span_z(name));
    buf_addz(w->out, "{");
    w->comma = false;
}

static void close_object(struct writer *w)
{
    buf_addz(w->out, "}");
    w->comma = true;
}

static bool in_table(const struct ccp_json *member, const struct row *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ccp_span_is(member->key, table[i].name))
            return true;
    return false;
}

/* What the table does not name, as it was read. */
static void write_others(struct writer *w, const struct ccp_json *object, const struct row *table, size_t n)
{
    for (const struct ccp_json *m = object != NULL ? object->child : NULL; m != NULL; m = m->next)
        if (!in_table(m, table, n)) {
            name_it(w, m->key);
            buf_add(w->out, m->raw);
        }
}

static void write_origins(struct writer *w)
{
    name_it(w, CCP_SPAN("origins"));
    for (size_t i = 0; i < w->r->origin_count; i++) {
        buf_addz(w->out, i == 0 ? "[" : ",");
        json_quote_to(w->out, w->r->origins[i]);
    }
    buf_addz(w->out, w->r->origin_count == 0 ? "[]" : "]");
}

static bool is_fact(const struct record *r, const struct ccp_json *member)
{
    for (size_t i = 0; i < r->fact_count; i++)
        if (ccp_span_eq(r->facts[i].name, member->key))
            return true;
    return false;
}

static void write_facts(struct writer *w)
{
    const struct ccp_json *old = ccp_json_get(w->r->root, "facts");
    if (w->r->fact_count == 0 && old == NULL)
        return;
    open_object(w, "facts");
    for (size_t i = 0; i < w->r->fact_count; i++) {
        buf_addz(w->out, w->comma ? "," : "");
        json_quote_to(w->out, w->r->facts[i].name);
        buf_addz(w->out, ":");
        json_quote_to(w->out, w->r->facts[i].value);
        w->comma = true;
    }
    for (const struct ccp_json *m = old != NULL ? old->child : NULL; m != NULL; m = m->next)
        if (!is_fact(w->r, m)) {
            name_it(w, m->key);
            buf_add(w->out, m->raw);
        }
    close_object(w);
}

static void write_rows(struct writer *w, const struct ccp_json *object, const struct row *table, size_t n);

static void write_row(struct writer *w, const struct row *row)
{
    const struct record *r = w->r;
    const void *from = (const char *)r + row->offset;
    const struct ccp_json *session = row->kind == SESSION ? ccp_json_get(r->root, "session") : NULL;
    if (row->kind == TEXT || row->kind == TOKEN)
        write_text(w, row->name, *(const struct ccp_span *)from);
    else if (row->kind == VERSION)
        write_number(w, row->name, RECORD_VERSION);
    else if (row->kind == COUNT)
        write_number(w, row->name, *(const uint64_t *)from);
    else if (row->kind == SECONDS && *(const int64_t *)from != 0)
        write_number(w, row->name, (uint64_t) * (const int64_t *)from);
    else if (row->kind == LASTS && r->obtained_at != 0 && r->expires_at > r->obtained_at)
        write_number(w, row->name, (uint64_t)(r->expires_at - r->obtained_at));
    else if (row->kind == ORIGINS)
        write_origins(w);
    else if (row->kind == FACTS)
        write_facts(w);
    else if (row->kind == SESSION && (r->session_token.n != 0 || session != NULL)) {
        open_object(w, row->name);
        write_rows(w, session, ROWS(session_rows));
        close_object(w);
    }
}

static void write_rows(struct writer *w, const struct ccp_json *object, const struct row *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        write_row(w, &table[i]);
    write_others(w, object, table, n);
}

/* Room for all of it at once: a buffer that grows leaves copies of tokens behind. */
static size_t most(const struct record *r)
{
    size_t n = r->root->raw.n + 4096;
    n += 2 * (r->access_token.n + r->refresh_token.n + r->id_token.n + r->session_token.n);
    n += 6 * (r->provider.n + r->account.n + r->token_type.n + r->scope.n + r->token_url.n + r->client_id.n);
    for (size_t i = 0; i < r->origin_count; i++)
        n += 6 * r->origins[i].n;
    for (size_t i = 0; i < r->fact_count; i++)
        n += 6 * (r->facts[i].name.n + r->facts[i].value.n);
    return n;
}

bool record_own_write(const struct record *r, struct ccp_buf *out)
{
    struct writer w = {.r = r, .out = out};
    size_t room = most(r), left = out->max - out->n;
    if (CCP_FAULT("record.write") || !buf_reserve(out, room < left ? room : left))
        return false;
    buf_addz(out, "{");
    write_rows(&w, r->root, ROWS(rows));
    buf_addz(out, "}\n");
    return !out->failed;
}
