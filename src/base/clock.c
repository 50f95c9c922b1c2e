#include "base/clock.h"

#include <time.h>

uint64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
    return clock_us() / 1000;
}

int clock_until(uint64_t now_ms, uint64_t deadline_ms, int limit)
{
    if (!deadline_ms)
        return limit;
    if (deadline_ms <= now_ms)
        return 0;
    /* A negative limit is poll(2)'s "for ever": any deadline is nearer. */
    uint64_t left = deadline_ms - now_ms, most = limit < 0 ? INT32_MAX : (uint64_t)limit;
    return (int)(left < most ? left : most);
}
