#include "listener/pool_rule.h"

enum { BATCH_MAX = 32, BACKOFF_FIRST_MS = 100, BACKOFF_LONGEST_MS = 10000 };

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t rest(uint32_t from, uint32_t taken)
{
    return from > taken ? from - taken : 0;
}

uint32_t pool_decide(struct pool_figures *figures)
{
    uint32_t wanted = figures->wanted;
    if (figures->idle < figures->min_spare && wanted < figures->most) {
        wanted += least(figures->batch, figures->most - wanted);
        figures->batch = least(2 * figures->batch, BATCH_MAX);
        return wanted;
    }
    figures->batch = 1;
    if (figures->idle > figures->max_spare && wanted > 1)
        wanted--;
    return wanted;
}

uint32_t pool_most(const struct pool_room *room)
{
    uint32_t older = rest(room->service, room->own), others = rest(room->all, room->own);
    return least(rest(room->instances, older), rest(room->sessions_max, others));
}

uint32_t pool_target(uint32_t wanted, uint32_t pinned, uint32_t most)
{
    return least(pinned != 0 ? pinned : wanted, most);
}

uint32_t pool_automatic(uint32_t configured, long processors)
{
    return configured != 0 ? configured : (uint32_t)(2 * (processors > 0 ? processors : 1) + 1);
}

uint64_t pool_backoff(uint64_t last_ms)
{
    uint64_t next_ms = last_ms == 0 ? BACKOFF_FIRST_MS : 2 * last_ms;
    return next_ms < BACKOFF_LONGEST_MS ? next_ms : BACKOFF_LONGEST_MS;
}
