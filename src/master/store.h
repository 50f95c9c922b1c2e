/*
 * The listening sockets, keyed by the address as it was configured. The master owns them all;
 * listeners hold copies. A reload opens what is new beside what is there; keeping or undoing that
 * is one call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"
#include "conf/service.h"
#include "sys/sockets.h"
#include "sys/systemd.h"

struct store_socket {
    int fd;                             /* -1: the entry is free */
    struct address wanted;              /* as configured; of a passed one, as it is bound */
    struct address bound;               /* as it is: with the port that the kernel chose */
    char service[SERVICE_NAME_MAX + 1]; /* part of the key where the kernel chooses the port */
    bool passed;                        /* from a .socket unit: never closed, never unlinked */
    bool fresh;                         /* opened since the last store_keep or store_undo */
    bool used;                          /* mark of the running sweep */
};

struct store {
    struct store_socket *sockets;
    size_t count;
    struct systemd_socket *given; /* what systemd passed */
    size_t given_count;
};

/* Takes over what systemd passed (it may be nothing). */
void store_open(struct store *store, struct systemd_socket *given, size_t count);

/* The sockets of a service, opened, adopted or found: fills out[] with indices into store->sockets.
 * A service whose name equals a passed socket's uses those and none of its `listen`. An IPv6
 * wildcard on a machine without IPv6 is left out when its IPv4 twin is there. Returns how many, or
 * -1: then what it opened waits for store_undo. */
int store_get(struct store *store, const struct service *service, size_t out[SERVICE_SOCKETS_MAX],
              struct failure *why);

/* What store_get is made of: one address, found, taken back from systemd's store, or bound; and a
 * socket that a .socket unit passed. NULL with *why, and errno where a system call failed. */
struct store_socket *store_obtain(struct store *store, const struct service *service,
                                  const struct address *wanted, struct failure *why);
struct store_socket *store_adopt(struct store *store, const struct service *service,
                                 struct systemd_socket *given, struct failure *why);

/* Passed sockets that no service uses; stored ones are closed. Fails naming the first. */
int store_check_given(const struct store *store, struct failure *why);

/* Ends a change: what is not marked used is closed, with its file and systemd's copy; passed ones
 * stay. */
void store_keep(struct store *store);
/* Ends a change: what was opened in it is closed. */
void store_undo(struct store *store);
/* Marks. */
void store_clear_marks(struct store *store);

/* Removes the file of a Unix socket that is to be closed. One that is left behind is told. */
void store_remove_file(int fd, const struct address *address);

/* Closes the master's copies. Files of Unix sockets go too, but for what systemd keeps for the next
 * start (its store holds the socket, and clients find it by that file). */
void store_close(struct store *store);
