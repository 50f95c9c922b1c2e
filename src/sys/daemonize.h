/*
 * The daemonizer, by the book (daemon(7), "SysV daemons"): fork, setsid, fork, chdir /, umask 0,
 * every descriptor closed but the named ones, 0–2 on /dev/null. The command that was typed waits on
 * a pipe until the daemon is ready or has failed, prints what the daemon has to say, and exits with
 * its status: a start that failed is never reported as a success.
 */
#pragma once

#include <stddef.h>

/* In every way of running, first of all: descriptors 0–2 open, umask 0, no signal blocked, none
 * ignored (an init script may hand in SIGCHLD or SIGHUP so) but SIGPIPE, which always is. */
void daemonize_repair(void);

/* Detaches. Returns in the daemon alone, 0, with 0–2 on /dev/null and everything but keep[] (at
 * most 511) closed; the calling process and the middle one never return. -1 with errno where it
 * could not fork; what fails after that is reported, and ends the daemon.
 *
 * The calling process waits for daemonize_report. Where the daemon dies without one, it says so and
 * exits with EX_OSERR; so it does where the report is lost, and then it ends the daemon. A signal
 * that would end it (HUP INT QUIT TERM), or 60 s without a report, ends the daemon too: SIGTERM,
 * after 10 s SIGKILL. */
int daemonize(const int *keep, size_t count);

/* Tells the waiting command: `text` is printed and it exits with `status`. With status 0, text is
 * what is to stand on stdout (or empty); else each of its lines goes to stderr behind `forkechod:
 * `. Without daemonize() before it, prints and returns. Once only; later calls do nothing. */
void daemonize_report(int status, const char *text);
