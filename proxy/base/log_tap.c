/*
 * The log's tap: somebody who sees each line while it is on its way to the sink.
 *
 * Called by the log thread only, under a lock that log_set_tap takes too: so whoever takes the tap away knows that no
 * call is under way. A tap that is slow makes the log slow, so it may not block.
 */
#include <base/clock.h>
#include <base/log_impl.h>

/* As global as the log itself. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*current)(void *self, const struct log_tapped *line);
static void *current_self;
static atomic_bool wanted;

void log_set_tap(void (*tap)(void *self, const struct log_tapped *line), void *self)
{
    pthread_mutex_lock(&lock);
    current = tap;
    current_self = self;
    pthread_mutex_unlock(&lock);
}

void log_tap_wanted(bool yes)
{
    atomic_store(&wanted, yes);
}

bool log_tap_is_wanted(void)
{
    return atomic_load_explicit(&wanted, memory_order_relaxed);
}

void log_tap_show(const struct log_mark *mark, const char *bytes)
{
    struct log_tapped line = {.level = (enum ccp_log_level)mark->level,
                              .who = {bytes + mark->who_at, mark->who_n},
                              .text = {bytes + mark->text_at, mark->text_n},
                              .json = mark->json,
                              .bulk = mark->bulk,
                              .unix_us = mark->unix_us != 0 ? mark->unix_us : clock_unix_us()};
    pthread_mutex_lock(&lock);
    if (current != NULL)
        current(current_self, &line);
    pthread_mutex_unlock(&lock);
}
