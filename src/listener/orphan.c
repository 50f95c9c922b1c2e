#include "listener/listener.h"

#include <errno.h>
#include <signal.h>

#include "sys/confine.h"

enum { KILL_AFTER_MS = 500 };

void orphan_become(struct listener *listener)
{
    if (listener->orphan.yes)
        return;
    listener->orphan.yes = true;
    loop_drain(listener, 0);
    listener->orphan.end_at_ms = listener->now_ms + listener->service->graceful_timeout + 1;
}

void orphan_ward(struct listener *listener, pid_t group, bool yes)
{
    struct orphan *orphan = &listener->orphan;
    unsigned int at = 0;
    while (at < orphan->ward_count && orphan->wards[at] != group)
        at++;
    if (yes && at == orphan->ward_count && at < WARDS_MAX)
        orphan->wards[orphan->ward_count++] = group;
    else if (!yes && at < orphan->ward_count)
        orphan->wards[at] = orphan->wards[--orphan->ward_count];
}

static void signal_all(struct listener *listener, int number)
{
    const struct orphan *orphan = &listener->orphan;
    if (orphan->yes) /* while the master lives, it looks after them itself */
        for (unsigned int i = 0; i < orphan->ward_count; i++)
            confine_kill(-orphan->wards[i], number);
    confine_kill(0, number);
}

void orphan_end_sessions(struct listener *listener)
{
    loop_drain(listener, 0);
    listener->ending = true;
    refuse_expire(listener, true);
    if (listener->retry.fd >= 0)
        accept_give_up(listener);
    signal_all(listener, SIGTERM);
    /* Busy workers hear that one when they wait again. */
    struct child *child = NULL;
    while ((child = children_next(&listener->children, child)) != NULL)
        if (child->worker)
            pool_end_session(child, 0);
}

void orphan_expire(struct listener *listener)
{
    struct orphan *orphan = &listener->orphan;
    uint64_t now = listener->now_ms;
    if (orphan->end_at_ms != 0 && now >= orphan->end_at_ms) {
        orphan->end_at_ms = 0;
        orphan->kill_at_ms = now + KILL_AFTER_MS;
        orphan_end_sessions(listener);
    }
    if (orphan->kill_at_ms != 0 && now >= orphan->kill_at_ms)
        signal_all(listener, SIGKILL); /* this process too */
}

bool orphan_wards_gone(struct listener *listener)
{
    struct orphan *orphan = &listener->orphan;
    if (!orphan->yes)
        return true;
    for (unsigned int i = orphan->ward_count; i > 0; i--)
        if (confine_kill(-orphan->wards[i - 1], 0) < 0 && errno == ESRCH)
            orphan->wards[i - 1] = orphan->wards[--orphan->ward_count];
    return orphan->ward_count == 0;
}
