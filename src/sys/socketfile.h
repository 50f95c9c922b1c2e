/* Unix sockets that have a file: it outlives its socket, and has a mode and an owner. Internal to
 * sys/. Failures as in sockets.h. */
#pragma once

#include "base/address.h"
#include "sys/sockets.h"

/* True for a Unix socket that is not abstract. */
bool socketfile_is_one(const struct address *address);

/* bind(2) and listen(2), replacing a stale file, with mode and owner set in between. 0 or -1. */
int socketfile_listen(int fd, const struct address *address, const struct socket_settings *settings,
                      struct failure *why);

/* Mode and owner of a file that is there; nothing where it is not ours any more. 0 or -1. */
int socketfile_adjust(int fd, const struct address *address, const struct socket_settings *settings,
                      struct failure *why);

/* Remembers that the file at this address is fd's. 0 or -errno. */
int socketfile_remember(int fd, const struct address *address);

/* Removes the file that is remembered, if it is still at its place; forgets it. Returns 0, or
 * -errno when it is left behind. */
int socketfile_remove(int fd, const struct address *address);
