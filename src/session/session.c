#include "session/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/title.h"
#include "service/handlers.h"
#include "session/trap.h"
#include "status/status.h"
#include "sys/streams.h"

enum { SESSION_FD = 3 };

void session_plan(struct session_plan *plan, const struct service *service,
                  const struct board *board)
{
    plan->service = *service;
    plan->handler = handler_find(service->handler);
    plan->board = board;
    plan->title_length = (size_t)snprintf(plan->title, sizeof plan->title, "forkechod: session %s ",
                                          service->service_name);
}

void session_prepare_socket(int fd, const struct service *service)
{
    const struct stream_settings settings = {
        .tcp_nodelay = service->tcp_nodelay,
        .keepalive = service->keepalive,
        .keepalive_time = service->keepalive_time,
        .keepalive_interval = service->keepalive_interval,
        .keepalive_probes = service->keepalive_probes,
        .tcp_user_timeout = service->tcp_user_timeout,
        .defer_accept = service->defer_accept,
        .idle_timeout = service->idle_timeout,
        .write_timeout = service->write_timeout,
    };
    sockets_prepare_streams(fd, &settings);
}

void session_title(const struct session_plan *plan, const char *client, char *title)
{
    _Static_assert(sizeof "forkechod: session  " + SERVICE_NAME_MAX + ADDRESS_TEXT_MAX <=
                       SESSION_TITLE_MAX,
                   "every title has room");
    memcpy(title, plan->title, plan->title_length);
    memcpy(title + plan->title_length, client, strlen(client) + 1);
}

static void show(const struct stream *stream, enum board_activity activity)
{
    board_session_update(stream->context, activity, clock_us(), stream->bytes_in, stream->bytes_out,
                         stream->turns);
}

__attribute__((hot)) static void show_progress(struct stream *stream)
{
    _Static_assert(STREAM_READS == 0 && SESSION_WORKING - SESSION_READING == STREAM_WORKS &&
                       SESSION_WRITING - SESSION_READING == STREAM_WRITES &&
                       SESSION_DELAYING - SESSION_READING == STREAM_DELAYS,
                   "the board's words for a stream's states are in their order");
    show(stream, SESSION_READING + (enum board_activity)stream->state);
}

/* A limit that cannot be set is above one that is in force already. */
static void set_limits(const struct service *service)
{
    if (service->rlimit_as) {
        struct rlimit limit = { service->rlimit_as, service->rlimit_as };
        setrlimit(RLIMIT_AS, &limit);
    }
    if (service->rlimit_cpu) {
        /* A second between SIGXCPU, which tells what happened, and SIGKILL, which does not. */
        rlim_t seconds = (service->rlimit_cpu + 999) / 1000;
        struct rlimit limit = { seconds, seconds + 1 };
        setrlimit(RLIMIT_CPU, &limit);
    }
}

static void set_lifetime(uint64_t milliseconds)
{
    struct itimerval timer = { .it_value = { .tv_sec = (time_t)(milliseconds / 1000),
                                             .tv_usec =
                                                 (suseconds_t)(milliseconds % 1000 * 1000) } };
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* Stays for somebody to look at. SIGTERM shortens that, and changes nothing about why the session
 * ended: so it is waited for rather than died of, from before the row says that it may be sent. */
static void hold(struct stream *stream, uint64_t milliseconds)
{
    uint64_t now = clock_ms(), end = now + milliseconds;
    sigset_t term;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    show(stream, SESSION_HOLDING);
    for (; now < end; now = clock_ms()) {
        struct timespec left = { .tv_sec = (time_t)((end - now) / 1000),
                                 .tv_nsec = (long)((end - now) % 1000 * 1000000) };
        if (sigtimedwait(&term, NULL, &left) == SIGTERM)
            return;
    }
}

static bool is_ready(const void *context)
{
    const struct status_view *view = context;
    return view->board->header->life == LIFE_SERVES;
}

/* What HTTP is asked for beside the handler's own. */
static const struct http_pages *find_pages(const struct session_plan *plan,
                                           const struct address *client)
{
    static struct status_view view;
    static const struct http_pages pages = { is_ready, status_answer, &view };

    if (plan->board == NULL)
        return NULL;
    view.board = plan->board;
    view.local_names = !plan->service.remote_status && !address_is_unix(client);
    return &pages;
}

__attribute__((hot)) static enum session_end
serve(struct stream *stream, const struct address *client, const struct session_plan *plan)
{
    const struct service *service = &plan->service;
    const struct manners manners = { .delay = service->delay,
                                     .quit = service->quit,
                                     .once = service->once,
                                     .body = service->body,
                                     .pages = find_pages(plan, client) };

    set_limits(service);
    if (service->session_timeout)
        set_lifetime(service->session_timeout);
    stream->progress = show_progress;
    show_progress(stream);
    enum session_end end = plan->handler ? plan->handler->serve(stream, &manners) : SESSION_SYSTEM;
    show(stream, SESSION_CLOSING);
    stream_close(stream, service->linger_timeout);
    if (service->session_timeout)
        set_lifetime(0);
    if (service->hold_process)
        hold(stream, service->hold_process);
    return end;
}

enum session_end session_serve(int fd, const struct address *client,
                               const struct session_plan *plan, struct board_session *row,
                               struct stream *counts)
{
    struct stream stream = { .in = fd, .out = fd, .is_socket = true, .context = row };

    if (address_is_unix(client))
        session_prepare_socket(fd, &plan->service);
    enum session_end end = serve(&stream, client, plan);
    if (counts)
        *counts = stream;
    return end;
}

/* Whoever started us may have left them otherwise. */
static void make_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && flags & O_NONBLOCK)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

enum session_end session_serve_standard(const struct session_plan *plan, struct stream *counts)
{
    struct stream stream = { .in = STDIN_FILENO, .out = STDIN_FILENO, .is_socket = true };
    struct address client = { .kind = ADDRESS_SOCKET };
    socklen_t size = sizeof client.socket;
    char text[ADDRESS_TEXT_MAX], title[SESSION_TITLE_MAX];

    signal(SIGPIPE, SIG_IGN);
    if (getpeername(stream.in, &client.socket.any, &size) == 0) {
        client.length = size;
        address_unmap(&client);
    } else if (errno == ENOTSOCK) {
        stream.is_socket = false;
        stream.out = STDOUT_FILENO;
    }
    make_blocking(stream.in);
    make_blocking(stream.out);
    session_prepare_socket(stream.in, &plan->service);
    bool known = client.socket.any.sa_family != AF_UNSPEC;
    address_format_peer(&client, known ? plan->service.log_address : ADDRESS_NONE, text,
                        sizeof text);
    session_title(plan, text, title);
    title_put(title);
    enum session_end end = serve(&stream, &client, plan);
    if (counts)
        *counts = stream;
    return end;
}

void session_prepare_signals(void)
{
    static const struct {
        int number;
        void (*meaning)(int number);
    } signals[] = { { SIGTERM, SIG_DFL }, { SIGALRM, SIG_DFL }, { SIGCHLD, SIG_DFL },
                    { SIGHUP, SIG_IGN },  { SIGINT, SIG_IGN },  { SIGQUIT, SIG_IGN },
                    { SIGUSR1, SIG_IGN }, { SIGUSR2, SIG_IGN }, { SIGPIPE, SIG_IGN } };

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i].number, signals[i].meaning);
}

_Noreturn void session_main(int fd, const struct address *client, const struct session_plan *plan,
                            const char *title, struct board_session *row)
{
    static const int own[] = { SESSION_FD };
    const uint64_t none = 0;

    trap_write_to(row != NULL ? &row->denied : NULL);
    /* sigprocmask(2) without libc's own, which lies pages away: each is another fault. */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
    if (fd != SESSION_FD && dup2(fd, SESSION_FD) < 0)
        _exit(SESSION_SYSTEM);
    if (close_range(SESSION_FD + 1, ~0U, 0) < 0)
        io_close_all_but(own, 1);
    title_put(title);
    _exit((int)session_serve(SESSION_FD, client, plan, row, NULL));
}
