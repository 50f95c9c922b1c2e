#include "sys/explain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int explain(struct failure *why, int error, const char *hint, const char *format, ...)
{
    char what[FAILURE_TEXT_MAX];
    bool hinted = hint && *hint;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    failure_set(why, error == EPERM || error == EACCES ? EX_NOPERM : EX_OSERR, "%s: %s%s%s%s", what,
                strerror(error), hinted ? " (" : "", hinted ? hint : "", hinted ? ")" : "");
    errno = error;
    return -1;
}
