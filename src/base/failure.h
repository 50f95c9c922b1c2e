/*
 * The error contract of the whole tree.
 *
 * A function that can fail does it in one of two ways, and its type says which:
 *
 *   int f(...)                       0 (or a value >= 0) on success, -errno on failure.
 *                                    Used where the caller knows what to do about it.
 *   int f(..., struct failure *why)  0 (or a value >= 0) on success, -1 on failure, and then
 *                                    `why` holds one line for a person and an exit status.
 *                                    Used where a person has to be told: start, reload, control.
 *
 * A failure's text reads `what, on what: why (what to do)`, without a newline.
 */
#pragma once

#include <stddef.h>

enum { FAILURE_TEXT_MAX = 512 };

struct failure {
    int status;                  /* of sysexits.h: EX_USAGE, EX_CONFIG, EX_OSERR, EX_NOPERM … */
    char text[FAILURE_TEXT_MAX]; /* always terminated; cut when too long */
};

/* Sets text and status. Returns -1, so that `return failure_set(why, EX_CONFIG, "…")` reads well.
 * `why` may be NULL: then only the -1 remains. */
int failure_set(struct failure *why, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, with `: ` and the text of `error` (an errno value) behind it. EPERM and EACCES turn the
 * status EX_OSERR into EX_NOPERM. */
int failure_errno(struct failure *why, int status, int error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
