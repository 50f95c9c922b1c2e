/*
 * Files whose lock says that somebody is at work. The lock belongs to the open file description
 * (F_OFD_SETLK of fcntl(2)): it goes when the last descriptor of it is closed, also by a death, and
 * not when some other descriptor of the same file is. Internal to sys/.
 */
#pragma once

#include <sys/types.h>

/* Creates or takes over `path` and locks it. Returns the descriptor, for reading and writing, or
 * -errno: -EAGAIN when another process holds it, -ELOOP for a symbolic link, -EEXIST for whatever
 * else is not a regular file with one name. The path names the locked file when this returns. */
int lockfile_open(const char *path, mode_t mode);

/* Creates it, locked and with this text from the moment it has its name. The descriptor as above,
 * or -errno: -EEXIST when the name is taken, something else where the file system cannot do that
 * (O_TMPFILE of open(2)); lockfile_open is to be tried then. */
int lockfile_create(const char *path, mode_t mode, const char *text);

/* Removes the file if `path` still names the locked one; closes. Returns 0, or -errno when the file
 * is left behind. */
int lockfile_close(const char *path, int fd);
