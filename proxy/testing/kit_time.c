/*
 * The clock of a test: the system's, and what the test added to it. It goes on by itself because threads of the
 * executor wait for real time; what is exact are the steps that the test takes.
 */
#include <testing/kit_impl.h>

#include <base/clock.h>

#include <stdatomic.h>
#include <time.h>

#define FIRST_UNIX_US 1767225600000000u /* 2026-01-01T00:00:00Z */

/* The process has one clock; one test is open at a time. */
static atomic_uint_least64_t added_us, began_us;

uint64_t kit_real_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t mono_us(void)
{
    return kit_real_us() + atomic_load(&added_us);
}

static uint64_t unix_us(void)
{
    return FIRST_UNIX_US + mono_us() - atomic_load(&began_us);
}

void kit_clock_resume(void)
{
    clock_replace(mono_us, unix_us);
}

void kit_clock_start(void)
{
    atomic_store(&began_us, mono_us());
    kit_clock_resume();
}

void kit_clock_stop(void)
{
    clock_replace(NULL, NULL);
    atomic_store(&added_us, 0);
}

void kit_clock_add(uint64_t us)
{
    atomic_fetch_add(&added_us, us);
}
