#include "listener/listener.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/private.h"
#include "base/text.h"
#include "base/title.h"
#include "session/session.h"
#include "sys/streams.h"

enum {
    TITLE_MAX = 160,
    TURN_MS = 1000,
    TITLE_MS = 100,
    HELD_TURN_MS = 50,
    KILL_AFTER_MS = 500,
    FIXED = 2,
    SET_MAX = FIXED + SERVICE_SOCKETS_MAX + REFUSED_MAX + 1
};

/* What is waited for: signals, the master, clients if they may come in, those refused that still
 * talk. */
struct poll_set {
    struct pollfd fds[SET_MAX];
    struct port *ports[SERVICE_SOCKETS_MAX];
    nfds_t count, reports; /* where the workers are heard; 0: nowhere */
    unsigned int port_count, refused_count;
    bool last_call; /* do not wait: a last call ends when there is nothing to take */
};

int loop_open(struct listener *listener)
{
    const int wanted[] = { SIGTERM, SIGCHLD, SIGTTIN, SIGTTOU, CHILD_ENDED };
    listener->set = private_new(sizeof(*listener->set));
    if (listener->set == NULL)
        return -errno;
    session_prepare_signals();
    return signals_open(&listener->signals, wanted, sizeof(wanted) / sizeof(wanted[0]));
}

static void open_for_clients(struct listener *listener)
{
    const struct service *service = listener->service;
    for (unsigned int i = 0; i < listener->port_count; i++) {
        struct port *port = &listener->ports[i];
        session_prepare_socket(port->fd, service);
        port->early = sockets_waiting(port->fd);
        if (listener->pool.shared != NULL)
            listener->pool.shared->early[i] = port->early;
    }
    bucket_fill(listener->cps);
    listener->phase = PHASE_ACCEPTING;
}

void loop_drain(struct listener *listener, uint64_t last)
{
    listener->phase = PHASE_DRAINING;
    listener->full_until_ms = 0; /* whether anybody waits at the ports that are left will be seen */
    for (unsigned int i = 0; i < listener->port_count; i++) {
        struct port *port = &listener->ports[i];
        if (port->fd >= 0 && (last >> i & 1) != 0) {
            port->last_call = true;
            port->last_left = listener->service->backlog + 1;
        } else if (port->fd >= 0) {
            accept_close_port(listener, port);
        }
    }
    pool_dismiss(listener);
    seats_close(listener);
}

/* Which ports belong to nobody else. */
static void allow_shutting(struct listener *listener, uint64_t ports)
{
    for (unsigned int i = 0; i < listener->port_count; i++)
        listener->ports[i].may_shut = (ports >> i & 1) != 0;
}

static void obey(struct listener *listener, const struct record *record)
{
    switch ((enum record_kind)record->kind) {
    case RECORD_GO:
        if (listener->phase == PHASE_WAITING) {
            allow_shutting(listener, record->sockets);
            open_for_clients(listener);
        }
        break;
    case RECORD_SCALE:
        pool_scale(listener, (uint32_t)record->count);
        break;
    case RECORD_TELL:
        listener->tell = (enum tell)record->count;
        break;
    case RECORD_DRAIN:
        allow_shutting(listener, record->count);
        loop_drain(listener, listener->phase == PHASE_WAITING ? 0 : record->sockets);
        if (record->duration_us > 0)
            listener->drain_deadline_ms = listener->now_ms + record->duration_us / 1000;
        break;
    case RECORD_PAUSE:
        listener->paused = record->count != 0;
        listener->full_until_ms = 0; /* nobody is taken, so nobody waits for room */
        break;
    case RECORD_END_SESSION:
        children_end_session(listener, record->slot, (uint32_t)record->count);
        break;
    case RECORD_STOPPING:
        listener->stopping = true;
        break;
    case RECORD_END_ALL:
        orphan_end_sessions(listener);
        break;
    case RECORD_WARD:
        orphan_ward(listener, record->pid, record->count != 0);
        break;
    default: /* what a listener says itself */
        break;
    }
}

static void listen_to_master(struct listener *listener)
{
    struct record record;
    int got;
    while ((got = channel_receive(&listener->channel, &record)) > 0)
        obey(listener, &record);
    if (got < 0)
        orphan_become(listener);
}

static void look_at_signals(struct listener *listener)
{
    int number;
    pid_t process;
    while ((number = signals_next(&listener->signals, &process)) != 0) {
        if (number == CHILD_ENDED)
            children_reap(listener, process);
        else if (number == SIGCHLD)
            children_look(listener);
        else if (number == SIGTTIN || number == SIGTTOU)
            pool_step(listener, number == SIGTTIN ? 1 : -1);
        /* The kernel tells of the master's death so. Anybody else's TERM is not heard: no client
         * would be taken any more until the last one of now has gone. */
        else if (getppid() != listener->master)
            orphan_become(listener);
    }
}

static bool ends_held(const struct listener *listener)
{
    return listener->stopping && listener->service->hold_process > 0;
}

/* What is done once a second: count for those who watch, and see to children whose signal was lost.
 */
static void look_around(struct listener *listener)
{
    unsigned int waiting = 0;
    if (listener->now_ms < listener->around_ms)
        return;
    listener->around_ms = listener->now_ms + TURN_MS;
    children_sweep(listener);
    listener->title_stale = true;
    for (unsigned int i = 0; i < listener->port_count; i++)
        if (listener->ports[i].fd >= 0)
            waiting += sockets_waiting(listener->ports[i].fd);
    atomic_store_explicit(&listener->block->waiting, waiting, memory_order_relaxed);
}

static void look_at_clock(struct listener *listener)
{
    uint64_t now = listener->now_ms;
    if (listener->pause_until_ms != 0 && now >= listener->pause_until_ms) {
        listener->pause_until_ms = 0;
        if (listener->retry.fd >= 0)
            accept_retry(listener);
    }
    if (listener->drain_deadline_ms != 0 && now >= listener->drain_deadline_ms) {
        listener->drain_deadline_ms = 0;
        loop_drain(listener, 0);
    }
    orphan_expire(listener);
    if (ends_held(listener))
        children_end_held(listener);
    accept_look_again(listener);
    refuse_expire(listener, false);
    episode_expire(listener, false);
    look_around(listener);
    pool_keep(listener);
}

void loop_show_title(const struct listener *listener)
{
    const struct pool *pool = &listener->pool;
    char title[TITLE_MAX], workers[32] = "";
    uint32_t live = pool->shared != NULL ? pool->busy : listener->children.live;

    if (pool->shared != NULL)
        snprintf(workers, sizeof(workers), " %u worker%s", listener->children.live,
                 text_plural(listener->children.live));
    snprintf(title, sizeof(title), "forkechod: listener %s [%u/%u]%s%s",
             listener->service->service_name, live, listener->service->instances, workers,
             listener->phase == PHASE_DRAINING ? " finishing"
             : listener->paused                ? " paused"
                                               : "");
    title_put(title);
}

/* Ten times a second at most: it would change with every client. */
static void keep_title(struct listener *listener)
{
    if (!listener->title_stale || listener->now_ms < listener->title_ms)
        return;
    listener->title_stale = false;
    listener->title_ms = listener->now_ms + TITLE_MS;
    loop_show_title(listener);
}

bool loop_has_port(const struct listener *listener)
{
    for (unsigned int i = 0; i < listener->port_count; i++)
        if (listener->ports[i].fd >= 0)
            return true;
    return false;
}

/* Nothing left to do but to tell the master what it has not heard yet. */
static bool is_done(struct listener *listener)
{
    if (!orphan_wards_gone(listener) || listener->phase != PHASE_DRAINING ||
        loop_has_port(listener) || listener->children.live > 0 || listener->retry.fd >= 0 ||
        listener->refused_count > 0)
        return false;
    episode_expire(listener, true);
    return listener->orphan.yes || channel_flush(&listener->channel) <= 0;
}

static int time_to_wait(const struct listener *listener)
{
    uint64_t now = listener->now_ms;
    int wait = ends_held(listener) ? HELD_TURN_MS : TURN_MS;
    wait = clock_until(now, listener->pause_until_ms, wait);
    wait = clock_until(now, listener->full_until_ms, wait);
    wait = clock_until(now, listener->drain_deadline_ms, wait);
    for (unsigned int i = 0; i < listener->refused_count; i++)
        wait = clock_until(now, listener->refused[i].deadline_ms, wait);
    wait = clock_until(now, listener->orphan.end_at_ms, wait);
    if (listener->title_stale)
        wait = clock_until(now, listener->title_ms, wait);
    wait = pool_wait(listener, wait);
    return clock_until(now, listener->orphan.kill_at_ms, wait);
}

/* Last calls end a pause: who waits at a socket that goes away is served now or never. */
bool loop_takes_clients(const struct listener *listener)
{
    if (listener->phase != PHASE_ACCEPTING || listener->paused)
        return listener->phase == PHASE_DRAINING;
    /* A pool takes its clients itself; whom it has no room for is told here. */
    return listener->pool.shared == NULL ||
           (listener->service->over_limit == OVER_LIMIT_REFUSE && pool_is_full(listener));
}

static void collect(struct listener *listener, struct poll_set *set)
{
    short to_master = listener->channel.queued > 0 ? POLLIN | POLLOUT : POLLIN;
    set->port_count = 0;
    set->last_call = false;
    set->refused_count = listener->refused_count;
    set->fds[0] = (struct pollfd){ .fd = listener->signals.fd, .events = POLLIN };
    set->fds[1].fd = listener->orphan.yes ? -1 : listener->channel.fd;
    set->fds[1].events = to_master;
    set->count = FIXED;
    for (unsigned int i = 0; i < set->refused_count; i++)
        set->fds[set->count++] = (struct pollfd){ .fd = listener->refused[i].fd, .events = POLLIN };
    /* poll(2) refuses a set that is larger than RLIMIT_NOFILE: no entry without a need. */
    set->reports = 0;
    if (listener->pool.shared != NULL) {
        set->reports = set->count;
        set->fds[set->count++] =
            (struct pollfd){ .fd = listener->pool.reports[0], .events = POLLIN };
    }
    if (!loop_takes_clients(listener) || listener->pause_until_ms != 0 ||
        listener->full_until_ms != 0 || listener->retry.fd >= 0)
        return;
    for (unsigned int i = 0; i < listener->port_count; i++) {
        struct port *port = &listener->ports[i];
        if (port->fd < 0)
            continue;
        set->last_call |= port->last_call;
        set->ports[set->port_count++] = port;
        set->fds[set->count++] = (struct pollfd){ .fd = port->fd, .events = POLLIN };
    }
}

static void dispatch(struct listener *listener, const struct poll_set *set)
{
    nfds_t first_port = set->count - set->port_count;
    if (set->fds[0].revents != 0)
        look_at_signals(listener);
    /* From the end: closing one moves the last into its place. Before the master may say to close
     * them all. */
    for (unsigned int i = set->refused_count; i > 0; i--)
        if (set->fds[FIXED + i - 1].revents != 0)
            refuse_drain(listener, i - 1);
    if (set->fds[1].revents & POLLOUT)
        channel_flush(&listener->channel);
    if (set->fds[1].revents & (POLLIN | POLLHUP | POLLERR))
        listen_to_master(listener);
    if (set->reports > 0 && set->fds[set->reports].revents != 0)
        pool_hear(listener, false);
    for (unsigned int i = 0; i < set->port_count; i++) {
        struct port *port = set->ports[i];
        bool waiting = set->fds[first_port + i].revents != 0;
        if (port->fd >= 0 && (waiting || port->last_call))
            accept_port(listener, port, waiting);
    }
}

static int wait_for(struct listener *listener, int timeout_ms)
{
    struct poll_set *set = listener->set;
    int ready = poll(set->fds, set->count, timeout_ms);
    if (ready >= 0 || errno != EINVAL)
        return ready;
    /* The limit of descriptors was lowered below the set's size: nobody can be accepted anyway. */
    episode_note(listener, CAUSE_DESCRIPTORS, false, NULL, EMFILE);
    return poll(set->fds, FIXED, timeout_ms);
}

int loop_run(struct listener *listener)
{
    struct poll_set *set = listener->set;

    for (;;) {
        listener->now_ms = clock_ms();
        atomic_store_explicit(&listener->block->heartbeat_ms, listener->now_ms,
                              memory_order_relaxed);
        look_at_clock(listener);
        if (is_done(listener))
            return EX_OK;
        if (listener->phase == PHASE_ACCEPTING && !loop_has_port(listener))
            return EX_UNAVAILABLE; /* perhaps the next listener can use them again */
        keep_title(listener);
        collect(listener, set);
        int ready = wait_for(listener, set->last_call ? 0 : time_to_wait(listener));
        listener->now_ms = clock_ms();
        listener->title_stale |= ready > 0;
        if (ready >= 0)
            dispatch(listener, set);
        else if (errno != EINTR && errno != ENOMEM)
            return EX_OSERR;
    }
}
