#include "client/stats.h"

void stats_add(struct stats *stats, uint64_t took_us)
{
    double took = (double)took_us, from_old = took - stats->mean_us;

    if (!stats->answered++ || took_us < stats->min_us)
        stats->min_us = took_us;
    if (took_us > stats->max_us)
        stats->max_us = took_us;
    /* Welford's way: the sums of a long series would cancel out each other's digits. */
    stats->mean_us += from_old / (double)stats->answered;
    stats->squares += from_old * (took - stats->mean_us);
}

uint64_t stats_mean(const struct stats *stats)
{
    return (uint64_t)(stats->mean_us + 0.5);
}

/* Newton's way; `value` is at most what a day of microseconds makes. */
static double square_root(double value)
{
    double root = value > 1 ? value : 1, next = (root + value / root) / 2;

    while (next < root) {
        root = next;
        next = (root + value / root) / 2;
    }
    return root;
}

uint64_t stats_mdev(const struct stats *stats)
{
    if (stats->answered < 2 || stats->squares <= 0)
        return 0;
    return (uint64_t)(square_root(stats->squares / (double)stats->answered) + 0.5);
}

double stats_loss(const struct stats *stats)
{
    if (!stats->sent)
        return 0;
    return 100.0 * (double)(stats->sent - stats->answered) / (double)stats->sent;
}
