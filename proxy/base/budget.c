/*
 * The memory budget's count; see budget.h. Where its limit comes from when nobody set one: budget_limit.c.
 */
#include <base/budget.h>

#include <base/memory.h>

#include <stdatomic.h>

/* Memory belongs to the process, and so do these. Relaxed throughout: they order nothing, they only count. */
static atomic_llong used;
static atomic_llong peak;
static atomic_ullong limit = UINT64_MAX, high = UINT64_MAX, full = UINT64_MAX;
static atomic_flag based = ATOMIC_FLAG_INIT;
static atomic_ullong base;
/* What this thread took (or gave back, if negative) and has not told yet. */
static __thread long long pending;

static void publish(void)
{
    long long now = atomic_fetch_add_explicit(&used, pending, memory_order_relaxed) + pending;
    pending = 0;
    long long seen = atomic_load_explicit(&peak, memory_order_relaxed);
    while (now > seen &&
           !atomic_compare_exchange_weak_explicit(&peak, &seen, now, memory_order_relaxed, memory_order_relaxed))
        ;
}

void budget_take(size_t n)
{
    pending += (long long)n;
    if (pending >= BUDGET_BATCH)
        publish();
}

void budget_give(size_t n)
{
    pending -= (long long)n;
    if (pending <= -BUDGET_BATCH)
        publish();
}

uint64_t budget_used(void)
{
    long long n = atomic_load_explicit(&used, memory_order_relaxed) + pending;
    return n > 0 ? (uint64_t)n : 0;
}

uint64_t budget_limit(void)
{
    return atomic_load_explicit(&limit, memory_order_relaxed);
}

enum budget_level budget_level(size_t more)
{
    uint64_t n = budget_used();
    if (n >= atomic_load_explicit(&full, memory_order_relaxed) ||
        more > atomic_load_explicit(&full, memory_order_relaxed) - n)
        return BUDGET_FULL;
    return n + more >= atomic_load_explicit(&high, memory_order_relaxed) ? BUDGET_HIGH : BUDGET_FREE;
}

uint64_t budget_peak(void)
{
    long long n = atomic_load_explicit(&peak, memory_order_relaxed);
    return n > 0 ? (uint64_t)n : 0;
}

bool budget_fallen(uint64_t least)
{
    long long top = atomic_load_explicit(&peak, memory_order_relaxed), now = (long long)budget_used();
    long long bottom = (long long)atomic_load_explicit(&base, memory_order_relaxed);
    if (top - now < (long long)least || now - bottom > (top - bottom) / 2)
        return false;
    return atomic_compare_exchange_strong(&peak, &top, now);
}

static uint64_t percent(uint64_t n, unsigned part)
{
    return n / 100 * part;
}

uint64_t budget_set_limit(uint64_t bytes)
{
    if (!atomic_flag_test_and_set(&based)) {
        atomic_store(&base, memory_resident());
        budget_take((size_t)atomic_load(&base));
    }
    if (bytes == 0)
        bytes = budget_automatic();
    if (bytes < atomic_load(&base) + BUDGET_ROOM_MIN)
        bytes = atomic_load(&base) + BUDGET_ROOM_MIN;
    atomic_store(&limit, bytes);
    atomic_store(&high, percent(bytes, BUDGET_HIGH_PERCENT));
    atomic_store(&full, percent(bytes, BUDGET_FULL_PERCENT));
    return bytes;
}
