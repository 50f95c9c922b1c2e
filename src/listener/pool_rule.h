/* How many processes a pool has: numbers in, a number out. Private to src/listener/. */
#pragma once

#include <stdint.h>

/* What a second's thought knows. */
struct pool_figures {
    uint32_t wanted, idle, batch, min_spare, max_spare, most;
};

/* How many processes are wanted from now on: short of min_spare idle ones, 1, 2, 4 … 32 more as
 * long as that goes on; above max_spare one less. Leaves the next batch in `figures`. */
uint32_t pool_decide(struct pool_figures *figures);

/* Live sessions, and how many there may be. */
struct pool_room {
    uint32_t instances, sessions_max; /* of the service, of the daemon */
    uint32_t own, service, all;       /* this generation's, the service's, the daemon's */
};

/* The most processes there may be: older generations of the service have sessions too, and all
 * services together have max_sessions. */
uint32_t pool_most(const struct pool_room *room);

/* How many there are to be: what the load takes, or what the operator asked for (0: nothing). */
uint32_t pool_target(uint32_t wanted, uint32_t pinned, uint32_t most);

/* `auto` (0) is 2 · processors + 1. */
uint32_t pool_automatic(uint32_t configured, long processors);

/* How long to wait for the next try, in milliseconds, when a process has died before it could
 * serve; `last_ms`: how long after the death before, 0 if that is over. */
uint64_t pool_backoff(uint64_t last_ms);
