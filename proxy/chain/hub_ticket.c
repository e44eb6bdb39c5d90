/*
 * Tickets: ids of streams that were asked for and not yet opened, for clients that cannot send a header with a GET.
 *
 * An id is the right to open one stream with the filter it was made with, so it is compared in constant time, never
 * written down, and gone after its first use or five minutes, by whichever clock says so first.
 */
#include <base/clock.h>
#include <base/fault.h>
#include <base/secret.h>
#include <ccproxy/status.h>
#include <chain/hub_impl.h>

#include <sys/random.h>

struct ticket {
    struct ticket *next;
    char id[HUB_TICKET_CHARS];
    uint64_t expires_ms, expires_unix_us;
    struct watch_filter filter;
    struct watch_right right;
};

static void ticket_free(struct ticket *t)
{
    right_release(&t->right);
    secret_wipe(t, sizeof(*t));
    free(t);
}

static bool is_over(const struct ticket *t)
{
    return clock_ms() >= t->expires_ms || clock_unix_us() >= t->expires_unix_us;
}

/* Under the lock. */
static void drop_old(struct hub *h)
{
    for (struct ticket **at = &h->tickets; *at != NULL;) {
        struct ticket *t = *at;
        if (!is_over(t)) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        h->ticket_n--;
        ticket_free(t);
    }
}

/* 24 random bytes, six bits for each character. */
static bool draw(char id[HUB_TICKET_CHARS])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char raw[HUB_TICKET_CHARS / 4 * 3];
    if (CCP_FAULT("ticket.random") || getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return false;
    for (size_t i = 0; i < sizeof(raw); i += 3) {
        unsigned bits = (unsigned)raw[i] << 16 | (unsigned)raw[i + 1] << 8 | raw[i + 2];
        for (unsigned k = 0; k < 4; k++)
            *id++ = digits[bits >> (18 - 6 * k) & 63];
    }
    secret_wipe(raw, sizeof(raw));
    return true;
}

static struct ticket *ticket_new(const struct watch_filter *f)
{
    struct ticket *t = CCP_FAULT("ticket.new") ? NULL : calloc(1, sizeof(*t));
    if (t == NULL || draw(t->id)) {
        if (t != NULL)
            t->filter = *f;
        return t;
    }
    free(t);
    return NULL;
}

enum ccp_status ticket_make(struct hub *h, const struct watch_filter *f, struct watch_right right,
                            char id[HUB_TICKET_CHARS + 1], uint64_t *expires_unix_us)
{
    struct ticket *t = ticket_new(f);
    if (t == NULL)
        return CCP_OVERLOADED;
    t->expires_ms = clock_ms() + HUB_TICKET_MS;
    t->expires_unix_us = *expires_unix_us = clock_unix_us() + HUB_TICKET_MS * 1000ull;
    memcpy(id, t->id, HUB_TICKET_CHARS);
    id[HUB_TICKET_CHARS] = '\0';
    pthread_mutex_lock(&h->ticket_lock);
    drop_old(h);
    bool room = h->ticket_n < HUB_TICKETS_MAX;
    if (room) {
        t->right = right;
        t->next = h->tickets;
        h->tickets = t;
        h->ticket_n++;
    }
    pthread_mutex_unlock(&h->ticket_lock);
    if (!room)
        ticket_free(t);
    return room ? CCP_OK : CCP_RATE_LIMITED;
}

/* Looks at every byte of every ticket: the time does not tell which one was close. */
static struct ticket **find(struct hub *h, const char *id)
{
    struct ticket **found = NULL;
    for (struct ticket **at = &h->tickets; *at != NULL; at = &(*at)->next) {
        unsigned char differs = 0;
        for (size_t i = 0; i < HUB_TICKET_CHARS; i++)
            differs |= (unsigned char)((*at)->id[i] ^ id[i]);
        if (differs == 0)
            found = at;
    }
    return found;
}

bool ticket_take(struct hub *h, struct ccp_span id, struct ccp_span plugin, bool use, struct watch_filter *f,
                 struct watch_right *right)
{
    char padded[HUB_TICKET_CHARS] = {0};
    bool sound = id.n == HUB_TICKET_CHARS;
    if (sound)
        memcpy(padded, id.p, HUB_TICKET_CHARS);
    pthread_mutex_lock(&h->ticket_lock);
    drop_old(h);
    struct ticket **at = find(h, padded);
    struct ticket *t = sound && at != NULL ? *at : NULL;
    if (t != NULL && plugin.n != 0 && !ccp_span_is(plugin, t->filter.plugin))
        t = NULL;
    if (t != NULL) {
        *f = t->filter;
        right->token = t->right.token != NULL ? secret_ref(t->right.token) : NULL;
    }
    if (t != NULL && use) {
        *at = t->next;
        h->ticket_n--;
        ticket_free(t);
    }
    pthread_mutex_unlock(&h->ticket_lock);
    secret_wipe(padded, sizeof(padded));
    return t != NULL;
}

void tickets_free(struct hub *h)
{
    while (h->tickets != NULL) {
        struct ticket *t = h->tickets;
        h->tickets = t->next;
        ticket_free(t);
    }
    h->ticket_n = 0;
}
