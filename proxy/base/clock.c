/*
 * The one clock: see clock.h. The replacement is a test hook and set before threads exist.
 */
#include <base/clock.h>
#include <stddef.h>

static uint64_t (*fake_mono)(void);
static uint64_t (*fake_unix)(void);

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t clock_us(void)
{
    return fake_mono != NULL ? fake_mono() : read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_coarse_us(void)
{
    return fake_mono != NULL ? fake_mono() : read_clock(CLOCK_MONOTONIC_COARSE);
}

uint64_t clock_ms(void)
{
    return clock_us() / 1000u;
}

uint64_t clock_unix_us(void)
{
    return fake_unix != NULL ? fake_unix() : read_clock(CLOCK_REALTIME);
}

void clock_replace(uint64_t (*mono_us)(void), uint64_t (*unix_us)(void))
{
    fake_mono = mono_us;
    fake_unix = unix_us;
}
