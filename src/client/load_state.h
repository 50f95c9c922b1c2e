/* What the two halves of a load share: load.c says when, load_links.c does it. */
#pragma once

#include "client/load.h"

#define LOAD_SECOND_NS UINT64_C(1000000000)

struct load {
    const struct load_plan *plan;
    struct load_result *out;
    struct failure *why;
    struct route route;
    struct link *links;
    unsigned int *idle; /* a stack of those that may take a request */
    unsigned int idle_count, busy_count, open_count;
    unsigned int opened; /* LOAD_HOLD: links that were begun at least once */
    bool opening;        /* LOAD_HOLD: not yet all held */
    int epoll, timer;
    uint64_t now_ns, begin_ns; /* begin_ns: the end of the warm-up */
    uint64_t end_ns;           /* UINT64_MAX: none */
    uint64_t gap_ns, due_ns;   /* with a rate: between two requests, of the next one */
    uint64_t begun;            /* requests of which the count is */
    uint64_t last_ns;          /* when the last one was done */
    bool draining;             /* nothing more is begun */
    bool queue_full;           /* of a Unix socket: a link has to be tried again soon */
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t load_clock_ns(void);
/* Nothing more is begun; what was begun may end. */
void load_stop_starting(struct load *load);
/* Begins one request that was due at this time, with a new connection where the link has none.
 * Returns 0, or -1 when the load cannot go on. */
int load_start(struct load *load, struct link *link, uint64_t due_ns);
/* Lets the link go on. Returns 0 or -1 as above. */
int load_move(struct load *load, struct link *link);
/* What no event tells: who is late, and whose queue was full. Returns 0 or -1 as above. */
int load_look_around(struct load *load);
/* The streams' ends are told to the server, and what is on its way comes back. */
void load_end_streams(struct load *load);
