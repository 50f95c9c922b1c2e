/*
 * What ps(1) shows of a process: the argument area is overwritten in place, as setproctitle(3bsd)
 * does. The short name (comm) is set to `forkechod`, so that pgrep finds all three kinds.
 */
#pragma once

#include <stdbool.h>

/* Takes over the area of argv and environ; environ is moved to the heap first. Called once by each
 * program, before any thread or title. With too little memory, titles stay as they were. */
void title_init(int argc, char **argv);
/* Sets the title; cut to the room there is. No allocation, no system call. */
void title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same in two halves, for a process that forks: the parent formats the title that its next
 * child is to have, the child shows it. The child then runs none of printf's code, whose pages it
 * would have to fault in: some fifteen per cent of what a short session costs. */
void title_prepare(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Returns false, changing nothing, when none was prepared. */
bool title_show(void);
