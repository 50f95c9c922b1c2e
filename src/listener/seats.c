/*
 * Seats: where the workers of a pool that are used once wait for clients. The kernel tells of a
 * client who came to the socket first of those that wait (EPOLLEXCLUSIVE, epoll_ctl(2)): that would
 * be the worker that has waited longest, whose memory has left the processor's caches. So it is not
 * workers that come to the socket but seats, which outlive them: who has died makes room at the
 * front for who is forked next. Before it serves its client a worker closes its seat, so nobody is
 * handed what a client may have changed. Workers that are used again, and stay warm by that, each
 * bring their own, and so do those for whom there is none.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "listener/listener.h"

int seats_open(const struct listener *listener)
{
    int seat = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned int i = 0; i < listener->port_count && seat >= 0; i++) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.u32 = i };
        if (listener->ports[i].fd >= 0 &&
            epoll_ctl(seat, EPOLL_CTL_ADD, listener->ports[i].fd, &event) < 0) {
            close(seat);
            seat = -1;
        }
    }
    return seat;
}

static bool used_once(const struct service *service)
{
    return service->max_requests == 1 && service->max_requests_jitter == 0;
}

int seats_take(struct listener *listener)
{
    struct seats *seats = &listener->pool.seats;
    unsigned int first = 0;
    if (!used_once(listener->service))
        return -1;
    while (first < seats->count && seats->seat[first].taken)
        first++;
    if (first == SEATS_MAX)
        return -1;
    struct seat *seat = &seats->seat[first];
    if (first == seats->count) {
        seat->events = seats_open(listener);
        seats->count += seat->events >= 0;
    }
    seat->taken = true;
    return seat->events;
}

static void remove_seat(struct seats *seats, unsigned int at)
{
    close(seats->seat[at].events);
    seats->count--;
    for (unsigned int i = at; i < seats->count; i++)
        seats->seat[i] = seats->seat[i + 1];
}

void seats_give(struct listener *listener, int seat)
{
    struct seats *seats = &listener->pool.seats;
    unsigned int at = 0;
    while (at < seats->count && seats->seat[at].events != seat)
        at++;
    if (at == seats->count)
        return;
    /* The next worker hears its own signals by the same descriptor. */
    int left = epoll_ctl(seat, EPOLL_CTL_DEL, listener->signals.fd, NULL);
    seats->seat[at].taken = false;
    if (left < 0 && errno != ENOENT)
        remove_seat(seats, at);
}

void seats_trim(struct listener *listener)
{
    struct seats *seats = &listener->pool.seats;
    for (unsigned int i = seats->count; i > 0; i--)
        if (!seats->seat[i - 1].taken)
            remove_seat(seats, i - 1);
}

void seats_forget(struct listener *listener, const struct port *port)
{
    const struct seats *seats = &listener->pool.seats;
    for (unsigned int i = 0; i < seats->count; i++)
        epoll_ctl(seats->seat[i].events, EPOLL_CTL_DEL, port->fd, NULL);
}

void seats_close(struct listener *listener)
{
    struct seats *seats = &listener->pool.seats;
    while (seats->count > 0)
        remove_seat(seats, seats->count - 1);
}
