/* Time for deadlines. CLOCK_MONOTONIC alone: a step of the wall clock moves no deadline. */
#pragma once

#include <stdint.h>

/* Milliseconds, microseconds since some fixed moment. Never fails, no system call (vDSO). */
uint64_t clock_ms(void);
uint64_t clock_us(void) __attribute__((hot));

/* Milliseconds from now until `deadline`, as poll(2) wants them: 0 when it has passed,
 * `limit` when it is further away than that. A deadline of 0 means never. */
int clock_until(uint64_t now_ms, uint64_t deadline_ms, int limit);
