#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sysexits.h>

#include "client/load_state.h"

static void describe(const struct link *link, const struct link_failure *failure, char *text,
                     size_t size)
{
    static const char *const words[] = {
#define TROUBLE(name, key, text) text,
        LINK_TROUBLES(TROUBLE)
#undef TROUBLE
    };

    if (failure->trouble == LINK_WRONG)
        snprintf(text, size,
                 "connection %" PRIu64 ": byte %" PRIu64 " was sent as 0x%02x and came as 0x%02x",
                 link->number, failure->position, failure->wanted, failure->came);
    else
        snprintf(
            text, size, "connection %" PRIu64 ": %s (%" PRIu64 " bytes sent, %" PRIu64 " came)",
            link->number,
            failure->trouble == LINK_OTHER ? strerror(failure->error) : words[failure->trouble],
            link->sent, link->received);
}

void load_stop_starting(struct load *load)
{
    load->draining = true;
}

/* The link is free for another request. LOAD_HOLD finds its links by their time. */
static void release(struct load *load, struct link *link)
{
    link->busy = false;
    load->busy_count--;
    if (load->plan->mode == LOAD_HOLD)
        link->due_ns = load->now_ns + load->plan->interval_us * 1000;
    else
        load->idle[load->idle_count++] = (unsigned int)(link - load->links);
}

static void hang_up(struct load *load, struct link *link)
{
    if (link->fd >= 0)
        load->open_count--;
    link_close(link);
}

static void suffer(struct load *load, struct link *link, const struct link_failure *failure)
{
    struct load_result *out = load->out;

    if (!*out->first_trouble)
        describe(link, failure, out->first_trouble, sizeof out->first_trouble);
    out->troubles[failure->trouble]++;
    hang_up(load, link);
    if (link->busy)
        release(load, link);
    if (load->opening) { /* a number that is never reached is not waited for */
        load_stop_starting(load);
    }
}

static int watch(struct load *load, struct link *link)
{
    struct epoll_event event = { .events = link_wants(link),
                                 .data.u64 = (uint64_t)(link - load->links) };

    if (event.events == link->events)
        return 0;
    if (epoll_ctl(load->epoll, link->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, link->fd, &event) < 0)
        return failure_errno(load->why, EX_OSERR, errno, "epoll_ctl");
    link->events = event.events;
    return 0;
}

static void finish_opening(struct load *load)
{
    load->opening = false;
    load->begin_ns = load->now_ns;
    if (load->plan->duration_us)
        load->end_ns = load->now_ns + load->plan->duration_us * 1000;
}

static void account(struct load *load, const struct link *link)
{
    struct load_result *out = load->out;
    bool first_use = load->opening;

    /* The answer may have come while the request was being sent. */
    load->now_ns = load_clock_ns();
    if (first_use && ++out->held == load->plan->concurrency)
        finish_opening(load);
    if (first_use || link->due_ns < load->begin_ns)
        return;
    histogram_add(&out->latency, load->now_ns - link->due_ns);
    out->done++;
    out->done_in_time += load->now_ns <= load->end_ns;
    load->last_ns = load->now_ns;
}

/* Is the request of this link answered? */
static bool is_done(const struct load *load, const struct link *link)
{
    if (load->plan->mode == LOAD_CONNECT)
        return !link->connecting;
    return load->plan->mode != LOAD_STREAM && link->received == link->allowed;
}

static void count_stream(struct load *load, const struct link *link, uint64_t came)
{
    size_t size = load->plan->size;

    if (load->now_ns < load->begin_ns || load->now_ns > load->end_ns)
        return;
    uint64_t blocks = link->received / size - (link->received - came) / size;
    load->out->done += blocks;
    load->out->done_in_time += blocks;
    load->last_ns = load->now_ns;
}

int load_move(struct load *load, struct link *link)
{
    const struct load_plan *plan = load->plan;
    struct link_failure failure;
    int64_t came = link_move(link, &failure);

    if (came < 0) {
        /* A stream that was to end has ended; what is missing was late or closed before. */
        bool whole = failure.trouble == LINK_CLOSED && load->draining &&
                     plan->mode == LOAD_STREAM && link->received == link->sent;
        if (!whole)
            suffer(load, link, &failure);
        else
            hang_up(load, link), release(load, link);
        return 0;
    }
    if (came && load->now_ns >= load->begin_ns && load->now_ns <= load->end_ns && !load->opening)
        load->out->bytes += (uint64_t)came;
    if (came)
        link->moved_ns = load->now_ns;
    if (came && plan->mode == LOAD_STREAM)
        count_stream(load, link, (uint64_t)came);
    if (!link->busy || !is_done(load, link))
        return watch(load, link);
    account(load, link);
    if (plan->mode == LOAD_CRR || plan->mode == LOAD_CONNECT)
        hang_up(load, link);
    release(load, link);
    return link->fd < 0 ? 0 : watch(load, link);
}

static int explain(struct load *load, int error)
{
    if (error == EADDRNOTAVAIL)
        return failure_set(load->why, EX_UNAVAILABLE,
                           "no local port is left after %" PRIu64
                           " connections: closed ones keep theirs for a minute (wait, use fewer "
                           "connections, or widen net.ipv4.ip_local_port_range)",
                           load->out->connections);
    return failure_errno(load->why, EX_OSERR, error, "connection %" PRIu64,
                         load->out->connections + 1);
}

int load_start(struct load *load, struct link *link, uint64_t due_ns)
{
    const struct load_plan *plan = load->plan;

    link->busy = true;
    load->busy_count++;
    link->due_ns = due_ns;
    link->moved_ns = load->now_ns;
    if (link->fd < 0) {
        int result = link_open(link, &load->route, load->out->connections);
        bool hopeless = result == -EADDRNOTAVAIL || result == -EMFILE || result == -ENFILE ||
                        result == -ENOBUFS || result == -ENOMEM;
        if (hopeless)
            return explain(load, -result);
        load->out->connections++;
        load->queue_full |= result == -EAGAIN;
        if (result == -EAGAIN)
            return 0;
        if (result) {
            suffer(load, link,
                   &(struct link_failure){ .trouble =
                                               result == -ECONNREFUSED ? LINK_REFUSED : LINK_OTHER,
                                           .error = -result });
            return 0;
        }
        load->open_count++;
    }
    if (plan->mode == LOAD_STREAM)
        link->allowed = UINT64_MAX;
    else if (plan->mode != LOAD_CONNECT)
        link->allowed += plan->size;
    return load_move(load, link);
}

int load_look_around(struct load *load)
{
    uint64_t patience = load->plan->timeout_us * 1000;

    load->queue_full = false;
    for (unsigned int i = 0; i < load->plan->concurrency; i++) {
        struct link *link = load->links + i;
        if (!link->busy)
            continue;
        if (patience && load->now_ns > link->moved_ns + patience) {
            suffer(load, link, &(struct link_failure){ .trouble = LINK_LATE });
        } else if (link->fd < 0) {
            uint64_t since = link->moved_ns;
            load->busy_count--;
            load->out->connections--;
            if (load_start(load, link, link->due_ns))
                return -1;
            link->moved_ns = link->fd < 0 ? since : link->moved_ns;
        }
    }
    return 0;
}

void load_end_streams(struct load *load)
{
    for (unsigned int i = 0; i < load->plan->concurrency; i++) {
        struct link *link = load->links + i;
        if (link->fd < 0 || link->allowed != UINT64_MAX)
            continue;
        link->allowed = link->sent;
        shutdown(link->fd, SHUT_WR);
        link->moved_ns = load->now_ns;
        watch(load, link);
    }
}
