#include "sys/streams.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { KEEPALIVE_MAX_S = 32767 };

static void set_number(int fd, int level, int name, uint64_t value)
{
    int number = value < INT_MAX ? (int)value : INT_MAX;
    setsockopt(fd, level, name, &number, sizeof number);
}

static void set_time(int fd, int name, uint64_t milliseconds)
{
    struct timeval time = { .tv_sec = (time_t)(milliseconds / 1000),
                            .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000) };
    setsockopt(fd, SOL_SOCKET, name, &time, sizeof time);
}

static uint64_t seconds(uint64_t milliseconds, uint64_t most)
{
    uint64_t whole = milliseconds / 1000 + (milliseconds % 1000 != 0);
    return whole < most ? whole : most;
}

static void prepare_tcp(int fd, const struct stream_settings *settings)
{
    set_number(fd, SOL_SOCKET, SO_KEEPALIVE, settings->keepalive);
    if (settings->keepalive) {
        set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE,
                   seconds(settings->keepalive_time, KEEPALIVE_MAX_S));
        set_number(fd, IPPROTO_TCP, TCP_KEEPINTVL,
                   seconds(settings->keepalive_interval, KEEPALIVE_MAX_S));
        set_number(fd, IPPROTO_TCP, TCP_KEEPCNT, settings->keepalive_probes);
    }
    set_number(fd, IPPROTO_TCP, TCP_NODELAY, settings->tcp_nodelay);
    set_number(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, settings->tcp_user_timeout);
    set_number(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds(settings->defer_accept, INT_MAX));
}

void sockets_prepare_streams(int fd, const struct stream_settings *settings)
{
    int domain = AF_UNSPEC;
    socklen_t size = sizeof domain;

    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    if (domain == AF_INET || domain == AF_INET6)
        prepare_tcp(fd, settings);
    set_time(fd, SO_RCVTIMEO, settings->idle_timeout);
    set_time(fd, SO_SNDTIMEO, settings->write_timeout);
}

/* A listening socket tells its queue where a connection tells its unacknowledged segments. */
unsigned int sockets_waiting(int fd)
{
    struct tcp_info info = { 0 };
    struct pollfd queue = { .fd = fd, .events = POLLIN };
    socklen_t size = sizeof info;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 || info.tcpi_state != TCP_LISTEN)
        return poll(&queue, 1, 0) > 0 && (queue.revents & POLLIN) != 0;
    return info.tcpi_unacked;
}
