/*
 * The board: who is connected, in shared memory. Two regions, each with one writer an entry.
 *
 *   control   header, blocks (one a generation of listeners), owners of chunks, and the listener's
 *             half of each slot. Written by master and listeners; no session has it mapped
 *             (MADV_DONTFORK).
 *   sessions  the session's half of each slot. Written by the session that holds it, which has
 *             mapped the chunk in which its slot is, and for writing nothing else of it
 *             (board_hand_on).
 *
 * A session that goes wrong can therefore mislead a reader about itself and its neighbours, and
 * nothing else: whatever decides something (free lists, pid tables, limits) is private memory, or
 * in control.
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
    BOARD_VERSION = 3,
    BOARD_BLOCKS = 256,       /* generations at one time */
    BOARD_SERVICES = 256,     /* names of services that a daemon can have known */
    BOARD_CHUNK = 16,         /* slots a chunk */
    BOARD_SPARE = 64,         /* free slots that a listener may keep to itself, besides a chunk */
    BOARD_CLIENT_MAX = 64,    /* a client's address as shown */
    BOARD_NAME_MAX = 64,      /* a service's name, a handler's */
    BOARD_LISTEN_MAX = 512,   /* a service's addresses as shown */
    BOARD_SAMPLES = 60,       /* moments that are remembered of a service */
    BOARD_SAMPLE_SECONDS = 5, /* between two of them */
    BOARD_DURATIONS = 10      /* buckets of board_duration_limits, and one above */
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

/* What is counted. One array, so that a sum is a loop. */
enum board_count {
    COUNT_ACCEPTED,
    COUNT_BYTES_IN, /* of sessions that have ended, as the next two */
    COUNT_BYTES_OUT,
    COUNT_DURATION_US,
    COUNT_DROPPED, /* ends whose records found no room */
    COUNT_QUIET,   /* ends that nobody wanted to be told of */
    COUNT_FORK_FAILURES,
    COUNT_ENDED,                                     /* + enum session_end */
    COUNT_REFUSED = COUNT_ENDED + SESSION_END_COUNT, /* + enum board_cause */
    COUNT_DURATIONS = COUNT_REFUSED + CAUSE_COUNT,   /* + bucket */
    BOARD_COUNTS = COUNT_DURATIONS + BOARD_DURATIONS
};

/* Upper limits in microseconds of all buckets of durations but the last, which has none. */
extern const uint64_t board_duration_limits[BOARD_DURATIONS - 1];

/* One generation's numbers; written by its listener, after its death by the master. What belongs
 * together is changed between board_block_begin and board_block_end. */
struct board_block {
    _Atomic uint32_t used; /* 0: free; else the generation's number */
    _Atomic uint32_t service;
    _Atomic int32_t pid;   /* of the listener, also its process group */
    _Atomic uint32_t pool; /* 1: its slots are workers, which serve one client after the other */
    _Atomic uint32_t sequence;
    /* Sessions; of a pool: workers that had a client when its keeper looked last. */
    _Atomic uint32_t live;
    _Atomic uint32_t waiting;      /* clients in the kernel's queues, as seen once a second */
    _Atomic uint32_t denied;       /* the system call for which the sandbox ended it, + 1 */
    _Atomic uint64_t heartbeat_ms; /* last full turn of its loop */
    _Atomic uint64_t counts[BOARD_COUNTS];
};

/* How a service does, for readers. Written by the master. */
enum board_service_state {
    SERVICE_ABSENT, /* the entry is free, or the service is not configured any more */
    SERVICE_SERVING,
    SERVICE_PAUSED,  /* by the operator: clients wait in the kernel's queue */
    SERVICE_DRAINED, /* by the operator: its sockets are closed */
    SERVICE_BROKEN   /* its listener died, and the next one has to wait */
};

/* What a service had done at one moment. */
struct board_sample {
    uint64_t accepted, refused, bytes; /* bytes: in both directions, of ended and live sessions */
    uint32_t live;
};

struct board_service {
    _Atomic uint32_t sequence;
    uint32_t state; /* enum board_service_state */
    char name[BOARD_NAME_MAX], handler[BOARD_NAME_MAX];
    char listen[BOARD_LISTEN_MAX]; /* bound addresses, parted by blanks */
    uint32_t instances;
    uint32_t prefork;              /* the service has a pool */
    uint32_t scale;                /* workers that the operator asked for; 0: as many as it takes */
    uint64_t counts[BOARD_COUNTS]; /* of its generations that are gone */
    struct board_sample samples[BOARD_SAMPLES];
};

enum board_life { LIFE_STARTS, LIFE_SERVES, LIFE_DRAINS, LIFE_STOPS };

/* The first page of control: the daemon itself. Written by the master; sessions whose handler wants
 * it may read it. */
struct board_header {
    uint32_t version;
    uint32_t sessions_max;
    uint32_t slots;
    _Atomic uint32_t blocks_used; /* none at or above this index is in use */
    _Atomic uint32_t life;        /* enum board_life */
    _Atomic int32_t master;
    _Atomic uint64_t started_s;                /* CLOCK_REALTIME, as it was then */
    _Atomic uint64_t started_us;               /* CLOCK_MONOTONIC */
    _Atomic uint64_t log_dropped;              /* lines that no sink took */
    _Atomic uint32_t log_level;                /* as in syslog(3) */
    _Atomic uint32_t log_switched;             /* the operator has set it, whatever is configured */
    _Atomic uint32_t reloads, reload_rejected; /* accepted ones; the last one was rejected */
    _Atomic uint32_t upgrades;
    _Atomic uint32_t samples; /* taken; the last is [(samples - 1) % BOARD_SAMPLES] */
    char program[32];         /* the version of the program that runs */
};

enum board_slot_state { SLOT_FREE, SLOT_FORKING, SLOT_LIVE };

/* The listener's half of a slot. */
struct board_slot {
    _Atomic uint32_t sequence;
    _Atomic uint32_t state; /* enum board_slot_state */
    uint32_t block;
    int32_t pid;
    uint32_t turn; /* clients that the slot has had before; never set back */
    _Atomic uint32_t
        killed;        /* the turn that the operator has asked to end; written by the master */
    uint32_t pool;     /* the process is a worker; who its client is, it says itself */
    uint64_t since_us; /* CLOCK_MONOTONIC: the session's begin, the worker's birth */
    char client[BOARD_CLIENT_MAX];
};

/* What a session does: one list for rows and words. */
#define BOARD_ACTIVITIES(ACTIVITY)                                                                 \
    ACTIVITY(STARTING, "starting")                                                                 \
    ACTIVITY(WAITING, "waiting") /* a worker without a client */                                   \
    ACTIVITY(READING, "reading")                                                                   \
    ACTIVITY(WORKING, "working")                                                                   \
    ACTIVITY(WRITING, "writing")                                                                   \
    ACTIVITY(DELAYING, "delaying")                                                                 \
    ACTIVITY(CLOSING, "closing")                                                                   \
    ACTIVITY(HOLDING, "holding")

enum board_activity {
#define ACTIVITY(name, word) SESSION_##name,
    BOARD_ACTIVITIES(ACTIVITY)
#undef ACTIVITY
        ACTIVITY_COUNT
};

const char *board_activity_word(enum board_activity activity);

/* The session's half. Lines of 64 bytes: a session that serves one client touches the first. */
struct board_session {
    _Alignas(64) _Atomic uint32_t sequence;
    uint32_t activity; /* enum board_activity */
    uint64_t active_us;
    uint64_t bytes_in, bytes_out, turns;
    uint32_t turn;   /* which client of the slot this is */
    uint32_t source; /* a worker's: what to give back for its client, should it die (access/) */
    uint64_t since_us;
    _Atomic uint32_t denied;   /* the system call for which the sandbox ended it, + 1 */
    _Atomic uint32_t settling; /* a worker's: `source` does not yet say, or says no longer, what its
                                  client has taken */
    /* A worker's: its client, and what those before it came to. */
    char client[BOARD_CLIENT_MAX];
    uint64_t counts[BOARD_COUNTS];
};

/* What a process has mapped. */
struct board {
    uint32_t sessions_max;  /* of all services together */
    uint32_t slots, chunks; /* more than that, so that no listener's spare is another's want */
    struct board_header *header;
    struct board_block *blocks;
    struct board_service *services;
    _Atomic uint32_t *owners; /* of each chunk: 0, or block index + 1 */
    struct board_slot *slot;
    struct board_session *session;
    void *control, *sessions;
    size_t control_size, sessions_size;
    void *handed_on; /* what board_hand_on gives children of sessions; NULL: nothing */
    int fds[2];      /* control, sessions; -1 once closed */
};

/* Makes the board for so many sessions at a time; the memfds are sealed against any change of size.
 * Returns 0 or -1. */
int board_create(struct board *board, uint32_t sessions, struct failure *why);

/* Unmaps and closes; a board that was never made is nothing. */
void board_destroy(struct board *board);

/* Maps a board from its two memfds, checks size, seals and version. Children inherit nothing of it
 * (MADV_DONTFORK). The descriptors stay the caller's. Returns 0 or -1. */
int board_attach(struct board *board, int control_fd, int sessions_fd, struct failure *why);
/* The same for the master that takes another's place: maps it as board_create does, and the
 * descriptors are the board's from then on. */
int board_adopt(struct board *board, int control_fd, int sessions_fd, struct failure *why);
/* The same for reading alone, and inherited: what a handler that shows the board needs. With
 * `whole` false only the header is there. */
int board_attach_reader(struct board *board, int control_fd, int sessions_fd, bool whole,
                        struct failure *why);

/* Children forked from now on get the session's half of this slot, with those of its chunk (where
 * pages are larger: of its page) and of no other. Returns 0, or -errno (EAGAIN: no memory), and
 * then nothing may be forked for the slot. */
int board_hand_on(struct board *board, uint32_t slot);

/* A block begins for a generation. Master only, which knows by itself which are free and whose they
 * are: a listener can write to its own. */
void board_block_open(struct board *board, unsigned int block, uint32_t generation,
                      uint32_t service);
/* Adds its counts to its service's, and frees it with all chunks it owns. Master only, once no
 * session of it lives. */
void board_block_close(struct board *board, unsigned int block, uint32_t service);

/* Around changes that belong together: a reader sees all of them or none. One writer a block. */
void board_block_begin(struct board_block *block);
void board_block_end(struct board_block *block);
/* Adds to one count. */
void board_count(struct board_block *block, unsigned int what, uint64_t more);

/* Takes a chunk for a block: returns the index of its first slot, or -1 when there is none. */
int64_t board_chunk_take(struct board *board, unsigned int block, uint32_t *hint);
void board_chunk_free(struct board *board, uint32_t first_slot);

/* The listener's half, written whole. Open: a process is about to be forked; for a worker, `client`
 * is NULL. Pid: it was forked; a session is counted as accepted and live. Close: frees the slot,
 * and counts nothing. */
void board_slot_open(struct board *board, uint32_t slot, unsigned int block, const char *client,
                     uint64_t now_us);
void board_slot_pid(struct board *board, uint32_t slot, pid_t pid);
void board_slot_close(struct board *board, uint32_t slot);

/* A whole copy of one row. */
struct board_row {
    uint32_t block;
    int32_t pid;
    uint32_t turn; /* the session's name is SLOT-TURN */
    uint32_t source;
    uint64_t since_us, active_us, bytes_in, bytes_out, turns;
    uint32_t activity;
    uint32_t denied;
    bool pool; /* a worker: has a client only if board_row_is_session says so */
    bool settling;
    bool torn; /* the session's half would not hold still: its numbers are not to be
                  believed */
    char client[BOARD_CLIENT_MAX];
};

/* The next slot behind `slot` (-1: the first) that a block uses; -1 when there is none. */
int64_t board_next(const struct board *board, unsigned int block, int64_t slot);

/* Reads a row. False when the slot is free. */
bool board_read(const struct board *board, uint32_t slot, struct board_row *row);
/* Whether somebody is served there; a worker may be waiting for a client. */
bool board_row_is_session(const struct board_row *row);

/* The process in the slot is gone, and `row` is what was read then: counts its session's end, adds
 * what a worker has counted, and frees the slot, in one step for readers. */
void board_slot_end(struct board *board, uint32_t slot, const struct board_row *row,
                    enum session_end end, uint64_t now_us);

/* The session's half. row may be NULL. */
void board_session_update(struct board_session *row, enum board_activity activity, uint64_t now_us,
                          uint64_t bytes_in, uint64_t bytes_out, uint64_t turns)
    __attribute__((hot));
/* A worker's. Settle: from when it begins to count a client, or to give him back, until that is
 * done. Begin: it has a client now. End: that one is served. Count: it turned some away. */
void board_worker_settle(struct board_session *row, bool settling);
void board_worker_begin(struct board_session *row, const char *client, uint32_t source,
                        uint64_t now_us);
void board_worker_end(struct board_session *row, enum session_end end, uint64_t now_us);
void board_worker_count(struct board_session *row, unsigned int what, uint64_t more);

/* Live sessions of a service in all generations, and of all services. Looks at the blocks that are
 * in use, which are few. */
uint32_t board_service_live(const struct board *board, uint32_t service);
uint32_t board_live(const struct board *board);
/* The same, but of pools what their workers say now. */
uint32_t board_live_now(const struct board *board);

/* A service's numbers in all its generations, those that are gone included: accepted is ended and
 * live, and no count goes back. */
struct board_sum {
    uint64_t counts[BOARD_COUNTS];
    uint64_t live_bytes_in, live_bytes_out; /* of live sessions, beside the counts */
    uint32_t live, workers, idle; /* workers: processes of pools; idle: without a client */
    uint32_t waiting, generations;
};

void board_sum(const struct board *board, uint32_t service, struct board_sum *sum);
/* Whether a block counts as many live sessions as its slots hold. Of a pool, and of one that would
 * not hold still, nothing else is known. */
bool board_block_agrees(const struct board *board, unsigned int block);
/* Its entry, whole; false when there is none of that index. */
bool board_read_service(const struct board *board, uint32_t service, struct board_service *out);
/* Around the master's changes of an entry. */
void board_service_begin(struct board_service *service);
void board_service_end(struct board_service *service);
/* Remembers this moment of every service. Master only, every BOARD_SAMPLE_SECONDS. */
void board_sample(struct board *board);
