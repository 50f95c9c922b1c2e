#include "client/histogram.h"

/* Values below 128 have a cell each. Above, a value's highest bit says which power it is of, and
 * the seven bits below that one say which step. */
static unsigned int cell_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return (unsigned int)value;
    unsigned int shift = 63 - 7 - (unsigned int)__builtin_clzll(value);
    if (shift >= HISTOGRAM_POWERS)
        return HISTOGRAM_CELLS - 1;
    return (shift + 1) * HISTOGRAM_STEPS + (unsigned int)(value >> shift) - HISTOGRAM_STEPS;
}

static uint64_t lowest_of(unsigned int cell)
{
    if (cell < HISTOGRAM_STEPS)
        return cell;
    unsigned int shift = cell / HISTOGRAM_STEPS - 1;
    return (uint64_t)(cell % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (!histogram->total++ || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->sum += (double)value;
    histogram->counts[cell_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
    double wanted = fraction * (double)histogram->total;
    uint64_t seen = 0;

    for (unsigned int cell = 0; cell < HISTOGRAM_CELLS - 1; cell++) {
        seen += histogram->counts[cell];
        if (!seen || (double)seen < wanted)
            continue;
        uint64_t highest = lowest_of(cell + 1) - 1;
        return highest < histogram->max ? highest : histogram->max;
    }
    return histogram->max;
}

uint64_t histogram_between(const struct histogram *histogram, uint64_t low, uint64_t high)
{
    uint64_t count = 0;

    for (unsigned int cell = cell_of(low); cell < HISTOGRAM_CELLS && lowest_of(cell) < high; cell++)
        count += histogram->counts[cell];
    return count;
}
