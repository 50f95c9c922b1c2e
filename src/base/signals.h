/*
 * Signals as events of a poll(2) loop, by signalfd(2): no handler runs, so nothing is interrupted,
 * and a loop that is always busy still sees them (ppoll(2) delivers none as long as some descriptor
 * is ready).
 */
#pragma once

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

struct signals {
    int fd; /* readable when one is pending; close-on-exec */
    sigset_t set;
};

/* Blocks these signals from now on, with their default dispositions. 0 or -errno. */
int signals_open(struct signals *signals, const int *numbers, size_t count);

/* Takes a pending signal, the lowest number first, or 0. *process: whose end it tells, or who sent
 * it. (By sigtimedwait(2), because signalfd(2) has no process for real-time signals of ends.) */
int signals_next(const struct signals *signals, pid_t *process);

/* Sets them to be ignored. */
void signals_ignore(const int *numbers, size_t count);
