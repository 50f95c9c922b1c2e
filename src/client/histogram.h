/*
 * Many durations in little memory: a table of counts whose steps grow with the value, as in an HDR
 * histogram. What is read back is at most 1/128 above what was added. Pure, no I/O.
 */
#pragma once

#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 128, /* of each power of two */
    HISTOGRAM_POWERS = 36, /* beyond the first 128 values: up to 2^43, hours in nanoseconds */
    HISTOGRAM_CELLS = HISTOGRAM_STEPS * (HISTOGRAM_POWERS + 1),
};

struct histogram {
    uint64_t counts[HISTOGRAM_CELLS];
    uint64_t total;
    uint64_t min, max; /* exact; 0 while total is 0 */
    double sum;
};

/* One more value; beyond 2^43 it counts as the largest cell, and `max` stays exact. */
void histogram_add(struct histogram *histogram, uint64_t value);
/* The smallest value that at least `fraction` (0 to 1) of the added are not above; never above
 * `max`. 0 when nothing was added. */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);
/* How many of the added lie from `low` up to but without `high`. Exact where both are powers of two
 * of at least 128. */
uint64_t histogram_between(const struct histogram *histogram, uint64_t low, uint64_t high);
