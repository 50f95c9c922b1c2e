#include "base/bucket.h"

enum { NS_A_MS = 1000000 };

/* What a token costs. Rounded down: a rate that does not divide the second is not made slower. */
static uint64_t interval_ns(const struct rate *rate)
{
    uint64_t interval = (uint64_t)rate->period_ms * NS_A_MS / rate->tokens;
    return interval > 0 ? interval : 1;
}

void bucket_fill(struct bucket *bucket)
{
    atomic_store_explicit(&bucket->full_ns, 0, memory_order_relaxed);
}

/* The clock in its unit; what no clock says is far enough away to add to. */
static uint64_t ns_of(uint64_t now_ms)
{
    return now_ms < UINT64_MAX / 2 / NS_A_MS ? now_ms * NS_A_MS : UINT64_MAX / 2;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

bool bucket_take(struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    if (!rate->tokens)
        return true;
    uint64_t interval = interval_ns(rate), now = ns_of(now_ms);
    uint64_t full = atomic_load_explicit(&bucket->full_ns, memory_order_relaxed), next;
    do {
        next = later(full, now) + interval;
        if (next - now > rate->burst * interval)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&bucket->full_ns, &full, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void bucket_give(struct bucket *bucket, const struct rate *rate)
{
    if (rate->tokens)
        atomic_fetch_sub_explicit(&bucket->full_ns, interval_ns(rate), memory_order_relaxed);
}

uint64_t bucket_next(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    if (!rate->tokens)
        return now_ms;
    uint64_t interval = interval_ns(rate), now = ns_of(now_ms);
    uint64_t full = atomic_load_explicit(&bucket->full_ns, memory_order_relaxed);
    uint64_t next = later(full, now) + interval, room = rate->burst * interval;
    return next - now <= room ? now_ms : (next - room + NS_A_MS - 1) / NS_A_MS;
}

bool bucket_is_full(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    return !rate->tokens ||
           atomic_load_explicit(&bucket->full_ns, memory_order_relaxed) <= ns_of(now_ms);
}
