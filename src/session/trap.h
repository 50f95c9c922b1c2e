/*
 * What befalls a process that makes a system call which the sandbox does not know: SIGSYS
 * (seccomp(2), SECCOMP_RET_TRAP). The call is written down for whoever reaps the process, which
 * exits at once with SESSION_SANDBOX.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* From now on, and in children. */
void trap_install(void);

/* Where the call's number + 1 is written, so that 0 stands for none. NULL: nowhere. */
void trap_write_to(_Atomic uint32_t *where) __attribute__((hot));
