/*
 * The two small files beside a record: the intent, written before a refresh token is used, and the state, which says
 * that a login is needed.
 *
 * Both name the generation and the token (by its hash) that they speak of; for any other they count as absent, so
 * that removing them late or never does no harm. They hold no secrets.
 */
#include <auth/refresh_impl.h>

#include <base/buf.h>
#include <stdlib.h>

enum { NOTE_MAX = 4096 };

void refresh_hash(const struct record *record, char out[65])
{
    struct record named = *record; /* shares everything, owns nothing */
    if (named.refresh_token.n == 0)
        named.refresh_token = named.access_token;
    record_refresh_hash(&named, out);
}

static int64_t number(const struct ccp_json *root, const char *key)
{
    const struct ccp_json *v = ccp_json_get(root, key);
    char digits[24];
    if (v == NULL || v->type != CCP_JSON_NUMBER || v->raw.n >= sizeof(digits))
        return 0;
    memcpy(digits, v->raw.p, v->raw.n);
    digits[v->raw.n] = '\0';
    return strtoll(digits, NULL, 10);
}

static void text(struct arena *a, const struct ccp_json *root, const char *key, char *out, size_t max)
{
    const struct ccp_json *v = ccp_json_get(root, key);
    struct ccp_span s = v != NULL ? json_text(a, v->raw) : (struct ccp_span){NULL, 0};
    size_t n = s.p == NULL ? 0 : s.n < max ? s.n : max - 1;
    if (n != 0)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

static struct refresh_note parse(struct ccp_span content)
{
    struct refresh_note note = {0};
    struct ccp_json *root;
    struct arena a;
    arena_init(&a, NULL, 64 * 1024);
    if (json_parse(&a, content, &root, NULL) == CCP_OK && root->type == CCP_JSON_OBJECT) {
        note.found = true;
        note.generation = (uint64_t)number(root, "generation");
        note.at = number(root, "at");
        note.sent = number(root, "sent");
        text(&a, root, "refresh_hash", note.hash, sizeof(note.hash));
        text(&a, root, "reason", note.reason, sizeof(note.reason));
    }
    arena_end(&a);
    return note;
}

static enum store_status read_note(struct store *s, const struct store_place *at, enum store_note kind,
                                   struct refresh_note *note)
{
    struct store_error e = {0};
    struct ccp_buf content;
    buf_init(&content, NOTE_MAX);
    *note = (struct refresh_note){0};
    enum store_status status = store_note_read(s, at, kind, &content, &e);
    if (status == STORE_OK)
        *note = parse(buf_span(&content));
    buf_release(&content);
    return status;
}

struct refresh_note refresh_note_read(const struct refresh_try *r, enum store_note kind)
{
    struct refresh_note note = {.found = false};
    read_note(r->job->store, &r->job->place, kind, &note);
    note.found = note.found && note.generation == r->stored.generation && strcmp(note.hash, r->hash) == 0;
    return note;
}

bool refresh_note_write(struct refresh_try *r, enum store_note kind, const struct refresh_note *note)
{
    struct store_error e = {.status = STORE_IO, .text = "no memory"};
    struct ccp_buf out;
    buf_init(&out, NOTE_MAX);
    buf_printf(&out, "{\"generation\":%llu,\"refresh_hash\":\"%s\",\"at\":%lld", (unsigned long long)note->generation,
               note->hash, (long long)note->at);
    if (kind == STORE_INTENT)
        buf_printf(&out, ",\"sent\":%lld", (long long)note->sent);
    else if (buf_addz(&out, ",\"reason\":"))
        json_quote_to(&out, ccp_span_z(note->reason));
    buf_addz(&out, "}\n");
    if (!out.failed)
        e.status = store_note_write(r->job->store, &r->lock, kind, buf_span(&out), &e);
    buf_release(&out);
    return e.status == STORE_OK || refresh_store_failed(r, &e);
}

bool refresh_state_read(struct store *s, const struct store_place *at, uint64_t generation, struct refresh_state *out)
{
    struct refresh_note note;
    *out = (struct refresh_state){0};
    enum store_status status = read_note(s, at, STORE_STATE, &note);
    if (!note.found || note.generation != generation)
        return status == STORE_OK || status == STORE_MISSING;
    /* Rare from here on. The generation is not enough: a vendor's file has none, and a login that was removed and made
     * anew counts from the beginning. */
    struct store_error e = {0};
    struct record record;
    char hash[65];
    record_init(&record);
    status = store_read(s, at, &record, &e);
    if (status == STORE_OK) {
        refresh_hash(&record, hash);
        out->needs_login = record.generation == generation && strcmp(hash, note.hash) == 0;
        out->at = note.at;
        memcpy(out->reason, note.reason, sizeof(out->reason));
    }
    record_release(&record);
    return status == STORE_OK || status == STORE_MISSING;
}
