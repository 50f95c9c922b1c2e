#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int failure_set(struct failure *why, int status, const char *format, ...)
{
    va_list arguments;

    if (!why)
        return -1;
    why->status = status;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return -1;
}

int failure_errno(struct failure *why, int status, int error, const char *format, ...)
{
    va_list arguments;
    size_t length;

    if (!why)
        return -1;
    why->status = status == EX_OSERR && (error == EPERM || error == EACCES) ? EX_NOPERM : status;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    length = strlen(why->text);
    snprintf(why->text + length, sizeof why->text - length, ": %s", strerror(error));
    return -1;
}
