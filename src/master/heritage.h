/*
 * What a program leaves to the one that takes its place (upgrade.c), as lines of text in a sealed
 * memfd: a word, then values parted by blanks. The kernel keeps what it refers to, descriptors and
 * child processes, across execve(2); what can be asked of the kernel is not written down.
 *
 * The next program may be another version, and the text need not come from a forkechod at all: it
 * is read as strictly as any input. One table (heritage.c) both writes and reads it.
 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/failure.h"
#include "board/board.h"
#include "conf/service.h"

/* The descriptor's number. */
#define HERITAGE_VARIABLE "FORKECHOD_STATE"
/* What a program says, its version behind it, that was asked with -t whether it can take over. */
#define HERITAGE_ANSWER "takes over: forkechod "

enum {
    HERITAGE_VERSION = 1, /* of the text; board and channel have versions of their own */
    HERITAGE_SOCKETS_MAX = 16384,
    HERITAGE_GIVEN_MAX = 512,
    HERITAGE_CLIENTS_MAX = 64,
    HERITAGE_DESCRIPTORS_MAX =
        5 + HERITAGE_SOCKETS_MAX + HERITAGE_GIVEN_MAX + BOARD_BLOCKS + HERITAGE_CLIENTS_MAX,
    HERITAGE_BYTES_MAX = 4 << 20
};

/* Indices of sockets. */
struct heritage_set {
    unsigned int count;
    uint32_t index[SERVICE_SOCKETS_MAX];
};

/* Members are int64_t whatever they mean, so that one reader and one writer do for all; -1 is none.
 * The first five are there once, the others once each thing; lines stand in the order of their
 * indices. */

struct heritage_program {
    int64_t version, board_version, channel_version;
    char program[sizeof(((struct board_header *)0)->program)]; /* its version */
};

struct heritage_process {
    int64_t pid;                      /* of the master */
    int64_t uid, gid;                 /* of listeners that have no user of their own */
    int64_t control, sessions;        /* of the board */
    int64_t configuration;            /* the one in force, as conf_dump writes it */
    int64_t pid_file, control_socket; /* -1: none */
    int64_t last_number;              /* of generations */
    int64_t reloads, upgrades;        /* the numbers of the last ones */
    int64_t upgrade_wanted;           /* another one was asked for meanwhile */
    int64_t next_sample_ms;
    int64_t log_dropped, log_untold; /* lines */
    int64_t log_switch;
    char user[OPTION_NAME_MAX]; /* of [daemon], at the start */
};

/* Paths have lines of their own, as the end of a line may have blanks. */
struct heritage_path {
    char path[PATH_MAX];
};

struct heritage_socket {
    int64_t fd; /* -1: nothing is at this index */
    int64_t any_port;
    char service[SERVICE_NAME_MAX + 1];
};

/* A socket that a .socket unit passed: also among the sockets when it is in use. */
struct heritage_given {
    int64_t fd;
    char name[256];
};

struct heritage_service {
    int64_t configured;
    int64_t current; /* block */
    int64_t restart_at_ms, backoff_ms, told_dropped;
    int64_t paused, drained, scale;
    struct heritage_set sockets;
    char name[SERVICE_NAME_MAX + 1];
};

struct heritage_generation {
    int64_t block, number, service, pid, fd, state;
    int64_t started_ms, told, last_ended, last_end, stuck;
    struct heritage_set sockets;
};

struct heritage_client {
    int64_t fd;
    int64_t reload, upgrade; /* the one it waits for; 0: none */
};

struct heritage {
    struct heritage_program program;
    struct heritage_process process;
    struct heritage_path executable; /* what is executed at an upgrade */
    struct heritage_path file;       /* the configuration's; empty: none */
    struct heritage_path pid_path;
    size_t socket_count, given_count, service_count, generation_count, client_count;
    struct heritage_socket sockets[HERITAGE_SOCKETS_MAX];
    struct heritage_given given[HERITAGE_GIVEN_MAX];
    struct heritage_service services[BOARD_SERVICES];
    struct heritage_generation generations[BOARD_BLOCKS];
    struct heritage_client clients[HERITAGE_CLIENTS_MAX];
};

/* Writes the lines. Returns 0, or -1 when a text has a line's end in it or `out` fails. */
int heritage_write(const struct heritage *heritage, FILE *out, struct failure *why);

/* Reads them back: every line known, every value in its range, nothing missing or twice, no
 * descriptor named twice, every index pointing at something. `text` is changed. Returns 0 or -1. */
int heritage_parse(char *text, size_t size, struct heritage *out, struct failure *why);
/* The last of that: what lines say of each other. */
int heritage_check(const struct heritage *heritage, struct failure *why);

/* Puts them in a sealed memfd. Returns the descriptor or -1. */
int heritage_seal(const struct heritage *heritage, struct failure *why);

/* The descriptor that the variable names, -1 without one. */
int heritage_descriptor(void);

/* Reads what a sealed memfd holds. Returns an allocation, or NULL. */
struct heritage *heritage_read(int fd, struct failure *why);

/* The descriptors that pass to the next program, each once: out[HERITAGE_DESCRIPTORS_MAX]. Returns
 * how many. */
size_t heritage_descriptors(const struct heritage *heritage, int *out);
