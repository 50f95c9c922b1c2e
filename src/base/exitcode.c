#include "base/exitcode.h"

#include <signal.h>
#include <stddef.h>

static const struct {
    const char *text;
    bool error;
} ends[] = {
#define SESSION_END(name, status, text, error) [status] = { text, error },
    SESSION_ENDS(SESSION_END)
#undef SESSION_END
};

_Static_assert(sizeof ends / sizeof ends[0] == SESSION_END_COUNT, "the count is not the list's");

static enum session_end known(enum session_end end)
{
    return (unsigned int)end < SESSION_END_COUNT ? end : SESSION_UNKNOWN;
}

const char *session_end_text(enum session_end end)
{
    return ends[known(end)].text;
}

bool session_end_is_error(enum session_end end)
{
    return ends[known(end)].error;
}

enum session_end session_end_of(int code, int status, enum session_end asked)
{
    if (code == CLD_EXITED)
        return known((enum session_end)status);
    if (code != CLD_KILLED && code != CLD_DUMPED)
        return SESSION_UNKNOWN;
    if (status == SIGALRM)
        return SESSION_LIFETIME;
    /* Only these are ever sent to end a session: a crash just then is still a crash. */
    return status == SIGTERM || status == SIGKILL ? known(asked) : SESSION_CRASHED;
}
