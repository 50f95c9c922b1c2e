/*
 * The pool of a service with process_model = prefork: processes forked ahead, which accept for
 * themselves. The listener is their keeper: it decides how many there are, notices which have died,
 * stand still or hang, and hands on what they have to say. Private to src/listener/.
 */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bucket.h"
#include "conf/service.h"
#include "listener/pool_rule.h"

struct listener;
struct child;
struct port;

/* The signal that ends the session of a worker, by its turn; 0: whichever it is. */
#define POOL_SIGNAL SIGRTMIN

/* What keeper and workers share for writing. A worker that writes over it does harm to its own
 * service's limits and log lines, and to nothing else. */
struct pool_shared {
    _Atomic uint32_t tell; /* enum tell */
    struct bucket cps;
    /* Clients of each port that came before it had its options. */
    _Atomic uint32_t early[SERVICE_SOCKETS_MAX];
};

enum { SEATS_MAX = 16, SEAT_SIGNALS = SERVICE_SOCKETS_MAX };

/* Where a worker waits: an epoll(7) instance that has the ports by their index, and SEAT_SIGNALS,
 * the signals of who waits there. */
struct seat {
    int events;
    bool taken;
};

/* In the order in which the kernel looks for somebody who waits (seats.c). */
struct seats {
    struct seat seat[SEATS_MAX];
    unsigned int count;
};

struct pool {
    struct pool_shared *shared; /* NULL: there is no pool */
    struct seats seats;
    int reports[2];  /* the keeper's end, the workers' */
    long processors; /* as sysconf(3) says */
    uint32_t wanted; /* so many processes, unless pinned */
    uint32_t pinned; /* by the operator; 0: no */
    uint32_t batch;  /* to be added at the next tick if there are still too few */
    uint32_t busy, idle, stopped;
    uint64_t look_ms, tick_ms; /* when the rows are looked at, the number is thought over */
    uint64_t retry_ms, backoff_ms;
    bool doubtful; /* how many sessions sources have; put right when nobody is busy */
};

/* pool.c: 0 or -errno. */
int pool_open(struct listener *listener);
/* Every process is busy, and there may not be more. */
bool pool_is_full(const struct listener *listener);
/* Starts, ends, looks: at every turn of the loop. */
void pool_keep(struct listener *listener);
/* When the next of these is due. */
int pool_wait(const struct listener *listener, int wait);
/* No more clients: idle ones end, busy ones after their client. */
void pool_dismiss(struct listener *listener);
/* One more or one less, and pinned there; a number, or 0 for as many as it takes. */
void pool_step(struct listener *listener, int step);
void pool_scale(struct listener *listener, uint32_t workers);
/* pool_news.c: takes what workers have to say: some, or all that is there. */
void pool_hear(struct listener *listener, bool all);
/* A worker has stopped, goes on, has died. */
void pool_noticed(struct listener *listener, struct child *child, const siginfo_t *info);
void pool_lost(struct listener *listener, const struct child *child, const siginfo_t *info);
/* Ends a worker's session: of this turn, or (0) any. */
void pool_end_session(const struct child *child, uint32_t turn);

/* seats.c: the first that is free, for a worker that is to be forked. -1: it brings its own. */
int seats_take(struct listener *listener);
/* Its worker has ended, or was not forked. */
void seats_give(struct listener *listener, int seat);
/* There are workers enough: closes those that are free. */
void seats_trim(struct listener *listener);
/* Nobody waits at this port any more. */
void seats_forget(struct listener *listener, const struct port *port);
/* There will be no more workers: closes them all, in this process. */
void seats_close(struct listener *listener);
/* A new one, the caller's; -1 with errno. */
int seats_open(const struct listener *listener);

/* worker.c: a worker's whole life. */
_Noreturn void worker_main(struct listener *listener, uint32_t slot, int seat);
