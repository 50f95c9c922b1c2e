/*
 * The sandbox from outside: the master says which system calls listeners and sessions may make, and
 * compiles that to a filter (libseccomp(3), of which nobody else knows), which they put on
 * themselves (sys/confine.h).
 *
 * A call that is not in the list raises SIGSYS; whoever made it writes its number down and exits
 * (session/trap.h). One of another architecture kills at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

/* The profile that this program knows: `strict`; in a build with sanitizers, which open files,
 * trace and start threads, `sanitizers`. */
extern const char sandbox_profile[];

/* A sealed memfd with the filter (off: with none) for one listener; the caller closes it. -1 on
 * failure. */
int sandbox_make(bool off, struct failure *why);

/* The name of a system call, from its number + 1 as trap_install has it; what is none becomes its
 * number. Returns `text`. */
const char *sandbox_call(uint32_t call, char *text, size_t size);
