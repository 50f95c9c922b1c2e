/*
 * A worker of a pool: waits at the service's sockets beside its siblings, accepts, admits, serves,
 * and waits again. It is ended by SIGTERM, only while it waits; its session, by a signal that names
 * it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/title.h"
#include "listener/listener.h"
#include "listener/worker.h"
#include "session/session.h"
#include "session/trap.h"
#include "sys/streams.h"

enum { EVENTS = 16, SHORTAGE_MS = 50, BROKEN_MS = 200, REFUSED_LOOK_MS = 50 };

/* For the handler: the session that goes on. */
static struct board_session *volatile serving;

/* Ends the session that is meant, and with it the process. */
static void end_session(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    int turn = info->si_value.sival_int;
    if (serving != NULL && (turn == 0 || (uint32_t)turn == serving->turn))
        _exit(turn == 0 ? SESSION_STOPPED : SESSION_KILLED);
}

static void take_signals(void)
{
    static const int ignored[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1,
                                   SIGUSR2, SIGPIPE, SIGTTIN, SIGTTOU };
    struct sigaction action = { .sa_sigaction = end_session, .sa_flags = SA_SIGINFO | SA_RESTART };
    sigset_t blocked; /* but heard by the keeper's signalfd(2), which is ours now */

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigaction(POOL_SIGNAL, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Only the sockets, the signals and the way to the keeper. */
static void keep_own_descriptors(struct worker *worker)
{
    struct listener *listener = worker->listener;
    int keep[SERVICE_SOCKETS_MAX + 3];
    size_t count = 0;
    keep[count++] = worker->events;
    keep[count++] = listener->pool.reports[1];
    keep[count++] = listener->signals.fd;
    for (unsigned int i = 0; i < listener->port_count; i++)
        if (listener->ports[i].fd >= 0)
            keep[count++] = listener->ports[i].fd;
    io_close_all_but(keep, count);
    listener->refused_count = 0;
}

/* The kernel tells one worker of a client, and were that one ended by the signal itself, nobody
 * else would look for the client. So the signal is an event beside clients, and who is told of both
 * takes its client first. It is seen too where somebody waits at any time. */
static bool watch(struct worker *worker)
{
    struct epoll_event dismissed = { .events = EPOLLIN, .data.u32 = SEAT_SIGNALS };
    if (worker->events < 0)
        worker->events = seats_open(worker->listener);
    return epoll_ctl(worker->events, EPOLL_CTL_ADD, worker->listener->signals.fd, &dismissed) == 0;
}

/* So that they do not all go at once. */
static uint64_t choose_end(const struct service *service)
{
    uint32_t random = 0;
    if (service->max_requests == 0)
        return UINT64_MAX;
    if (service->max_requests_jitter > 0 && getrandom(&random, sizeof(random), 0) == sizeof(random))
        random %= service->max_requests_jitter + 1;
    else
        random = 0;
    return (uint64_t)service->max_requests + random;
}

static void show_idle(const struct worker *worker)
{
    char title[SESSION_TITLE_MAX];

    session_title(worker->listener->plan, "idle", title);
    title_put(title);
}

static void refuse(struct worker *worker, int fd, const char *client, enum board_cause cause)
{
    struct listener *listener = worker->listener;
    board_worker_count(worker->row, COUNT_REFUSED + cause, 1);
    worker_tell_cause(worker, cause, RECORD_REFUSED, client, 0);
    refuse_say(listener, fd, cause == CAUSE_NO_ACCESS ? "" : listener->service->busy_message);
}

static void serve(struct worker *worker, int fd, const struct address *client, const char *text,
                  uint32_t source)
{
    struct listener *listener = worker->listener;
    uint64_t since_us = clock_us();
    struct stream counts = { 0 };
    char title[SESSION_TITLE_MAX];

    if (worker->left == 1) { /* its last client: seats.c */
        close(worker->events);
        worker->events = -1;
    }
    board_worker_begin(worker->row, text, source, since_us);
    board_worker_settle(worker->row, false);
    serving = worker->row;
    if (atomic_load_explicit(&listener->pool.shared->tell, memory_order_relaxed) >= TELL_STARTS)
        worker_tell_start(worker, text);
    session_title(listener->plan, text, title);
    title_put(title);
    enum session_end end = session_serve(fd, client, listener->plan, worker->row, &counts);
    worker_tell_end(worker, text, &counts, end, since_us);
    serving = NULL;
    board_worker_settle(worker->row, true);
    board_worker_end(worker->row, end, clock_us());
    sources_leave(listener->sources, source);
    board_worker_settle(worker->row, false);
    if (worker->left != UINT64_MAX)
        worker->left--;
    show_idle(worker);
}

/* Gives an accepted client its turn, or says no. */
static void take(struct worker *worker, struct port *port, int fd, struct address *client)
{
    struct listener *listener = worker->listener;
    _Atomic uint32_t *early = &listener->pool.shared->early[port - listener->ports];
    char text[ADDRESS_TEXT_MAX];
    uint32_t source = 0;

    if (atomic_load_explicit(early, memory_order_relaxed) > 0) {
        atomic_fetch_sub(early, 1);
        session_prepare_socket(fd, listener->service);
    }
    address_unmap(client);
    address_format_peer(client, listener->service->log_address, text, sizeof(text));
    listener->now_ms = clock_ms();
    board_worker_settle(worker->row, true);
    enum board_cause cause = accept_judge(listener, client, &source);
    if (cause != CAUSE_COUNT) {
        board_worker_settle(worker->row, false);
        if (accept_defers_rate(listener))
            bucket_give(listener->cps, &listener->service->cps);
        refuse(worker, fd, text, cause);
    } else
        serve(worker, fd, client, text, source);
}

/* Out of something, or faster than cps: clients wait in the kernel's queue. */
static void rest(struct worker *worker, enum board_cause cause, uint64_t until_ms, int error)
{
    worker->not_before_ms = until_ms;
    worker_tell_cause(worker, cause, RECORD_THROTTLE_BEGIN, "", error);
}

/* Whether the service's rate lets another one in. Its token is taken then: siblings ask too. */
static bool take_token(struct worker *worker)
{
    const struct listener *listener = worker->listener;
    const struct rate *rate = &listener->service->cps;
    uint64_t now_ms;
    if (!accept_defers_rate(listener) || bucket_take(listener->cps, rate, now_ms = clock_ms()))
        return true;
    rest(worker, CAUSE_CPS, bucket_next(listener->cps, rate, now_ms), 0);
    return false;
}

/* At a stop it is another generation's keeper that shuts it, a moment before ours dismisses us.
 * Else it is of no use, which our keeper has to know. */
static void look_at_broken(struct worker *worker, const struct port *port, int error)
{
    struct record record = { .kind = RECORD_BROKEN,
                             .count = (uint64_t)(port - worker->listener->ports),
                             .error = error };
    worker->doubts = !worker->doubts;
    if (worker->doubts) {
        worker->not_before_ms = clock_ms() + BROKEN_MS;
        return;
    }
    if (worker_tell(worker, &record))
        epoll_ctl(worker->events, EPOLL_CTL_DEL, port->fd, NULL);
}

static void look_at_port(struct worker *worker, struct port *port)
{
    struct address client = { .kind = ADDRESS_SOCKET, .length = sizeof(client.socket) };
    const struct listener *listener = worker->listener;
    if (!take_token(worker))
        return;
    int fd = accept4(port->fd, &client.socket.any, &client.length, SOCK_CLOEXEC);
    if (fd >= 0) {
        take(worker, port, fd, &client);
        return;
    }
    if (accept_defers_rate(listener))
        bucket_give(listener->cps, &listener->service->cps);
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        rest(worker, CAUSE_DESCRIPTORS, clock_ms() + SHORTAGE_MS, errno);
        break;
    case EINVAL: /* the socket was shut down */
    case EBADF:
        look_at_broken(worker, port, errno);
        break;
    default: /* somebody else took it, or the client left again */
        break;
    }
}

/* Clients that were refused are listened to until they have read why, but not waited for. */
static void look_at_refused(struct worker *worker)
{
    struct listener *listener = worker->listener;
    listener->now_ms = clock_ms();
    for (unsigned int i = listener->refused_count; i > 0; i--)
        refuse_drain(listener, i - 1);
    refuse_expire(listener, false);
}

/* Leaves clients alone, unless it is dismissed meanwhile. */
static void sleep_until(struct worker *worker, uint64_t now_ms)
{
    struct pollfd dismissed = { .fd = worker->listener->signals.fd, .events = POLLIN };
    if (poll(&dismissed, 1, clock_until(now_ms, worker->not_before_ms, 1000)) > 0)
        worker->left = 0;
}

static void wait_and_take(struct worker *worker)
{
    struct epoll_event events[EVENTS];
    struct listener *listener = worker->listener;
    uint64_t now_ms = worker->not_before_ms != 0 || listener->refused_count > 0 ? clock_ms() : 0;
    bool dismissed = false;
    int count = 0;

    if (worker->not_before_ms > now_ms) {
        sleep_until(worker, now_ms);
    } else {
        worker->not_before_ms = 0;
        count = epoll_wait(worker->events, events, EVENTS,
                           listener->refused_count > 0 ? REFUSED_LOOK_MS : -1);
    }
    if (listener->refused_count > 0)
        look_at_refused(worker);
    for (int i = 0; i < count && worker->not_before_ms == 0 && worker->left > 0; i++)
        if (events[i].data.u32 == SEAT_SIGNALS)
            dismissed = true;
        else
            look_at_port(worker, &listener->ports[events[i].data.u32]);
    if (dismissed)
        worker->left = 0;
}

/* What the first client would meet as page faults while he waits: shared memory, of which fork(2)
 * copies no page tables, what is written to, and the program's text. */
static void rehearse(const struct worker *worker)
{
    struct listener *listener = worker->listener;
    struct address nobody = { .kind = ADDRESS_SOCKET };
    char text[ADDRESS_TEXT_MAX];

    nobody.socket.v4.sin_family = AF_INET;
    nobody.socket.v4.sin_port = UINT16_MAX;
    nobody.length = sizeof(nobody.socket.v4);
    listener->now_ms = clock_ms();
    address_format_peer(&nobody, listener->service->log_address, text, sizeof(text));
    atomic_load_explicit(&listener->pool.shared->early[0], memory_order_relaxed);
    sources_touch(listener->sources);
}

/* A seat knows only of clients that have come to it. Another one may wait whom nobody took. */
static void look_at_ports(struct worker *worker)
{
    struct listener *listener = worker->listener;
    for (unsigned int i = 0; i < listener->port_count && worker->left > 0; i++)
        if (worker->not_before_ms == 0 && sockets_waiting(listener->ports[i].fd) > 0)
            look_at_port(worker, &listener->ports[i]);
}

_Noreturn void worker_main(struct listener *listener, uint32_t slot, int seat)
{
    static struct worker worker;
    listener->is_worker = true;
    worker = (struct worker){ .listener = listener,
                              .row = &listener->board.session[slot],
                              .events = seat,
                              .left = choose_end(listener->service) };
    trap_write_to(&worker.row->denied);
    keep_own_descriptors(&worker);
    take_signals();
    if (!watch(&worker))
        _exit(SESSION_SYSTEM);
    rehearse(&worker);
    show_idle(&worker);
    board_session_update(worker.row, SESSION_WAITING, clock_us(), 0, 0, 0);
    if (seat >= 0)
        look_at_ports(&worker);
    while (worker.left > 0)
        wait_and_take(&worker);
    refuse_expire(listener, true);
    worker_tell_rest(&worker);
    _exit(0);
}
