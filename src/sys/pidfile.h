/* The pid file: its lock says that the daemon runs, its text says which process that is. */
#pragma once

#include "base/failure.h"

/* Creates (0644, O_NOFOLLOW) or takes over `path`, locks it for this process (an open file
 * description lock of fcntl(2): no child inherits its release), checks that the path still names
 * the locked file, and writes the number. Returns the descriptor to keep open, or -1: another
 * daemon holds it (its number is in the text), or the directory will not have it. */
int pidfile_open(const char *path, struct failure *why);

/* Removes the file if the path still names the locked one; closes. fd -1 is nothing. */
void pidfile_close(const char *path, int fd);
