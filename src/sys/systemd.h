/*
 * systemd's protocols: the only file that includes libsystemd. Built --without-systemd, nothing is
 * passed, nothing is notified, and every function says so by doing nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/address.h"
#include "base/failure.h"

enum { SYSTEMD_SOCKETS_MAX = 500 };

/* A socket that came with the process: from a .socket unit, or back from the descriptor store. */
struct systemd_socket {
    int fd;
    bool stored; /* from the store (its name starts with `store-`) */
    bool taken;  /* for whoever adopts them to mark */
    char name[256];
    struct address address;
};

/* Reads and unsets LISTEN_*, WATCHDOG_* and NOTIFY_SOCKET (kept privately), checks every socket.
 * Before any fork: the variables name the original process (sd_listen_fds(3)). Returns how many
 * sockets, or -1. *sockets stays valid for good. A descriptor from the store that is no listening
 * socket is closed and left out: the store outlives restarts, so failing would fail for good. */
int systemd_adopt(struct systemd_socket **sockets, struct failure *why);

/* The descriptors of those, to be spared when the daemonizer closes everything. */
size_t systemd_descriptors(int *out, size_t size);

/* Puts NOTIFY_SOCKET and WATCHDOG_* back into the environment, for a program that this process is
 * about to execute in its own place; takes them out again, should that fail. */
void systemd_leave(void);
void systemd_stay(void);

/* True where a service manager listens to us. */
bool systemd_is_manager(void);

/* sd_notify(3) messages. All do nothing without a manager. None blocks; those that change the
 * unit's state, and the store, wait for room in the manager's queue, a second at most; when one
 * of those (but STOPPING=1: the manager sees the end) cannot be sent, it is logged, and none after
 * it until one gets through. */
void systemd_ready(const char *status);     /* READY=1, STATUS=, MAINPID= */
void systemd_reloading(void);               /* RELOADING=1, MONOTONIC_USEC= */
void systemd_stopping(const char *status);  /* STOPPING=1, STATUS= */
void systemd_status(const char *status);    /* STATUS= */
void systemd_extend(uint64_t milliseconds); /* EXTEND_TIMEOUT_USEC= */
void systemd_watchdog(void);                /* WATCHDOG=1 */

/* How often the watchdog wants to hear from us, in ms (half of WATCHDOG_USEC); 0: not at all. */
uint64_t systemd_watchdog_period(void);

/* Puts a listening socket in the descriptor store under a name made from its address, takes it out.
 * Different addresses have different names, of at most 255 characters. */
void systemd_store(int fd, const struct address *address);
void systemd_unstore(const struct address *address);
