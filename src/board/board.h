/*
 * The board: who is connected, in shared memory. Two regions, each with one writer an entry.
 *
 *   control   header, blocks (one a generation of listeners), owners of chunks, and the listener's
 *             half of each slot. Written by master and listeners; no session has it mapped
 *             (MADV_DONTFORK).
 *   sessions  the session's half of each slot. Written by the session that holds it.
 *
 * A session that goes wrong can therefore mislead a reader about itself, and nothing else: whatever
 * decides something (free lists, pid tables, limits) is private memory, or in control.
 *
 * Slots are handed out in chunks: a listener takes a chunk by one compare-and-swap in its table of
 * owners and then divides it privately; the master gives the chunks of a dead generation back.
 * Each half carries a sequence counter that is odd while it is written (a seqlock), so that a
 * reader gets whole rows or none.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/exitcode.h"
#include "base/failure.h"

enum {
    BOARD_VERSION = 1,
    BOARD_BLOCKS = 256,   /* generations at one time */
    BOARD_CHUNK = 16,     /* slots a chunk */
    BOARD_SPARE = 64,     /* free slots that a listener may keep to itself, besides a chunk */
    BOARD_CLIENT_MAX = 64 /* a client's address as shown */
};

/* Causes for which a client is refused or has to wait: one list for records, counters and words. */
#define BOARD_CAUSES(CAUSE)                                                                        \
    CAUSE(NO_ACCESS, "no_access")                                                                  \
    CAUSE(PER_SOURCE, "per_source")                                                                \
    CAUSE(PER_SOURCE_RATE, "per_source_rate")                                                      \
    CAUSE(INSTANCES, "instances")                                                                  \
    CAUSE(CPS, "cps")                                                                              \
    CAUSE(MAX_SESSIONS, "max_sessions")                                                            \
    CAUSE(DESCRIPTORS, "descriptors")                                                              \
    CAUSE(PROCESSES, "processes")                                                                  \
    CAUSE(NETWORK, "network")

enum board_cause {
#define CAUSE(name, word) CAUSE_##name,
    BOARD_CAUSES(CAUSE)
#undef CAUSE
        CAUSE_COUNT
};

const char *board_cause_word(enum board_cause cause);

/* One generation's numbers; written by its listener, after its death by the master. */
struct board_block {
    _Atomic uint32_t used; /* 0: free; else the generation's number */
    _Atomic uint32_t service;
    _Atomic int32_t pid; /* of the listener, also its process group */
    _Atomic uint32_t live;
    _Atomic uint64_t heartbeat_ms; /* last full turn of its loop */
    _Atomic uint64_t accepted;
    _Atomic uint64_t bytes_in, bytes_out;
    _Atomic uint64_t ended[SESSION_END_COUNT];
    _Atomic uint64_t refused[CAUSE_COUNT];
    _Atomic uint64_t records_dropped;
};

enum board_slot_state { SLOT_FREE, SLOT_FORKING, SLOT_LIVE };

/* The listener's half of a slot. */
struct board_slot {
    _Atomic uint32_t sequence;
    _Atomic uint32_t state; /* enum board_slot_state */
    uint32_t block;
    int32_t pid;
    uint64_t since_us; /* CLOCK_MONOTONIC */
    char client[BOARD_CLIENT_MAX];
};

enum board_activity {
    SESSION_STARTING,
    SESSION_READING,
    SESSION_WRITING,
    SESSION_CLOSING,
    SESSION_HOLDING
};

/* The session's half. */
struct board_session {
    _Atomic uint32_t sequence;
    uint32_t activity; /* enum board_activity */
    uint64_t active_us;
    uint64_t bytes_in, bytes_out, turns;
    uint64_t reserved[2];
};

/* What a process has mapped. */
struct board {
    uint32_t sessions_max;  /* of all services together */
    uint32_t slots, chunks; /* more than that, so that no listener's spare is another's want */
    struct board_header *header;
    struct board_block *blocks;
    _Atomic uint32_t *owners; /* of each chunk: 0, or block index + 1 */
    struct board_slot *slot;
    struct board_session *session;
    void *control, *sessions;
    size_t control_size, sessions_size;
    int fds[2]; /* control, sessions; -1 once closed */
};

/* Makes the board for so many sessions at a time; the memfds are sealed against any change of size.
 * Returns 0 or -1. */
int board_create(struct board *board, uint32_t sessions, struct failure *why);

/* Unmaps and closes; a board that was never made is nothing. */
void board_destroy(struct board *board);

/* Maps a board from its two memfds, checks size, seals and version, closes them. Control is not
 * inherited by children (MADV_DONTFORK). Returns 0 or -1. */
int board_attach(struct board *board, int control_fd, int sessions_fd, struct failure *why);

/* Takes a free block for a generation; returns its index or -1 when all 256 are used. Master only.
 */
int board_block_take(struct board *board, uint32_t generation, uint32_t service);
/* Frees the block and all chunks it owns. Master only, once no session of it lives. */
void board_block_free(struct board *board, unsigned int block);

/* Takes a chunk for a block: returns the index of its first slot, or -1 when there is none. */
int64_t board_chunk_take(struct board *board, unsigned int block, uint32_t *hint);
void board_chunk_free(struct board *board, uint32_t first_slot);

/* The listener's half, written whole. */
void board_slot_open(struct board *board, uint32_t slot, unsigned int block, const char *client,
                     uint64_t now_us);
void board_slot_pid(struct board *board, uint32_t slot, pid_t pid);
void board_slot_close(struct board *board, uint32_t slot);

/* The session's half. row may be NULL. */
void board_session_update(struct board_session *row, enum board_activity activity, uint64_t now_us,
                          uint64_t bytes_in, uint64_t bytes_out, uint64_t turns);

/* A whole copy of one row. */
struct board_row {
    uint32_t block;
    int32_t pid;
    uint64_t since_us, active_us, bytes_in, bytes_out, turns;
    uint32_t activity;
    bool torn; /* the session's half would not hold still (100 tries): its numbers are not to be
                  believed */
    char client[BOARD_CLIENT_MAX];
};

/* The next slot behind `slot` (-1: the first) that a block uses; -1 when there is none. */
int64_t board_next(const struct board *board, unsigned int block, int64_t slot);

/* Reads a row. False when the slot is free. */
bool board_read(const struct board *board, uint32_t slot, struct board_row *row);

/* Live sessions of a service in all generations, and of all services. Looks at the blocks that are
 * in use, which are few. */
uint32_t board_service_live(const struct board *board, uint32_t service);
uint32_t board_live(const struct board *board);
