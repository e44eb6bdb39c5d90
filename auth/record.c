/*
 * Records as a whole: their life, their changes, and the questions one may ask. The texts of both layouts are read and
 * written in record_own.c and record_foreign.c.
 *
 * The views of struct record are the truth; `root` is kept for the members that no view covers. Everything lives in
 * the record's own arena, which is wiped.
 */
#include <auth/protocol.h>
#include <auth/record_impl.h>
#include <base/fault.h>
#include <base/secret.h>

#include <openssl/evp.h>

void record_init(struct record *r)
{
    *r = (struct record){.layout = NULL};
    arena_init_secret(&r->arena, RECORD_BUDGET);
}

void record_release(struct record *r)
{
    arena_end(&r->arena);
    secret_wipe(r, sizeof(*r)); /* a session of a foreign record, hashes: nothing stays, and spans point nowhere */
    record_init(r);
}

static bool keep(struct record *r, struct ccp_span *to, struct ccp_span text)
{
    *to = CCP_FAULT("record.keep") ? (struct ccp_span){NULL, 0} : arena_dup(&r->arena, text);
    return to->p != NULL;
}

bool record_new(struct record *r, struct ccp_span provider, struct ccp_span account)
{
    record_init(r);
    if (keep(r, &r->text, CCP_SPAN("{}")) && json_parse(&r->arena, r->text, &r->root, NULL) == CCP_OK &&
        keep(r, &r->provider, provider) && keep(r, &r->account, account))
        return true;
    record_release(r);
    return false;
}

static const char *read_text(struct record *r, struct ccp_span text)
{
    struct ccp_json_error error = {.what = NULL};
    if (text.n > RECORD_MAX)
        return "it is larger than a login can be";
    if (!keep(r, &r->text, text))
        return RECORD_NO_MEMORY;
    switch (json_parse(&r->arena, r->text, &r->root, &error)) {
    case CCP_OK:
        break;
    case CCP_BAD_JSON:
        return error.what != NULL && strstr(error.what, "twice") != NULL ? "it holds a member twice" : "it is not JSON";
    default:
        return RECORD_NO_MEMORY;
    }
    if (r->root->type != CCP_JSON_OBJECT)
        return "it is JSON, but not an object";
    return r->layout != NULL ? record_foreign_read(r) : record_own_read(r);
}

const char *record_parse(struct record *r, const struct ccp_oauth_file *layout, struct ccp_span text)
{
    record_init(r);
    r->layout = layout;
    const char *why = read_text(r, text);
    if (why != NULL)
        record_release(r);
    return why;
}

bool record_write(const struct record *r, struct ccp_buf *out)
{
    return r->layout != NULL ? record_foreign_write(r, r, out) : record_own_write(r, out);
}

bool record_copy(struct record *to, const struct record *from)
{
    struct ccp_buf text;
    buf_init(&text, SIZE_MAX / 2);
    record_init(to);
    to->layout = from->layout;
    bool ok = record_write(from, &text) && keep(to, &to->text, buf_span(&text)) &&
              json_parse(&to->arena, to->text, &to->root, NULL) == CCP_OK;
    if (ok) {
        const char *why = to->layout != NULL ? record_foreign_read(to) : record_own_read(to);
        ok = why == NULL || from->access_token.n == 0; /* a new one may be copied before it has a token */
    }
    if (ok)
        ok = keep(to, &to->provider, from->provider) && keep(to, &to->account, from->account);
    if (ok && from->session_token.n != 0)
        ok = keep(to, &to->session_token, from->session_token);
    if (ok) {
        to->obtained_at = from->obtained_at;
        to->session_obtained_at = from->session_obtained_at;
        to->session_expires_at = from->session_expires_at;
        to->session_refresh_at = from->session_refresh_at;
    } else {
        record_release(to);
    }
    secret_wipe(text.p, text.cap);
    buf_release(&text);
    return ok;
}

bool record_put_fact(struct record *r, struct ccp_span name, struct ccp_span value)
{
    for (size_t i = 0; i < r->fact_count; i++)
        if (ccp_span_eq(r->facts[i].name, name)) {
            r->facts[i].value = value;
            return true;
        }
    if (r->fact_count == RECORD_FACTS)
        return false;
    r->facts[r->fact_count++] = (struct record_fact){name, value};
    return true;
}

static bool set_facts(struct record *r, const struct record_token *t)
{
    for (size_t i = 0; i < t->fact_count; i++) {
        struct ccp_span name, value;
        if (!keep(r, &name, t->facts[i].name) || !keep(r, &value, t->facts[i].value))
            return false;
        record_put_fact(r, name, value); /* what has no room is left out: facts are for people */
    }
    return true;
}

/* A new login: nothing of the old account may be said of the new one. */
static void forget(struct record *r)
{
    struct ccp_span none = {"", 0};
    r->refresh_token = r->id_token = r->token_type = r->scope = r->session_token = none;
    r->session_obtained_at = r->session_expires_at = r->session_refresh_at = 0;
    r->fact_count = 0;
    if (r->layout == NULL) {
        json_remove(r->root, "facts");
        json_remove(r->root, "session");
    }
}

static int64_t expiry(const struct record_token *t)
{
    int64_t exp;
    if (t->expires_in > 0)
        return t->expires_in > INT64_MAX - t->obtained_at ? INT64_MAX : t->obtained_at + t->expires_in;
    return jwt_expiry(t->access_token, &exp) && exp > 0 ? exp : 0;
}

bool record_set_token(struct record *r, const struct record_token *t, bool fresh)
{
    if (!record_token_ok(t->access_token) || (t->refresh_token.n != 0 && !record_token_ok(t->refresh_token)) ||
        t->obtained_at < 0)
        return false;
    if (fresh)
        forget(r);
    if (!keep(r, &r->access_token, t->access_token) ||
        (t->refresh_token.n != 0 && !keep(r, &r->refresh_token, t->refresh_token)) ||
        (t->id_token.n != 0 && !keep(r, &r->id_token, t->id_token)) ||
        (t->token_type.n != 0 && !keep(r, &r->token_type, t->token_type)) ||
        (t->scope.n != 0 && !keep(r, &r->scope, t->scope)) || !set_facts(r, t))
        return false;
    r->obtained_at = t->obtained_at;
    r->expires_at = expiry(t);
    r->generation += r->layout == NULL;
    return true;
}

bool record_set_session(struct record *r, const struct ccp_oauth_session *s, int64_t now)
{
    if (!record_token_ok(s->token) || s->expires_at < 0 || now < 0 || !keep(r, &r->session_token, s->token))
        return false;
    r->session_obtained_at = now;
    r->session_expires_at = s->expires_at;
    r->session_refresh_at = s->refresh_in > 0 && s->refresh_in <= INT64_MAX - now ? now + s->refresh_in : 0;
    return true;
}

bool record_set_source(struct record *r, struct ccp_span token_url, struct ccp_span client_id,
                       const struct ccp_span *origins, size_t n)
{
    if (n > RECORD_ORIGINS || !keep(r, &r->token_url, token_url) || !keep(r, &r->client_id, client_id))
        return false;
    r->origin_count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!keep(r, &r->origins[i], origins[i]))
            return false;
        r->origin_count++;
    }
    return true;
}

struct ccp_span record_fact(const struct record *r, const char *name)
{
    for (size_t i = 0; i < r->fact_count; i++)
        if (ccp_span_is(r->facts[i].name, name))
            return r->facts[i].value;
    return CCP_SPAN("");
}

bool record_may_go_to(const struct record *r, struct ccp_span origin)
{
    if (r->layout != NULL)
        return true;
    for (size_t i = 0; i < r->origin_count; i++)
        if (origin.n != 0 && ccp_span_eq(r->origins[i], origin))
            return true;
    return false;
}

struct ccp_span record_bearer(const struct record *r, bool session, int64_t *expires_at)
{
    *expires_at = session ? r->session_expires_at : r->expires_at;
    return session ? r->session_token : r->access_token;
}

void record_refresh_hash(const struct record *r, char out[65])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    unsigned n = 0;
    /* A failure gives 64 zeros: they equal no token's hash, so an intent that holds them is nobody's. */
    if (EVP_Digest(r->refresh_token.p, r->refresh_token.n, digest, &n, EVP_sha256(), NULL) != 1)
        memset(digest, 0, sizeof(digest));
    for (size_t i = 0; i < 32; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[64] = '\0';
}
