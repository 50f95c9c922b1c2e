/*
 * Listening sockets: made, adopted, set up, named. Every one is non-blocking and close-on-exec.
 *
 * Where a system call made a function of this file fail, errno is what it set. So a caller knows
 * what is no failure to it: EAFNOSUPPORT from sockets_listen means that this kernel lacks the
 * address family, which for [::] beside 0.0.0.0 is worth a notice only.
 */
#pragma once

#include <stdbool.h>

#include "base/address.h"
#include "base/failure.h"

/* What a listening socket needs before bind(2). Plain values; the caller takes them from a service.
 */
struct socket_settings {
    unsigned int backlog;
    bool freebind;
    bool shared;                /* sockets_share */
    const char *bind_to_device; /* "" for none */
    unsigned int socket_mode;   /* Unix sockets: fchmod-ed before bind, whatever the umask */
    const char *socket_user;    /* "" for this process's own; chowned before listen */
    const char *socket_group;   /* the same */
};

/* Binds and listens. SO_REUSEADDR always, IPV6_V6ONLY always; a stale Unix socket (one that refuses
 * a connection) is replaced, a live one or a file of another kind is a failure, and nothing is
 * touched. Of several daemons that try this at a time one succeeds: while it is at work it holds a
 * lock on the file PATH.lock. *address gets the port that the kernel chose where it was 0. Returns
 * the descriptor or -1. */
int sockets_listen(struct address *address, const struct socket_settings *settings,
                   struct failure *why);

/* Whether another socket of this user, shared too, may take an address that overlaps the one of fd,
 * as 0.0.0.0 does 127.0.0.1 on the same port. For the moment of sockets_listen alone; yet the
 * kernel remembers until the port is free: a program of the same user that asks to share could
 * join, as it could also kill the daemon. */
void sockets_share(int fd, bool yes);

/* Gives an open listening socket the settings that can still change: backlog, device, mode, owner.
 * Returns 0 or -1. */
int sockets_adjust(int fd, const struct address *address, const struct socket_settings *settings,
                   struct failure *why);

/* Checks that fd is a listening stream socket of a family we serve, sets it non-blocking and
 * close-on-exec, and reads its address. Returns 0 or -1. */
int sockets_adopt(int fd, struct address *address, struct failure *why);

/* Whether nobody can connect any more, because the file of a Unix socket has been deleted. */
bool sockets_is_lost(const struct address *address);

/* Removes the file of a Unix socket, if it is still the one that sockets_listen made for fd (or
 * that sockets_adopt found). fd has to be open still, so that nobody takes the file for stale.
 * Returns 0, or -errno when the file is left behind. */
int sockets_unlink(int fd, const struct address *address);
