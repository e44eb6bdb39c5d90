/*
 * Records of any bytes, in our own layout, in the layouts of three vendors, and sealed: what is accepted is written to
 * a text that is accepted again with the same login in it, before and after new tokens; members that are not ours are
 * there byte for byte; and nothing that was not sealed with the key is opened.
 *
 * The first byte chooses the layout.
 */
#include "fuzz.h"

#include <auth/record_impl.h>
#include <auth/seal_impl.h>
#include <base/buf.h>
#include <unistd.h>

static const struct ccp_oauth_file layouts[] = {
    {.owner = "a",
     .access_token = "claudeAiOauth.accessToken",
     .refresh_token = "claudeAiOauth.refreshToken",
     .scopes = "claudeAiOauth.scopes",
     .expires_ms = "claudeAiOauth.expiresAt",
     .plan = "claudeAiOauth.subscriptionType"},
    {.owner = "b",
     .access_token = "tokens.access_token",
     .refresh_token = "tokens.refresh_token",
     .id_token = "tokens.id_token",
     .updated = "last_refresh",
     .account_id = "tokens.account_id"},
    {.owner = "c",
     .access_token = "access_token",
     .refresh_token = "refresh_token",
     .id_token = "id_token",
     .scopes = "scope",
     .expires_ms = "expiry_date"},
};
static struct seal *seal;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[] = "/tmp/ccp-fuzz-key-XXXXXX";
    struct store_error e;
    int fd = mkstemp(path);
    MUST(fd >= 0 && write(fd, "0123456789abcdef0123456789abcdef", 32) == 32);
    close(fd);
    seal = seal_open_key(path, &e);
    unlink(path);
    MUST(seal != NULL);
    return 0;
}

static struct ccp_buf text_of(const struct record *r)
{
    struct ccp_buf out;
    buf_init(&out, 8 * RECORD_MAX);
    MUST(record_write(r, &out));
    return out;
}

/* A vendor's file says nothing of sessions and origins, and keeps what a new login would forget. */
static void same_login(const struct record *a, const struct record *b)
{
    MUST(ccp_span_eq(a->access_token, b->access_token) && ccp_span_eq(a->refresh_token, b->refresh_token));
    if (a->layout != NULL)
        return;
    MUST(ccp_span_eq(a->scope, b->scope) && ccp_span_eq(a->session_token, b->session_token));
    MUST(a->generation == b->generation && a->expires_at == b->expires_at);
    MUST(a->session_expires_at == b->session_expires_at && a->session_refresh_at == b->session_refresh_at);
    MUST(a->fact_count == b->fact_count && a->origin_count == b->origin_count);
}

static void members_stay(const struct ccp_json *before, const struct ccp_json *after, const char *skip)
{
    for (const struct ccp_json *m = before->child; m != NULL; m = m->next) {
        if (strncmp(m->key.p, skip, strlen(skip)) != 0)
            continue;
        const struct ccp_json *n = after->child;
        while (n != NULL && !(ccp_span_eq(m->key, n->key) && ccp_span_eq(m->raw, n->raw)))
            n = n->next;
        MUST(n != NULL);
    }
}

static void round_trip(const struct record *r, struct ccp_buf *text)
{
    struct record again;
    *text = text_of(r);
    if (text->n > RECORD_MAX) /* quoting may need more room than the text that was read */
        return;
    MUST(record_parse(&again, r->layout, buf_span(text)) == NULL);
    same_login(r, &again);
    members_stay(r->root, again.root, "x");
    struct ccp_buf twice = text_of(&again);
    MUST(ccp_span_eq(buf_span(text), buf_span(&twice)));
    buf_release(&twice);
    record_release(&again);
}

static void change(const struct ccp_oauth_file *layout, struct ccp_span input)
{
    struct record r;
    struct ccp_buf before, after;
    if (record_parse(&r, layout, input) != NULL) {
        MUST(r.arena.chunks == NULL && r.access_token.n == 0);
        return;
    }
    MUST(record_token_ok(r.access_token));
    round_trip(&r, &before);
    if (layout != NULL)
        MUST(ccp_span_eq(buf_span(&before), input));
    struct record_token t = {.access_token = CCP_SPAN("new-access"),
                             .refresh_token = CCP_SPAN("new-refresh"),
                             .scope = CCP_SPAN("a b"),
                             .obtained_at = 1760000000,
                             .expires_in = 60};
    MUST(record_set_token(&r, &t, input.n % 2 != 0));
    buf_init(&after, 8 * RECORD_MAX);
    if (record_write(&r, &after)) { /* a vendor's file may have no place for the refresh token */
        buf_release(&after);
        round_trip(&r, &after);
        MUST(memmem(after.p, after.n, "new-access", 10) != NULL && memmem(after.p, after.n, "new-refresh", 11) != NULL);
    } else {
        MUST(layout != NULL);
    }
    buf_release(&after);
    buf_release(&before);
    record_release(&r);
}

static void sealed(struct ccp_span input)
{
    struct ccp_buf text, plain;
    buf_init(&plain, RECORD_MAX + 1);
    MUST(seal_open(seal, CCP_SPAN("p.a"), input, &plain) != SEAL_OPENED && plain.n == 0);
    buf_init(&text, 4 * RECORD_MAX);
    MUST(seal_close(seal, CCP_SPAN("p.a"), input, &text) && seal_is_sealed(buf_span(&text)));
    MUST(seal_open(seal, CCP_SPAN("p.b"), buf_span(&text), &plain) == SEAL_REFUSED);
    MUST(seal_open(seal, CCP_SPAN("p.a"), buf_span(&text), &plain) == SEAL_OPENED);
    MUST(ccp_span_eq(buf_span(&plain), input));
    buf_release(&text);
    buf_release(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct ccp_span input = {(const char *)data + 1, size - 1};
    unsigned choice = data[0] % 5;
    if (choice == 4)
        sealed(input);
    else
        change(choice == 3 ? NULL : &layouts[choice], input);
    return 0;
}
