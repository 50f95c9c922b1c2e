/*
 * Messages to the service manager (sd_notify(3)), by a sender of our own: that of libsystemd waits
 * without end when the manager does not read (with Linux's default queue from the eleventh message
 * on), and it wants NOTIFY_SOCKET in the environment, where children would find it. Internal to
 * sys/.
 */
#pragma once

#include <stdbool.h>

/* Where messages go: the value of NOTIFY_SOCKET, a path or @name. Returns false, and nothing is
 * ever sent, when it is neither. */
bool notify_open(const char *address);
bool notify_is_open(void);

/* One message, with a descriptor where fd is not -1. Waits at most wait_ms for room in the
 * manager's queue, then gives the message up. Returns 0 or -errno. */
int notify_send(const char *text, int fd, int wait_ms);
