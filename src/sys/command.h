/*
 * The command that was typed, while it waits for the daemon that it started; and what the daemon
 * writes to it. Internal to sys/.
 *
 * On the pipe: the daemon's process number (0: there is none), then status, size and text of its
 * report.
 */
#pragma once

#include <signal.h>
#include <sys/types.h>

/* The daemon's side. 0 or -errno; an end that cannot be told is for the command to see. */
int command_tell_start(int pipe, pid_t daemon);
void command_tell_end(int pipe, int status, const char *text);

/* Prints a report as it is due (daemonize_report). */
void command_print(int status, const char *text);

/* The command's side: waits, prints, exits. `open` is the signal mask while waiting; all signals
 * are blocked when it is called. */
_Noreturn void command_wait(int pipe, pid_t middle, const sigset_t *open);
