/*
 * Signals as events of a poll(2) loop, by signalfd(2): no handler runs, so nothing is interrupted,
 * and a loop that is always busy still sees them (ppoll(2) delivers none as long as some descriptor
 * is ready).
 */
#pragma once

#include <stddef.h>

/* Blocks these signals from now on, with their default dispositions, and returns a non-blocking,
 * close-on-exec descriptor that is readable when one is pending. -errno on failure. */
int signals_open(const int *numbers, size_t count);

/* Takes a pending signal; 0 when there is none. */
int signals_next(int fd);

/* Sets them to be ignored. */
void signals_ignore(const int *numbers, size_t count);
