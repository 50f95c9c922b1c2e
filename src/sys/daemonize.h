/*
 * The daemonizer, by the book (daemon(7), "SysV daemons"): fork, setsid, fork, chdir /, umask 0,
 * every descriptor closed but the named ones, 0–2 on /dev/null. The command that was typed waits on
 * a pipe until the daemon is ready or has failed, prints what the daemon has to say, and exits with
 * its status: a start that failed is never reported as a success.
 */
#pragma once

#include <stddef.h>

/* In every way of running: descriptors 0–2 open, signal dispositions and mask as a program expects
 * them (an init script may hand in SIGCHLD or SIGHUP ignored), umask 0. */
void daemonize_repair(void);

/* Detaches. Returns in the daemon alone, 0, with 0–2 on /dev/null and everything but keep[] closed;
 * the calling process and the middle one never return. -1 with errno where it could not fork. The
 * waiting command gives up after 60 s. */
int daemonize(const int *keep, size_t count);

/* Tells the waiting command: `text` is printed (stdout when status is 0, else stderr) and it exits
 * with `status`. Closes the pipe; without daemonize() before it, prints and returns. Once only;
 * later calls do nothing. With status 0, `text` is empty or what -1 prints. */
void daemonize_report(int status, const char *text);
