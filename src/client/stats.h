/* The numbers at the end of a series of messages. Pure, no I/O. */
#pragma once

#include <stdint.h>

struct stats {
    uint64_t sent;
    uint64_t answered;  /* wholly, whether equal or not */
    uint64_t different; /* of the answered */
    uint64_t min_us, max_us;
    double mean_us, squares; /* the mean, and the sum of squared distances from it */
};

/* One more answer that took so long. */
void stats_add(struct stats *stats, uint64_t took_us);
uint64_t stats_mean(const struct stats *stats);
/* The standard deviation, as the mdev of ping(8). */
uint64_t stats_mdev(const struct stats *stats);
/* Percent of the sent that were not answered; 0 when none was sent. */
double stats_loss(const struct stats *stats);
