/*
 * Times in a histogram of fixed size: slots of 1/32 of a power of two, so that a quantile is right within 3 %, from
 * 1/16 microsecond to minutes. Included by client.c alone.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SUB = 32, MAGNITUDES = 40 };

struct histogram {
    uint64_t count, max, slots[MAGNITUDES * SUB];
};

static void note(struct histogram *h, uint64_t ns)
{
    uint64_t v = ns * 16 / 1000;
    unsigned shift = 0;
    while ((v >> shift) >= 2 * SUB)
        shift++;
    size_t slot = shift * SUB + (v >> shift);
    h->slots[slot < MAGNITUDES * SUB ? slot : MAGNITUDES * SUB - 1]++;
    h->count++;
    if (ns > h->max)
        h->max = ns;
}

/* In microseconds. */
static double quantile(const struct histogram *h, double q)
{
    uint64_t rank = (uint64_t)((double)h->count * q), seen = 0;
    for (size_t i = 0; i < MAGNITUDES * SUB; i++) {
        seen += h->slots[i];
        if (h->slots[i] && seen > rank) {
            size_t shift = i < 2 * SUB ? 0 : i / SUB - 1;
            return ((double)((i - shift * SUB) << shift) + 0.5 * (double)(1u << shift)) / 16;
        }
    }
    return (double)h->max / 1000;
}

/* A member of a JSON object, with the comma before it. */
static void print_histogram(const char *name, const struct histogram *h)
{
    printf(",\"%s\":{\"count\":%llu,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f}", name,
           (unsigned long long)h->count, quantile(h, 0.5), quantile(h, 0.9), quantile(h, 0.99), (double)h->max / 1000);
}

#endif
