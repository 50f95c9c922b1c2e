/*
 * The sandbox from inside: a listener puts it on once, before its first client, and every process
 * that it forks is born with it, which costs them nothing. Needs libc alone.
 *
 * Sessions may not fork, signal anybody, shut a port that others hold too or receive descriptors,
 * but their listener makes these calls, under the same filter. So the filter lets these calls
 * through only with the right number in their sixth argument, which the kernel passes to the filter
 * and which the calls do not have. The number is drawn for each listener and lies in a page that
 * fork(2) leaves out: a session could only guess it, and the first wrong guess is its end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/failure.h"

/* What sandbox_make (sys/sandbox.h) writes: this, and the filter's instructions behind it. */
struct confine_image {
    uint32_t count;      /* instructions; 0: no sandbox */
    uint32_t loose;      /* the filter leaves files to sanitizers: no Landlock, dumpable */
    unsigned long token; /* as wide as an argument */
};

/* Puts on what the descriptor `fd` holds: non-dumpable, no_new_privs, Landlock without any path
 * or port, the filter. A part that this kernel does not have, or that whoever started the daemon
 * forbids, is left out and named in `missing` ("landlock (ENOSYS), seccomp (EINVAL)", "landlock of
 * ports (version 2)"; empty: all is there). Returns 0, or -1 when the image cannot be read or there
 * is no memory. */
int confine(int fd, char *missing, size_t size, struct failure *why);

/* What a version of Landlock's interface (landlock(7)), 1 or more, cannot forbid of files and TCP
 * ports; NULL: it can forbid all. */
const char *confine_landlock_lacks(long version);

/* fork(2), kill(2), sigqueue(3), shutdown(2), in both directions, and recvmsg(2) of the process
 * that called confine; not of its children. As long as nobody has, they are just these.
 * confine_fork knows nothing of threads, and tells of the child's end by the signal `end`; whoever
 * inherits the child hears SIGCHLD. */
pid_t confine_fork(int end) __attribute__((hot));
int confine_kill(pid_t pid, int number);
int confine_queue(pid_t pid, int number, int value);
int confine_shut(int fd);
ssize_t confine_receive(int fd, struct msghdr *message, int flags);
