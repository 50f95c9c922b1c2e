/*
 * Seats: where the workers of a pool that are used once wait for clients. The kernel tells of a
 * client who came to the socket first of those that wait (EPOLLEXCLUSIVE, epoll_ctl(2)): that would
 * be the worker that has waited longest, whose memory has left the processor's caches. So it is not
 * workers that come to the socket but seats, which outlive them: who has died makes room at the
 * front for who is forked next. Before its client can say anything a worker closes its seat, so
 * nobody is handed what a client may have changed; workers that are used again, and stay warm by
 * that, each bring their own.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "listener/listener.h"

static int open_events(const struct listener *listener)
{
    int events = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned int i = 0; i < listener->port_count && events >= 0; i++) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.u32 = i };
        if (listener->ports[i].fd >= 0 &&
            epoll_ctl(events, EPOLL_CTL_ADD, listener->ports[i].fd, &event) < 0) {
            close(events);
            events = -1;
        }
    }
    return events;
}

static bool used_once(const struct service *service)
{
    return service->max_requests == 1 && service->max_requests_jitter == 0;
}

unsigned int seats_take(struct listener *listener)
{
    struct seat *seats = listener->pool.seats;
    unsigned int first = 0;
    while (first < SEATS_MAX && seats[first].taken)
        first++;
    if (first == SEATS_MAX || !used_once(listener->service))
        return SEATS_MAX;
    if (!seats[first].there)
        seats[first].events = open_events(listener);
    seats[first].there = seats[first].taken = seats[first].events >= 0;
    return seats[first].there ? first : SEATS_MAX;
}

void seats_give(struct listener *listener, unsigned int seat)
{
    struct seat *seats = listener->pool.seats;
    if (seat == SEATS_MAX)
        return;
    seats[seat].taken = false;
    seats[seat].there =
        epoll_ctl(seats[seat].events, EPOLL_CTL_DEL, listener->signals.fd, NULL) == 0;
    if (!seats[seat].there)
        close(seats[seat].events);
}

int seats_events(const struct listener *listener, unsigned int seat)
{
    return seat < SEATS_MAX ? listener->pool.seats[seat].events : open_events(listener);
}

void seats_forget(struct listener *listener, const struct port *port)
{
    const struct seat *seats = listener->pool.seats;
    for (unsigned int i = 0; i < SEATS_MAX; i++)
        if (seats[i].there)
            epoll_ctl(seats[i].events, EPOLL_CTL_DEL, port->fd, NULL);
}
