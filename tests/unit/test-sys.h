/* The cases of sys, one group a file, and what they share. */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <sys/types.h>

TCase *daemonize_cases(void);
TCase *pidfile_cases(void);
TCase *sockets_cases(void);
TCase *unix_cases(void);
TCase *unix_root_cases(void);
TCase *privilege_cases(void);
TCase *sandbox_cases(void);
TCase *root_cases(void);
#ifdef HAVE_SYSTEMD
TCase *systemd_cases(void);
#endif

/* A directory of the group's own, made before its first case and removed after its last. */
extern char scratch[];
void scratch_make(void);
void scratch_remove(void);
/* The path of `name` in it; valid until the fourth next call. */
const char *scratch_path(const char *name);

/* A group that reports its cases as skipped, and says why, where `possible` is false. The cases
 * themselves then have to return at once. */
TCase *group_where(const char *name, bool possible, const char *why_not);

/* From here on, this (forked) test is an ordinary user. */
void become_nobody(void);

/* Waits for a child. Its exit status, or minus the signal that ended it. */
int reap(pid_t child);
