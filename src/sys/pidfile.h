/*
 * The pid file: its lock says that the daemon runs, its text says which process that is.
 *
 * The lock is held as long as any process has the descriptor open. A child that only forks has to
 * close it first of all (io_close_all_but does), or the daemon seems to live on in it; a child that
 * executes a program loses it there. So it is to be opened in the daemon's final process.
 */
#pragma once

#include "base/failure.h"

/* Creates (0644, O_NOFOLLOW) or takes over `path`, locks it (an open file description lock of
 * fcntl(2)), checks that the path still names the locked file, and writes the number. Returns the
 * descriptor to keep open, or -1: another daemon holds it (its number is in the text), or the
 * directory will not have it. A file that another daemon holds is not touched. A new one has the
 * number in it from its first moment, where the file system can do that. */
int pidfile_open(const char *path, struct failure *why);

/* Removes the file if the path still names the locked one; closes. fd -1 is nothing. Returns 0, or
 * -errno when the file is left behind. */
int pidfile_close(const char *path, int fd);
