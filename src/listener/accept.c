#include "listener/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/lists.h"
#include "session/session.h"
#include "sys/confine.h"

/* The longest pause leaves room to serve within a second whoever waited for its end. */
enum { BURST = 16, PAUSE_FIRST_MS = 50, PAUSE_LONGEST_MS = 800, LOOK_AGAIN_MS = 50 };

/* What accept4(2)'s errors ask for. Linux hands out here what happened to a connection while it
 * waited; that is no reason to stop. */
enum reaction { REACTION_BROKEN, REACTION_LEAVE, REACTION_NEXT, REACTION_PAUSE };

static const struct {
    int error;
    enum reaction reaction;
} reactions[] = {
    { EAGAIN, REACTION_LEAVE },         { EINTR, REACTION_NEXT },
    { ECONNABORTED, REACTION_NEXT },    { ECONNRESET, REACTION_NEXT },
    { ETIMEDOUT, REACTION_NEXT },       { EPERM, REACTION_NEXT },
    { ENETDOWN, REACTION_NEXT },        { EPROTO, REACTION_NEXT },
    { ENOPROTOOPT, REACTION_NEXT },     { EHOSTDOWN, REACTION_NEXT },
    { ENONET, REACTION_NEXT },          { EHOSTUNREACH, REACTION_NEXT },
    { EOPNOTSUPP, REACTION_NEXT },      { ENETUNREACH, REACTION_NEXT },
    { ENOSR, REACTION_NEXT },           { ESOCKTNOSUPPORT, REACTION_NEXT },
    { EPROTONOSUPPORT, REACTION_NEXT }, { EMFILE, REACTION_PAUSE },
    { ENFILE, REACTION_PAUSE },         { ENOBUFS, REACTION_PAUSE },
    { ENOMEM, REACTION_PAUSE },
};

static enum reaction reaction_to(int error)
{
    for (size_t i = 0; i < sizeof(reactions) / sizeof(reactions[0]); i++)
        if (reactions[i].error == error)
            return reactions[i].reaction;
    return REACTION_BROKEN;
}

/* Leaves the sockets alone for a while, longer each time, until a client gets its process again. */
static void pause_for(struct listener *listener, enum board_cause cause, int error)
{
    uint64_t next = listener->pause_ms == 0 ? PAUSE_FIRST_MS : 2 * listener->pause_ms;
    listener->pause_ms = next < PAUSE_LONGEST_MS ? next : PAUSE_LONGEST_MS;
    listener->pause_until_ms = listener->now_ms + listener->pause_ms;
    episode_note(listener, cause, false, NULL, error);
}

static bool has_room_on_board(struct listener *listener, enum board_cause *cause)
{
    if (board_service_live(&listener->board, listener->service_index) >=
        listener->service->instances)
        return false;
    *cause = CAUSE_MAX_SESSIONS;
    return board_live(&listener->board) < listener->board.sessions_max && slots_ready(listener);
}

/* Whether another client may come in. If not: why, and when to look again. The end of a session of
 * ours is noticed anyway. */
static bool has_room(struct listener *listener, enum board_cause *cause, uint64_t *again_ms)
{
    const struct service *service = listener->service;
    *again_ms = listener->now_ms + LOOK_AGAIN_MS;
    *cause = CAUSE_INSTANCES;
    if (!listener->is_worker && listener->children.live >= service->instances) {
        *again_ms = UINT64_MAX;
        return false;
    }
    if (!listener->is_worker && !has_room_on_board(listener, cause))
        return false;
    *cause = CAUSE_CPS;
    *again_ms = bucket_next(listener->cps, &service->cps, listener->now_ms);
    return *again_ms <= listener->now_ms;
}

/* Whether the next client is left in the kernel's queue. Where it is not known that one is there,
 * nothing is told: poll(2) will say when one comes. */
static bool must_wait(struct listener *listener, bool waiting)
{
    enum board_cause cause;
    uint64_t again_ms;
    listener->full_until_ms = 0;
    if (listener->service->over_limit != OVER_LIMIT_DEFER || has_room(listener, &cause, &again_ms))
        return false;
    if (waiting) {
        listener->full_until_ms = again_ms;
        episode_note(listener, cause, false, NULL, 0);
    }
    return true;
}

void accept_look_again(struct listener *listener)
{
    if (listener->full_until_ms != 0)
        must_wait(listener, true);
}

/* Gives the client its session, or keeps it in the retry slot. */
static void start_session(struct listener *listener, int fd, const struct address *client,
                          uint32_t source, uint64_t deadline_ms)
{
    int error = -EAGAIN;
    if (slots_ready(listener)) {
        uint32_t slot = slots_take(listener);
        error = children_fork(listener, fd, client, slot, source);
        if (error == 0) {
            listener->pause_ms = 0;
            return;
        }
        board_slot_close(&listener->board, slot);
        board_count(listener->block, COUNT_FORK_FAILURES, 1);
        slots_give(listener, slot);
    }
    listener->retry =
        (struct retry){ .fd = fd, .client = *client, .source = source, .deadline_ms = deadline_ms };
    pause_for(listener, CAUSE_PROCESSES, -error);
}

void accept_give_up(struct listener *listener)
{
    struct retry *retry = &listener->retry;
    struct record record = { .kind = RECORD_LOST, .cause = CAUSE_PROCESSES, .error = EAGAIN };
    char text[ADDRESS_TEXT_MAX];

    address_format_peer(&retry->client, listener->service->log_address, text, sizeof(text));
    record_set_text(&record, text);
    channel_send(&listener->channel, &record, true);
    board_count(listener->block, COUNT_REFUSED + CAUSE_PROCESSES, 1);
    sources_leave(listener->sources, retry->source);
    close(retry->fd);
    retry->fd = -1;
}

void accept_retry(struct listener *listener)
{
    struct retry retry = listener->retry;
    listener->retry.fd = -1;
    start_session(listener, retry.fd, &retry.client, retry.source, retry.deadline_ms);
    /* Only after the attempt: what it needed may have come back during the last pause. */
    if (listener->retry.fd >= 0 && listener->now_ms >= retry.deadline_ms)
        accept_give_up(listener);
}

bool accept_defers_rate(const struct listener *listener)
{
    const struct service *service = listener->service;
    return listener->is_worker && service->cps.tokens != 0 &&
           service->over_limit == OVER_LIMIT_DEFER;
}

/* The order is that of cost and of blame: a client that may not come in takes nothing from others.
 */
enum board_cause accept_judge(struct listener *listener, const struct address *client,
                              uint32_t *source)
{
    const struct service *service = listener->service;
    enum board_cause cause;
    uint64_t again_ms;

    if (access_check(service_networks(service, service->only_from), service->only_from.count,
                     service_networks(service, service->no_access), service->no_access.count,
                     client) != ACCESS_ALLOWED)
        return CAUSE_NO_ACCESS;
    switch (sources_enter(listener->sources, client, listener->now_ms, source)) {
    case SOURCE_ALLOWED:
        break;
    case SOURCE_TOO_MANY:
        return CAUSE_PER_SOURCE;
    case SOURCE_TOO_FAST:
        return CAUSE_PER_SOURCE_RATE;
    }
    if (service->over_limit == OVER_LIMIT_REFUSE && !has_room(listener, &cause, &again_ms)) {
        sources_leave(listener->sources, *source);
        return cause;
    }
    /* Of a pool's processes each looks for itself whether there is a token. */
    if (accept_defers_rate(listener) ||
        bucket_take(listener->cps, &service->cps, listener->now_ms) || !listener->is_worker)
        return CAUSE_COUNT;
    sources_leave(listener->sources, *source);
    return CAUSE_CPS;
}

static void admit(struct listener *listener, int fd, const struct address *client)
{
    uint32_t source = 0;
    enum board_cause cause = accept_judge(listener, client, &source);
    if (cause != CAUSE_COUNT)
        refuse_client(listener, fd, client, cause);
    else
        start_session(listener, fd, client, source, listener->now_ms + RETRY_MS);
}

void accept_close_port(struct listener *listener, struct port *port)
{
    /* Busy workers hold copies of it, in whose queue clients would wait for nobody. */
    if (listener->pool.shared != NULL && port->may_shut)
        confine_shut(port->fd);
    close(port->fd);
    port->fd = -1;
}

/* Nobody else is told, as accept_close_port would: the next listener may find it usable. */
void accept_give_up_port(struct listener *listener, struct port *port, int error)
{
    struct record record = { .kind = RECORD_BROKEN, .error = error };
    struct address address = { .kind = ADDRESS_SOCKET, .length = sizeof(address.socket) };
    char text[ADDRESS_TEXT_MAX], why[CHANNEL_TEXT_MAX + 128];

    if (getsockname(port->fd, &address.socket.any, &address.length) < 0)
        address.socket.any.sa_family = AF_UNSPEC;
    record_set_text(&record, address_format(&address, text, sizeof(text)));
    seats_forget(listener, port);
    close(port->fd);
    port->fd = -1;
    if (listener->phase == PHASE_ACCEPTING && !loop_has_port(listener)) {
        /* With the last one the listener goes: one failure, one line. */
        snprintf(why, sizeof(why), "accept4: %s, on %s", strerror(error), record.text);
        record.kind = RECORD_FAILED;
        record_set_text(&record, why);
    }
    channel_send(&listener->channel, &record, true);
}

/* What an error of accept4(2) asks for. Returns whether to try the next client. */
static bool react(struct listener *listener, struct port *port, int error)
{
    switch (reaction_to(error)) {
    case REACTION_NEXT:
        board_count(listener->block, COUNT_REFUSED + CAUSE_NETWORK, 1);
        return true;
    case REACTION_LEAVE:
        if (port->last_call)
            accept_close_port(listener, port);
        break;
    case REACTION_PAUSE:
        pause_for(listener, CAUSE_DESCRIPTORS, error);
        break;
    case REACTION_BROKEN:
        accept_give_up_port(listener, port, error);
        break;
    }
    return false;
}

static void take(struct listener *listener, struct port *port, int fd, struct address *client)
{
    if (port->early > 0) {
        port->early--;
        session_prepare_socket(fd, listener->service);
    }
    address_unmap(client);
    admit(listener, fd, client);
}

void accept_port(struct listener *listener, struct port *port, bool waiting)
{
    int failed = 0;
    for (int i = 0; i < BURST; i++) {
        struct address client = { .kind = ADDRESS_SOCKET, .length = sizeof(client.socket) };
        if (listener->pause_until_ms != 0 || !loop_takes_clients(listener))
            return;
        if (must_wait(listener, waiting && i == 0)) {
            if (port->last_call && !waiting)
                accept_close_port(listener, port);
            return;
        }
        int fd = accept4(port->fd, &client.socket.any, &client.length, SOCK_CLOEXEC);
        if (fd >= 0) {
            take(listener, port, fd, &client);
            if (port->last_call && --port->last_left == 0) {
                accept_close_port(listener, port);
                return;
            }
        } else if (react(listener, port, errno)) {
            failed++;
        } else {
            return;
        }
    }
    /* Nobody can come in, and nobody leaves the queue: a security module may refuse the call. */
    if (failed == BURST)
        pause_for(listener, CAUSE_NETWORK, errno);
}
