/*
 * What ps(1) shows of a process: the argument area is overwritten in place, as setproctitle(3bsd)
 * does. The short name (comm) is set to `forkechod`, so that pgrep finds all three kinds.
 */
#pragma once

/* Takes over the area of argv and environ; environ is moved to the heap first. Called once by each
 * program, before any thread or title. With too little memory, titles stay as they were. */
void title_init(int argc, char **argv);
/* Sets the title; cut to the room there is. No allocation, no system call. */
void title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with a text that is ready: for a process just forked, which then runs none of printf's
 * code and writes to no page but the title's own. */
void title_put(const char *text) __attribute__((hot));
