/*
 * At most LOG_KIND_LINES lines of one kind in a second: an attacker who can make one line per packet must neither
 * fill the disk nor push everything else out of the rings.
 *
 * A kind is an area and the text its message is made from ("http", "accept: %s"), never a byte that came from
 * outside: strangers cannot make kinds. Workers only count, with atomics and without a lock; the log thread asks
 * once a second what was held back and writes one line for each kind (log_sink.c). Kinds are never forgotten; when
 * the table is full, further ones share its first place.
 */
#include <base/log_impl.h>

#define KINDS  256 /* the core has some forty */
#define PROBES 16

struct kind {
    atomic_ullong id;     /* hash of area and text, 0 = free */
    atomic_bool named;    /* who and what may be read */
    atomic_ullong window; /* second << 32 | lines asked for in it */
    atomic_ullong missed; /* held back and not reported yet */
    char who[32], what[96];
};

/* One table for the process, like the log itself; zero is its initial state. */
static struct kind kinds[KINDS];
static atomic_bool pending;

static uint64_t hash(struct ccp_span s, uint64_t h)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return h;
}

static void name(struct kind *k, struct ccp_span who, struct ccp_span what)
{
    snprintf(k->who, sizeof(k->who), "%.*s", CCP_FMT(who));
    snprintf(k->what, sizeof(k->what), "%.*s", CCP_FMT(what));
    atomic_store_explicit(&k->named, true, memory_order_release);
}

static struct kind *find(struct ccp_span who, struct ccp_span what)
{
    uint64_t id = hash(what, hash(CCP_SPAN("\n"), hash(who, 0xcbf29ce484222325u)));
    id += id == 0;
    for (size_t i = 0; i < PROBES; i++) {
        struct kind *k = &kinds[1 + (id + i) % (KINDS - 1)];
        unsigned long long seen = atomic_load_explicit(&k->id, memory_order_relaxed);
        if (seen == 0 && atomic_compare_exchange_strong(&k->id, &seen, id)) {
            name(k, who, what);
            return k;
        }
        if (seen == id)
            return k;
    }
    return &kinds[0];
}

bool log_limit_pass(struct ccp_span who, struct ccp_span what, uint64_t second)
{
    struct kind *k = find(who, what);
    unsigned long long old = atomic_load_explicit(&k->window, memory_order_relaxed), now;
    do
        now = old >> 32 == (uint32_t)second ? old + ((uint32_t)old != UINT32_MAX) : (second & UINT32_MAX) << 32 | 1;
    while (!atomic_compare_exchange_weak_explicit(&k->window, &old, now, memory_order_relaxed, memory_order_relaxed));
    if ((uint32_t)now <= LOG_KIND_LINES)
        return true;
    atomic_fetch_add_explicit(&k->missed, 1, memory_order_relaxed);
    if (!atomic_exchange(&pending, true))
        log_wake(); /* it has to come back for the summary although no line does */
    return false;
}

bool log_limit_pending(void)
{
    return atomic_load(&pending);
}

size_t log_limit_report(char *out, size_t max, uint64_t second)
{
    size_t n = 0;
    atomic_store(&pending, false);
    for (size_t i = 0; i < KINDS && max - n >= LOG_LINE_MAX; i++) {
        struct kind *k = &kinds[i];
        bool named = i == 0 || atomic_load_explicit(&k->named, memory_order_acquire);
        if (!named || atomic_load_explicit(&k->missed, memory_order_relaxed) == 0)
            continue;
        if (atomic_load_explicit(&k->window, memory_order_relaxed) >> 32 == (uint32_t)second) {
            atomic_store(&pending, true); /* its second is not over */
            continue;
        }
        char text[200];
        unsigned long long missed = atomic_exchange(&k->missed, 0);
        snprintf(text, sizeof(text), "%llu more lines like \"%s\" were not written", missed,
                 i == 0 ? "(several)" : k->what);
        n += log_format(out + n, max - n, CCP_LOG_WARN, i == 0 ? "log" : k->who, ccp_span_z(text));
    }
    return n;
}
