/*
 * A token bucket on the monotonic clock: limits a rate and never closes a port. One atomic number
 * (the virtual scheduling form of GCRA, ITU-T I.371), so that processes can share one. Pure, no
 * I/O.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* All zero is a full bucket. */
struct bucket {
    _Atomic uint64_t full_ns; /* when it will be full again */
};

/* A full bucket. */
void bucket_fill(struct bucket *bucket);
/* Takes one token. Returns false, taking nothing, when there is none. A rate of 0 always gives. */
bool bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t now_ms);
/* Gives one back that was taken and not used. */
void bucket_give(struct bucket *bucket, const struct rate *rate);
/* When the next token will be there (now_ms when there is one already). */
uint64_t bucket_next(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms);
/* True once the bucket is full again: then nothing needs to be remembered about it. */
bool bucket_is_full(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms);
