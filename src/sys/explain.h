/* How the functions of sys/ tell a failed system call to a person. Internal to sys/. */
#pragma once

#include "base/failure.h"

/* `what: text of error (hint)`; without the parentheses where hint is NULL or empty. The status is
 * EX_NOPERM for EPERM and EACCES, else EX_OSERR. Sets errno to `error`. Returns -1. */
int explain(struct failure *why, int error, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
