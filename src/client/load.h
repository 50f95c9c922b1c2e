/*
 * A load on a server: many connections from one process without threads, every byte checked, every
 * latency counted.
 *
 *   crr      connect, send, read the answer, close
 *   rr       the same over connections that stay open
 *   stream   as much as goes through
 *   connect  connect and close
 *   hold     connections that stay open, each used now and then
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/failure.h"
#include "client/histogram.h"
#include "client/link.h"

enum load_mode { LOAD_CRR, LOAD_RR, LOAD_STREAM, LOAD_CONNECT, LOAD_HOLD, LOAD_MODE_COUNT };

struct load_plan {
    enum load_mode mode;
    const struct address *server;
    unsigned int concurrency; /* connections at a time */
    uint64_t count;           /* requests in all; 0: until the duration is over */
    uint64_t duration_us;     /* 0: until interrupted, where there is no count */
    uint64_t warmup_us;       /* before anything is counted but trouble */
    uint64_t interval_us;     /* LOAD_HOLD: between two uses of a connection */
    uint64_t timeout_us;      /* without progress; 0: never */
    uint64_t rate;            /* requests a second in all; 0: the next when the last is done */
    size_t size;              /* bytes of a request, at least 1 */
    unsigned int sources;     /* struct route */
};

struct load_result {
    struct histogram latency; /* ns, of those in `done`; for LOAD_STREAM empty */
    uint64_t done;            /* requests that began after the warm-up and were answered */
    uint64_t done_in_time;    /* of these, before the end of the duration */
    uint64_t bytes;           /* that came back after the warm-up and before the end */
    uint64_t connections;     /* that were begun, with the warm-up's */
    uint64_t took_ns;         /* the time that the rate is of */
    unsigned int held;        /* LOAD_HOLD: the most that were open at once */
    uint64_t troubles[LINK_TROUBLE_COUNT];
    char first_trouble[160];
};

/* Told at most twice a second, and once more by LOAD_HOLD when all connections are held. */
typedef void load_news(void *context, const struct load_result *result, unsigned int open,
                       bool all_held);

/* Runs it to its end, or until *stop. Returns 0, or -1 when it could not go on: out of descriptors,
 * ports or memory. What was measured until then is in *out all the same. */
int load_run(const struct load_plan *plan, const volatile sig_atomic_t *stop, load_news *news,
             void *context, struct load_result *out, struct failure *why);

uint64_t load_troubles(const struct load_result *result);
/* Requests a second (LOAD_HOLD: uses); 0 when nothing was measured. */
double load_rate(const struct load_result *result);
