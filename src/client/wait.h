/*
 * Waiting, and the signals that end a wait. The signals are blocked everywhere else, so none is
 * lost between a look at what it left and the wait itself.
 */
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* From now on these signals (a list ended by 0) are recorded instead of acted upon. */
void wait_record(const int *signals);
/* True once for each time that the signal came (several in a row may be one). */
bool wait_taken(int signal);
/* True from the first SIGINT on. */
bool wait_interrupted(void);

/* As ppoll(2), until a moment of clock_us (0: for ever). Returns how many are ready, 0 at the
 * deadline, -EINTR when a recorded signal came. */
int wait_for(struct pollfd *fds, nfds_t count, uint64_t deadline_us);
/* The deadline of something that may take `timeout_us` from now (0: for ever). */
uint64_t wait_deadline(uint64_t timeout_us);
