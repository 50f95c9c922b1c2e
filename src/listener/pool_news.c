/* What the workers of a pool say, and what befalls them. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "listener/listener.h"
#include "sys/confine.h"

enum { HEAR_MAX = 256 /* records a turn */ };

/* The keeper takes no clients, so it hears of a socket that is unusable from those who do. */
static void give_up_port(struct listener *listener, const struct record *record)
{
    bool known = record->count < listener->port_count && listener->ports[record->count].fd >= 0;
    if (known && listener->phase == PHASE_ACCEPTING) /* else it was closed, as it should be */
        accept_give_up_port(listener, &listener->ports[record->count], record->error);
}

/* A worker speaks for itself alone: who it is, the kernel says. */
static void hear_one(struct listener *listener, struct record *record, pid_t pid)
{
    struct child *child = children_find(&listener->children, pid);
    if (child == NULL)
        return;
    record->pid = pid;
    record->slot = child->slot;
    record->text[sizeof(record->text) - 1] = '\0';
    if (record->kind == RECORD_SESSION_END && record->end < SESSION_END_COUNT) {
        bool error = session_end_is_error((enum session_end)record->end);
        child->told_turn = (uint32_t)record->count;
        child->told_end = (enum session_end)record->end;
        child->killed = false; /* that was meant for a session which ended otherwise */
        record->count = 0;
        if (channel_send(&listener->channel, record, error) < 0)
            board_count(listener->block, COUNT_DROPPED, 1);
    } else if (record->kind == RECORD_SESSION_START) {
        channel_send(&listener->channel, record, false);
    } else if (record->kind == RECORD_BROKEN) {
        give_up_port(listener, record);
    } else if (record->cause < CAUSE_COUNT &&
               (record->kind == RECORD_REFUSED || record->kind == RECORD_THROTTLE_BEGIN)) {
        for (uint64_t i = 0; i < record->count && i < UINT16_MAX; i++)
            episode_note(listener, (enum board_cause)record->cause, record->kind == RECORD_REFUSED,
                         record->text[0] != '\0' ? record->text : NULL, record->error);
    }
}

void pool_hear(struct listener *listener, bool all)
{
    for (int i = 0; all || i < HEAR_MAX; i++) {
        struct record record;
        char control[CMSG_SPACE(sizeof(struct ucred))];
        struct iovec part = { &record, sizeof(record) };
        struct msghdr message = { .msg_iov = &part,
                                  .msg_iovlen = 1,
                                  .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        struct ucred peer;
        ssize_t got;
        do
            got = confine_receive(listener->pool.reports[0], &message, MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
        if (got != sizeof(record))
            return;
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header == NULL || header->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&peer, CMSG_DATA(header), sizeof(peer));
        hear_one(listener, &record, peer.pid);
    }
}

void pool_noticed(struct listener *listener, struct child *child, const siginfo_t *info)
{
    child->stopped_ms = info->si_code == CLD_CONTINUED ? 0 : listener->now_ms;
    listener->pool.look_ms = 0;
}

/* The dead one was counting its client, or giving him back: whether that was done is not known. */
static void repair_sources(struct listener *listener)
{
    struct child *child = NULL;
    struct board_row row;
    listener->pool.doubtful = true; /* who comes just now may be counted twice */
    sources_forget_sessions(listener->sources);
    while ((child = children_next(&listener->children, child)) != NULL)
        if (board_read(&listener->board, child->slot, &row) && row.pool)
            sources_count_again(listener->sources, row.source);
        else
            sources_count_again(listener->sources, child->source);
}

static void tell_death(struct listener *listener, const struct child *child, const siginfo_t *info)
{
    struct record record = { .kind = RECORD_WORKER_DIED,
                             .pid = child->pid,
                             .slot = child->slot,
                             .error = info->si_code == CLD_EXITED ? info->si_status : 0,
                             .signal = info->si_code == CLD_EXITED ? 0 : info->si_status,
                             .count = child->denied };
    channel_send(&listener->channel, &record, true);
}

void pool_lost(struct listener *listener, const struct child *child, const siginfo_t *info)
{
    struct pool *pool = &listener->pool;
    bool asked = child->dismissed || listener->phase != PHASE_ACCEPTING || child->killed;
    bool violated = info->si_code == CLD_EXITED && info->si_status == SESSION_SANDBOX;
    bool in_order = info->si_code == CLD_EXITED
                        ? info->si_status == 0 || (child->waited && !violated)
                        : info->si_status == SIGTERM && asked;
    pool->look_ms = 0;
    seats_give(listener, child->seat);
    if (child->unsettled)
        repair_sources(listener);
    if (in_order && info->si_code == CLD_EXITED) {
        pool->backoff_ms = 0;
        return;
    }
    /* With a client its line says it all. */
    if (!in_order && !child->served)
        tell_death(listener, child, info);
    if (child->waited || in_order)
        return;
    pool->backoff_ms = pool_backoff(pool->backoff_ms);
    pool->retry_ms = listener->now_ms + pool->backoff_ms;
}

void pool_end_session(const struct child *child, uint32_t turn)
{
    confine_queue(child->pid, POOL_SIGNAL, (int)turn);
}
