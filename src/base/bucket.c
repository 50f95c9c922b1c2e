#include "base/bucket.h"

static uint64_t full(const struct rate *rate)
{
    return (uint64_t)rate->burst * rate->period_ms;
}

/* A millisecond brings `tokens` units of the level, a token is `period_ms` of them. */
static uint64_t level_at(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    uint64_t elapsed = now_ms > bucket->last_ms ? now_ms - bucket->last_ms : 0;

    /* A reload may have made the bucket smaller than what is in it. */
    if (bucket->level >= full(rate) || elapsed > (full(rate) - bucket->level) / rate->tokens)
        return full(rate);
    return bucket->level + elapsed * rate->tokens;
}

void bucket_fill(struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    bucket->level = full(rate);
    bucket->last_ms = now_ms;
}

bool bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    if (!rate->tokens)
        return true;
    bucket->level = level_at(bucket, rate, now_ms);
    if (now_ms > bucket->last_ms)
        bucket->last_ms = now_ms;
    if (bucket->level < rate->period_ms)
        return false;
    bucket->level -= rate->period_ms;
    return true;
}

uint64_t bucket_next(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    if (!rate->tokens)
        return now_ms;
    uint64_t level = level_at(bucket, rate, now_ms);
    if (level >= rate->period_ms)
        return now_ms;
    return now_ms + (rate->period_ms - level + rate->tokens - 1) / rate->tokens;
}

bool bucket_is_full(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    return !rate->tokens || level_at(bucket, rate, now_ms) >= full(rate);
}
