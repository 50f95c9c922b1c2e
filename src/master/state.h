/*
 * What the master knows; private to src/master/.
 *
 *   master.c      set-up and the loop
 *   store.c       listening sockets
 *   gather.c      which of them a service gets
 *   generation.c  one listener process: mechanism
 *   services.c    which generation serves which service; restarts
 *   reload.c      from one configuration to the next; the start is a reload from nothing
 *   watch.c       what listeners report, deaths, heartbeats
 *   stop.c        the end
 *   upgrade.c     another program in this one's place
 *   arrive.c      the first steps of that program
 *   preflight.c   what that program says to it beforehand
 *   succession.c  the state, from this one to that
 *   heritage.c    the same as text
 *   control.c     the control socket: its clients
 *   requests.c    what they can ask for (requests.h)
 *   switches.c    what the operator switches at run time
 *   kill.c        sessions that the operator ends
 *   audit*.c      whether board, processes and descriptors agree
 *   report.c      log lines, titles, systemd's STATUS
 */
#pragma once

#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/conf.h"
#include "master/generation.h"
#include "master/heritage.h"
#include "master/master.h"
#include "master/store.h"

enum {
    GENERATIONS_A_SERVICE = 64,
    READY_LIMIT_MS = 10000, /* for a listener to report that it is ready */
    HEARTBEAT_LIMIT_MS = 10000,
    CONTROL_CLIENTS_MAX = 8,
    CONTROL_REQUEST_MAX = 4096, /* with its newline */
    FOREIGN_MAX = 16,
    PREFLIGHT_LINES_MAX = 64
};

/* A set of sockets a service listens on, as indices into the store. */
struct socket_set {
    size_t index[SERVICE_SOCKETS_MAX];
    unsigned int count;
};

/* What the operator has switched at run time (switches.c). Outlives reloads and upgrades, not a
 * stop; the board shows it. */
struct switches {
    bool paused, drained;
    uint32_t scale; /* workers; 0: as many as it takes */
};

/* A service by name. Its place in the table is its place on the board, where what it has done stays
 * known after it is gone. */
struct service_state {
    char name[SERVICE_NAME_MAX + 1];
    struct service *image; /* how it runs; NULL: it is not configured */
    struct socket_set sockets;
    struct generation *current; /* serves, or starts again after a death; NULL: none lives */
    uint64_t restart_at_ms;     /* 0: no restart is due */
    uint64_t backoff_ms;
    struct switches switches;
    uint64_t told_dropped; /* of COUNT_DROPPED, what the log knows */
    /* While a reload runs: what it is to become. */
    bool changes;
    struct service *next_image;
    struct socket_set next_sockets;
    struct generation *next;
};

/* What comes next for a client of the control socket. */
enum control_wait {
    WAIT_REQUEST, /* its line */
    WAIT_TURN,    /* it asked for what cannot be done now: it is looked at again */
    WAIT_RELOAD,  /* the end of a reload */
    WAIT_UPGRADE, /* the end of an upgrade */
    WAIT_AUDIT,   /* the end of an audit */
    WAIT_NOTHING  /* it has its answer */
};

struct control_client {
    int fd; /* -1: free */
    enum control_wait waits;
    uint64_t deadline_ms; /* of its request */
    uint64_t number;      /* of the reload or upgrade that it waits for; of what is done already */
    struct ucred peer;
    size_t length;
    char line[CONTROL_REQUEST_MAX];
};

struct control {
    int fd; /* -1: none */
    struct address address;
    uint64_t rest_until_ms; /* nobody is accepted until then */
    struct control_client clients[CONTROL_CLIENTS_MAX];
};

struct reload {
    bool wanted;       /* asked for; many requests are one reload */
    struct conf *conf; /* the one that is being brought in; NULL: none is */
    uint64_t number;   /* of the reload that runs, or else of the last one */
    uint64_t deadline_ms;
    uint64_t next_ms; /* the next one begins no earlier */
    bool rejected;    /* the last one was, and the old configuration is in force */
    bool forced;      /* the next one changes every service: they run under another program */
    struct conf_mistakes remarks;
};

enum upgrade_phase {
    UPGRADE_NONE,
    UPGRADE_CHECK, /* the new program runs as a child and looks at everything */
    UPGRADE_QUIET  /* it will do; what waits to be sent is sent first */
};

struct upgrade {
    char executable[PATH_MAX]; /* of the program, as it was started; "": not known */
    bool wanted;               /* asked for; many requests are one upgrade */
    enum upgrade_phase phase;
    uint64_t number; /* of the one that runs, or else of the last one */
    uint64_t deadline_ms;
    int program; /* the new one, opened */
    pid_t child;
    int output;                                             /* what the child has said */
    char from[sizeof(((struct board_header *)0)->program)]; /* while the new program has its first
                                                               reload before it: the old version */
};

struct master {
    const struct master_start *start;
    struct conf *conf;
    struct board board;
    struct store store;
    char user[OPTION_NAME_MAX]; /* of [daemon], when it was started */
    struct identity identity;
    struct generation_seed seed;
    struct generation generations[BOARD_BLOCKS];
    uint32_t last_number;
    struct service_state *services[BOARD_SERVICES];
    uint32_t service_count;
    struct reload reload;
    struct upgrade upgrade;
    struct control control;
    struct audit *audit;      /* NULL: none runs */
    int foreign[FOREIGN_MAX]; /* descriptors that libraries opened while it started */
    unsigned int foreign_count;
    char sandbox_gaps[CHANNEL_TEXT_MAX]; /* parts of the sandbox whose want was told last */
    int signals, pid_file;
    char pid_path[PATH_MAX];
    enum board_life life;
    int status;                  /* the exit status, once stopping */
    int log_switch;              /* the operator's log level, as in syslog(3); -1: as configured */
    uint64_t log_dropped_before; /* by the programs that were here before an upgrade */
    uint64_t drained_ms;         /* while it drains: when it stops taking clients */
    uint64_t end_at_ms, kill_at_ms;
    uint64_t now_ms, last_turn_ms, lenient_until_ms, next_second_ms, next_sample_ms,
        next_watchdog_ms;
};

/* master.c: from here on it lives so, and the board says so at once. */
void master_enter(struct master *master, enum board_life life);
/* master.c: puts on the board what readers cannot know otherwise. */
void master_show(struct master *master);

/* services.c */
/* The service of that name if it is configured, or NULL. */
struct service_state *services_find(const struct master *master, const char *name);
struct service_state *services_know(struct master *master, const char *name);
/* Starts a generation of the service with this image on these sockets; NULL with *why. */
struct generation *services_spawn(struct master *master, struct service_state *service,
                                  const struct service *image, const struct socket_set *sockets,
                                  struct failure *why);
/* Bits of its sockets that nobody but the daemon holds. */
uint64_t services_own_sockets(const struct master *master, const struct generation *generation);
/* Drains a generation; of its sockets those that nobody wants any more are emptied first. */
void services_retire(struct master *master, struct generation *generation, uint64_t limit_ms);
/* After the death of a service's listener: at once, or after a back-off. */
void services_plan_restart(struct master *master, struct service_state *service, uint64_t lived_ms);
void services_restart_due(struct master *master);
/* Tells a service's listener which dead generations' sessions it has to end should the master die.
 */
void services_tell_wards(struct master *master, struct generation *generation);
/* Adds a generation's numbers to its service and frees its block. */
void services_bury(struct master *master, struct generation *generation);
void services_forget(struct master *master);
/* Sessions of it whose ends found no room in the records. */
uint64_t services_dropped(const struct master *master, uint32_t service);
uint32_t services_index(const struct master *master, const struct service_state *service);
/* Shows a service on the board as it is now. */
void services_show(struct master *master, const struct service_state *service);
unsigned int services_generations(const struct master *master, uint32_t service);

/* reload.c */
/* An allocation, or NULL. */
struct service *reload_copy_image(const struct service *image);
/* When the one that is asked for is to begin; 0: none is, or not yet. */
uint64_t reload_due(const struct master *master);
void reload_begin(struct master *master);
/* The start: the same from nothing. 0 or -1. */
int reload_start(struct master *master, struct conf *conf, struct failure *why);
/* Looks whether the running reload can be ended: every new listener ready, or one failed. */
void reload_check(struct master *master);
/* The daemon is going to stop: undoes the running reload, without a word. */
void reload_abandon(struct master *master);
/* A listener that the running reload waits for died or could not set up. */
void reload_fail(struct master *master, const struct failure *why);

/* watch.c */
/* Takes what a listener has to say, at most some hundred records; true when there may be more. */
bool watch_receive(struct master *master, struct generation *generation);
void watch_reap(struct master *master);
void watch_heartbeats(struct master *master);
/* True while every listener is fresh or being replaced. */
bool watch_all_fresh(const struct master *master);

/* upgrade.c */
void upgrade_init(struct master *master);
/* This program has taken another's place: what is to happen next (arrive.c). */
void upgrade_arrived(struct master *master, const struct heritage *heritage);
/* Starts one that is wanted, ends one that is late, and executes the new program once all is quiet:
 * then it does not return. */
void upgrade_check(struct master *master);
/* When that is due at the latest; 0: none runs. */
uint64_t upgrade_due(const struct master *master);
/* The child that looks at everything may have ended. */
void upgrade_reap(struct master *master);
/* The daemon stops. */
void upgrade_abandon(struct master *master);
/* A reload was accepted: true when it was the first one of a new program. */
bool upgrade_is_done(struct master *master);

/* preflight.c */
/* Starts the new program as a child that reads the state and the configuration. 0 or -1. */
int preflight_start(struct master *master, struct failure *why);
/* What has come of it, once it has ended: 0, or -1 with the reason; all its lines in either case.
 */
int preflight_judge(const struct upgrade *upgrade, const siginfo_t *info,
                    struct conf_mistakes *lines, struct failure *why);
/* Kills what lives of the child's group, reaps all of it, and closes what it was started with. */
void preflight_end(struct upgrade *upgrade);

/* succession.c */
/* What the next program has to know: an allocation, or NULL. Its `configuration` is a new
 * descriptor. */
struct heritage *succession_leave(const struct master *master, struct failure *why);
/* Takes it over; `conf` is that configuration. 0 or -1. */
int succession_take(struct master *master, const struct heritage *heritage, struct failure *why);

/* stop.c */
void stop_begin(struct master *master, bool at_once);
void stop_check(struct master *master);
bool stop_is_done(const struct master *master);

/* switches.c */
/* What a generation is to know before it takes clients. */
void switches_hand_over(const struct service_state *service, struct generation *generation);
/* Forgets what does not fit the service as it is configured now. */
void switches_fit(struct service_state *service);

/* requests.c: does what the client's line asks for; returns what it waits for now. */
enum control_wait requests_obey(struct master *master, struct control_client *client);

/* audit_descriptors.c: takes what is open and nobody's, once the daemon serves, for a library's. */
void audit_remember(struct master *master);
/* audit.c: the next look, if it is time. */
void audit_go_on(struct master *master);
/* When that is; 0: no audit runs. */
uint64_t audit_due(const struct master *master);
void audit_end(struct master *master);

/* control.c */
void control_init(struct master *master);
/* 0 or -1. */
int control_open(struct master *master, const char *path, struct failure *why);
void control_close(struct master *master);
size_t control_collect(const struct master *master, struct pollfd *fds);
void control_dispatch(struct master *master, const struct pollfd *fds, size_t count);
void control_expire(struct master *master);
/* Looks again at what had to wait for its turn; whether anything does. */
void control_go_on(struct master *master);
bool control_is_waiting(const struct master *master);
/* One line of an answer. A stalled client loses it, never the master's time. */
void control_say(const struct control_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void control_hang_up(struct control_client *client);
/* Tells those who wait for this reload how it went. */
void control_answer(struct master *master, bool accepted, const struct conf_mistakes *mistakes,
                    const char *reason);

/* Tells those who wait for this upgrade why there is none. */
void control_refuse_upgrade(struct master *master, const struct conf_mistakes *lines,
                            const char *reason);
/* Clients, into the state and back. */
void control_leave(const struct control *control, struct heritage *heritage);
int control_take(struct master *master, const struct heritage *heritage, struct failure *why);
/* Nobody is in the middle of a request. */
bool control_is_quiet(const struct control *control);

/* report.c */
void report_open_log(const struct master *master, const struct conf *conf);
enum tell report_wanted(const struct master *master);
/* The level in force, as in syslog(3). */
int report_log_level(const struct master *master);
/* Which it is may have changed: tells the log, the listeners and the board. */
void report_level(struct master *master);
/* The level for the index of one of log_level's words. */
int report_level_of(uint32_t word);
void report_ready(struct master *master);
void report_mistakes(const struct conf_mistakes *mistakes, bool rejected);
void report_record(struct master *master, const struct generation *generation,
                   const struct record *record);
/* Parts of the sandbox that a listener could not put on; told once, unless they change. */
void report_gaps(struct master *master, const struct generation *generation, const char *missing);
void report_session_end(struct master *master, const char *service, const struct record *record);
void report_state(struct master *master); /* USR1 */
/* Sessions whose end could not be told one by one since the last call. */
void report_dropped(struct master *master);
void report_titles(struct master *master);
void report_status(struct master *master);
/* The running reload has ended, well or not. */
void report_reloaded(struct master *master);
