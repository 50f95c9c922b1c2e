/*
 * A generation: one listener process with the sessions it has forked, and what the master knows of
 * it. Mechanism alone: it is started, told things, ended and reaped here; when that is done is
 * decided in services.c, reload.c and stop.c, and this file calls none of them.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "board/board.h"
#include "channel/channel.h"
#include "conf/service.h"
#include "master/store.h"
#include "sys/privilege.h"

enum generation_state {
    GENERATION_NONE,     /* the entry is free */
    GENERATION_STARTING, /* executed, not ready yet */
    GENERATION_READY,    /* waits for the word to go */
    GENERATION_SERVING,
    GENERATION_DRAINING, /* takes no more clients */
    GENERATION_DEAD      /* the listener is gone; its sessions are the master's children now */
};

/* The index in the master's table is the index of its block on the board. */
struct generation {
    enum generation_state state;
    uint32_t number;
    uint32_t service; /* index of the service */
    pid_t pid;        /* the listener's, and its process group's number */
    struct channel channel;
    uint64_t started_ms;
    size_t sockets[SERVICE_SOCKETS_MAX]; /* indices into the store, in the listener's order */
    unsigned int socket_count;
    uint64_t told;    /* session ends that it reported */
    pid_t last_ended; /* of the last session whose end it reported */
    enum session_end last_end;
    bool stuck;  /* it gave no sign of life, and was killed */
    bool failed; /* it said why it could not go on, in `reason` */
    char reason[CHANNEL_TEXT_MAX];
};

/* What every listener is started with. */
struct generation_seed {
    int program; /* the listener's program, opened at the start */
    struct board *board;
    const struct store *store;
};

/* Starts a listener for the service on the sockets. `generation` is the entry of the block that was
 * taken for it. Returns 0 or -1. */
int generation_start(struct generation *generation, const struct generation_seed *seed,
                     unsigned int block, const struct service *service,
                     const struct identity *identity, struct failure *why);

/* Lets it take clients. `own` has the bits of sockets that nobody but the daemon holds. */
void generation_go(struct generation *generation, enum tell what, uint64_t own);
void generation_tell(struct generation *generation, enum tell what);
/* Should this process die: the listener is to end the sessions of that dead generation too. */
void generation_ward(struct generation *generation, const struct generation *dead, bool yes);
/* Leaves clients in the kernel's queue, or no longer. */
void generation_pause(struct generation *generation, bool yes);
/* So many workers; 0: as many as it takes. */
void generation_scale(struct generation *generation, uint32_t workers);
/* Ends one session for the operator, if the slot is still that turn's; `pid` is what the board
 * shows there. 0; -EAGAIN when there is no room to tell its listener now; -ESRCH when there is
 * none. */
int generation_end_session(struct generation *generation, uint32_t slot, uint32_t turn, pid_t pid);
/* Takes no more clients. `last` has a bit for each of its sockets that is emptied before it is
 * closed, for at most limit_ms (0: as long as that takes). */
void generation_drain(struct generation *generation, uint64_t last, uint64_t own,
                      uint64_t limit_ms);
/* The daemon stops: sessions that only hold their process need not be waited for. */
void generation_stopping(struct generation *generation);
/* Ends its sessions, whoever their parent is now. */
void generation_end(struct generation *generation);
/* Kills every process of it that is left. */
void generation_kill(struct generation *generation);

/* The next record of its listener: 1, 0 when there is none, -errno when there will be none. */
int generation_receive(struct generation *generation, struct record *record);

/* Whether the listener has just died, and how; it is reaped then. What it said last can still be
 * received. */
bool generation_has_died(struct generation *generation, siginfo_t *info);

/* Reaps one orphaned session of a dead listener: 1, 0 when all that are left live, -ECHILD when
 * none is left. */
int generation_reap_orphan(struct generation *generation, siginfo_t *info);
