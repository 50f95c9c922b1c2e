/*
 * The listener program: one service's accept loop. It has no privilege, reads nothing that a client
 * sends (but what it throws away of those it refused), and forks a session for each client it
 * admits. Private to src/listener/.
 *
 *   main.c      set-up, in order
 *   loop.c      what it waits for, and what it does then
 *   accept.c    accept4(2) and its errors; who is admitted
 *   children.c  fork, the table of sessions, reaping
 *   slots.c     slots of the board, taken by the chunk
 *   refuse.c    clients that are told no
 *   episode.c   storms are told by begin and end
 *   pool.c      process_model = prefork: how many processes wait for clients
 *   pool_rule.c the rule for it
 *   pool_news.c what those say, and what befalls them
 *   seats.c     where those wait
 *   worker.c    such a process
 *   orphan.c    what is left to do when the master is gone
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "access/sources.h"
#include "base/bucket.h"
#include "base/signals.h"
#include "board/board.h"
#include "channel/channel.h"
#include "conf/service.h"
#include "listener/pool.h"
#include "session/session.h"

/* A child's end. Of SIGCHLD the kernel keeps one, and to find whose it was waitid(2) goes through
 * all children, which takes 0.6 ms of 10 000; a real-time signal is queued for each (signal(7)). */
#define CHILD_ENDED (SIGRTMIN + 1)

enum { REFUSED_MAX = 64, REFUSED_LINGER_MS = 1000, RETRY_MS = 5000 };

/* One listening socket. */
struct port {
    int fd;             /* -1 once closed */
    bool last_call;     /* draining: closed as soon as its queue was empty once */
    uint32_t last_left; /* or when so many were taken: no more could have waited */
    bool may_shut;      /* ours alone: whoever closes it may shut(2) it down for all who hold it */
    unsigned int early; /* clients that came before it had its options, and did not inherit them */
};

/* A live session, as only its listener knows it. */
struct child {
    pid_t pid;
    uint32_t slot, turn; /* its public name */
    uint32_t source;     /* for sources_leave */
    uint32_t next;       /* in the list of free ones */
    bool killed;         /* by the operator */
    /* Of a pool (pool.h): */
    bool worker;
    bool dismissed;     /* was told to end */
    bool waited;        /* has been seen to serve or to wait for that */
    bool stuck;         /* was told to abort */
    bool served;        /* had a client when it died */
    bool unsettled;     /* was counting one then, or giving him back */
    uint32_t denied;    /* what it died of: board.h */
    int seat;           /* where it waits; -1: at its own */
    uint32_t told_turn; /* the session whose end it has told last, and that end */
    enum session_end told_end;
    uint64_t stopped_ms, abort_ms;
};

struct children {
    struct child *pool;
    uint32_t *table; /* pid to pool index + 1, open addressing */
    uint32_t mask;
    uint32_t free; /* pool index + 1 */
    uint32_t used; /* entries that have ever been taken: none behind them is */
    uint32_t live;
};

struct slots {
    uint32_t *free; /* the one that was given back last is the last */
    uint32_t count, room;
    uint32_t chunk; /* of the slot that was taken last */
    uint32_t hint;
};

/* A client that was accepted when fork failed: it waits here, so that it is not lost. */
struct retry {
    int fd; /* -1: none */
    struct address client;
    uint32_t source;
    uint64_t deadline_ms;
};

/* Something that goes on: its begin was reported, its end will be. */
struct episode {
    uint64_t since_ms, last_ms; /* since 0: nothing goes on */
    uint64_t count;
    bool refusing; /* refusals; else clients have to wait */
};

struct refused {
    int fd;
    uint64_t deadline_ms;
};

/* Process groups of sessions that outlived their own listener: the master's children, and when that
 * is gone, nobody's. */
enum { WARDS_MAX = 64 };

struct orphan {
    bool yes;           /* the master is gone */
    uint64_t end_at_ms; /* when the sessions are ended; 0: never, or done */
    uint64_t kill_at_ms;
    pid_t wards[WARDS_MAX];
    unsigned int ward_count;
};

enum phase { PHASE_WAITING, PHASE_ACCEPTING, PHASE_DRAINING };

struct listener {
    const struct service *service;
    const struct session_plan *plan;
    struct board board;
    unsigned int block_index;
    struct board_block *block;
    uint32_t service_index;
    struct channel channel;
    pid_t master;
    struct signals signals;
    struct poll_set *set; /* loop.c */

    enum phase phase;
    enum tell tell;
    bool paused;                /* by the operator: clients wait in the kernel's queue */
    bool stopping;              /* the daemon stops */
    bool ending;                /* its sessions were told to end */
    uint64_t drain_deadline_ms; /* for last calls; 0: none */
    struct orphan orphan;

    struct port ports[SERVICE_SOCKETS_MAX];
    unsigned int port_count;
    struct sources *sources;
    struct bucket *cps; /* own_cps, or the pool's */
    struct bucket own_cps;
    struct pool pool;
    bool is_worker; /* this process is one, and has no board */
    struct children children;
    struct slots slots;
    struct retry retry;
    struct refused refused[REFUSED_MAX];
    unsigned int refused_count;
    struct episode episodes[CAUSE_COUNT];

    uint64_t pause_until_ms; /* out of something: the sockets are left alone until then */
    uint64_t pause_ms;       /* the next pause's length; 0: all is well */
    uint64_t full_until_ms;  /* no room: look again then; 0: there is room */
    bool title_stale;
    uint64_t title_ms;  /* when the title may change again */
    uint64_t around_ms; /* when there is to be a look around again (loop.c) */
    uint64_t now_ms;    /* at the top of this turn of the loop */
};

/* loop.c: returns the program's exit status. */
int loop_run(struct listener *listener);
void loop_show_title(const struct listener *listener);
/* Whether this process accepts: not while it is paused, and a pool's keeper only to turn away whom
 * its workers have no room for. */
bool loop_takes_clients(const struct listener *listener);
bool loop_has_port(const struct listener *listener);
/* Blocks the signals that the loop takes, and has room for all that it waits for. 0 or -errno. */
int loop_open(struct listener *listener);
/* Takes no more clients; `last` has the bits of the ports that are emptied first. */
void loop_drain(struct listener *listener, uint64_t last);

/* accept.c: takes what waits at a port, at most 16. `waiting`: somebody is known to. */
void accept_port(struct listener *listener, struct port *port, bool waiting);
/* Looks whether there is room again for clients that wait in the kernel's queue. */
void accept_look_again(struct listener *listener);
/* Whether the client may have a session now: CAUSE_COUNT, or why not. Counts it for its source. */
enum board_cause accept_judge(struct listener *listener, const struct address *client,
                              uint32_t *source);
/* Whether clients over cps wait: then a worker has its token before it has its client. */
bool accept_defers_rate(const struct listener *listener);
/* The socket itself is unusable: closes it, and tells the master. The others are served. */
void accept_give_up_port(struct listener *listener, struct port *port, int error);
/* Closes a port that is done with. */
void accept_close_port(struct listener *listener, struct port *port);
/* Gives the client in the retry slot its process, if that can be had now. */
void accept_retry(struct listener *listener);
/* It gets none. */
void accept_give_up(struct listener *listener);

/* children.c: 0 or -errno. */
int children_init(struct children *children, uint32_t room);
/* Forks the client's session; closes fd here when that went well. 0 or -errno, then all is as
 * before. */
int children_fork(struct listener *listener, int fd, const struct address *client, uint32_t slot,
                  uint32_t source) __attribute__((hot));
/* Forks a worker of the pool, which waits for clients. */
int children_fork_worker(struct listener *listener, uint32_t slot);
/* The child behind `child` (NULL: the first), or NULL. */
struct child *children_next(const struct children *children, const struct child *child);
struct child *children_find(const struct children *children, pid_t pid);
/* Takes leave of a child that has ended. */
void children_reap(struct listener *listener, pid_t pid);
/* Of all that have. */
void children_sweep(struct listener *listener);
/* One was stopped or goes on. */
void children_look(struct listener *listener);
/* Ends the session in the slot if it is that of this turn: by TERM, and when that was asked for
 * before, by KILL. */
void children_end_session(struct listener *listener, uint32_t slot, uint32_t turn);
/* Ends those that have served their client and only hold their process (the key hold_process). */
void children_end_held(struct listener *listener);

/* slots.c */
int slots_init(struct slots *slots, uint32_t room);
bool slots_ready(struct listener *listener); /* whether slots_take would give one */
uint32_t slots_take(struct listener *listener);
void slots_give(struct listener *listener, uint32_t slot);

/* refuse.c: says no to an accepted client and closes fd, now or when it has read the message. */
void refuse_client(struct listener *listener, int fd, const struct address *client,
                   enum board_cause cause);
/* The part of it that the client sees. */
void refuse_say(struct listener *listener, int fd, const char *message);
/* Throws away what a refused client still sends; closes it at its end. */
void refuse_drain(struct listener *listener, unsigned int index);
/* Closes those who had their time. `all`: every one. */
void refuse_expire(struct listener *listener, bool all);

/* episode.c: the first time of an episode sends a record, the others count. */
void episode_note(struct listener *listener, enum board_cause cause, bool refusing,
                  const char *client, int error);
/* Ends those in which nothing happened for a while. `all`: every one. */
void episode_expire(struct listener *listener, bool all);

/* orphan.c: closes the sockets at once; the sessions may finish for graceful_timeout. */
void orphan_become(struct listener *listener);
/* Looks after another group too, or no longer. */
void orphan_ward(struct listener *listener, pid_t group, bool yes);
/* Ends those that have not finished. */
void orphan_expire(struct listener *listener);
/* Whether the groups it looks after are gone. */
bool orphan_wards_gone(struct listener *listener);
/* Ends the sessions, its own and those it looks after. */
void orphan_end_sessions(struct listener *listener);
