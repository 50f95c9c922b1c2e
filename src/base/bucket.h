/* A token bucket on the monotonic clock: limits a rate and never closes a port. Pure, no I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct bucket {
    uint64_t level;   /* in 1/period_ms tokens, so that no fraction is lost */
    uint64_t last_ms; /* when the level was right */
};

/* A full bucket. */
void bucket_fill(struct bucket *bucket, const struct rate *rate, uint64_t now_ms);
/* Takes one token. Returns false, taking nothing, when there is none. A rate of 0 always gives. */
bool bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t now_ms);
/* When the next token will be there (now_ms when there is one already). */
uint64_t bucket_next(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms);
/* True once the bucket is full again: then nothing needs to be remembered about it. */
bool bucket_is_full(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms);
