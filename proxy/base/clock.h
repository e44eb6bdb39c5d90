/*
 * The one clock. Tests may replace it; nothing else asks the system for the time.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_ms(void); /* monotonic, for timers and durations */
uint64_t clock_us(void); /* monotonic */
/* Monotonic, behind clock_us by one tick of the kernel (10 ms) at most: a fraction of its cost, for what is measured
 * with every call and needs no more. Compare only with itself. */
uint64_t clock_coarse_us(void);
uint64_t clock_unix_us(void); /* wall clock, for people and stored expiry */
/* Test hook: NULL functions restore the system's clock. */
void clock_replace(uint64_t (*mono_us)(void), uint64_t (*unix_us)(void));

#endif
