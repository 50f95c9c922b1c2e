#include "client/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "client/load_state.h"
#include "client/pattern.h"

enum { TICK_MS = 50, HOLD_TICK_MS = 10, SOON_MS = 1, BATCH = 256, OPENING_MOST = 64 };
#define TIMER          UINT64_MAX /* instead of a link's number */
#define TIMER_LEAST_NS UINT64_C(50000)

uint64_t load_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * LOAD_SECOND_NS + (uint64_t)now.tv_nsec;
}

/* Is another request due, and since when? */
static bool take_due(struct load *load, uint64_t *due_ns)
{
    const struct load_plan *plan = load->plan;
    uint64_t due = load->gap_ns ? load->due_ns : load->now_ns;

    if (due > load->now_ns || load->draining)
        return false;
    if (due >= load->end_ns || (plan->count && load->begun == plan->count)) {
        load_stop_starting(load);
        return false;
    }
    load->due_ns += load->gap_ns;
    load->begun += due >= load->begin_ns;
    *due_ns = due;
    return true;
}

static int start_due(struct load *load)
{
    /* Each at most once a turn, so that a server that refuses at once cannot keep us here. */
    unsigned int turns = load->idle_count;
    uint64_t due_ns;

    while (turns-- && load->idle_count && take_due(load, &due_ns)) {
        struct link *link = load->links + load->idle[--load->idle_count];
        if (load_start(load, link, due_ns))
            return -1;
        load->now_ns = load_clock_ns();
    }
    return 0;
}

/* LOAD_HOLD: some more connections while they are opened, and then those whose time has come. */
static int start_held(struct load *load)
{
    const struct load_plan *plan = load->plan;

    while (load->opening && !load->draining && load->opened < plan->concurrency &&
           load->busy_count < OPENING_MOST)
        if (load_start(load, load->links + load->opened++, load->now_ns))
            return -1;
    if (load->now_ns >= load->end_ns || (plan->count && load->begun >= plan->count))
        load_stop_starting(load);
    if (load->opening || load->draining || load->now_ns < load->due_ns)
        return 0;
    load->due_ns = load->now_ns + HOLD_TICK_MS * UINT64_C(1000000);
    for (unsigned int i = 0; i < plan->concurrency; i++) {
        struct link *link = load->links + i;
        if (link->busy || link->due_ns > load->now_ns)
            continue;
        load->begun++;
        if (load_start(load, link, load->now_ns))
            return -1;
    }
    return 0;
}

/* Requests of a rate begin by the timer, others as soon as a link is idle. */
static int patience_ms(const struct load *load)
{
    if (load->idle_count && !load->gap_ns && !load->draining)
        return 0;
    if (load->queue_full)
        return SOON_MS;
    return load->plan->mode == LOAD_HOLD ? HOLD_TICK_MS : TICK_MS;
}

static int take_events(struct load *load)
{
    struct epoll_event events[BATCH];
    int count = epoll_wait(load->epoll, events, BATCH, patience_ms(load));

    if (count < 0 && errno != EINTR)
        return failure_errno(load->why, EX_OSERR, errno, "epoll_wait");
    load->now_ns = load_clock_ns();
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == TIMER) {
            uint64_t expirations;
            if (read(load->timer, &expirations, sizeof expirations) < 0)
                continue;
        } else if (load->links[events[i].data.u64].fd >= 0 &&
                   load_move(load, load->links + events[i].data.u64)) {
            return -1;
        }
        load->now_ns = load_clock_ns();
    }
    return 0;
}

/* With a rate, what was due until the end is begun even after it, for as long as an answer may
 * take: a server that stood still has not only delayed those that were begun. */
static bool is_over(struct load *load)
{
    const struct load_plan *plan = load->plan;

    if (load->gap_ns && load->end_ns != UINT64_MAX && !load->draining &&
        load->now_ns > load->end_ns && load->now_ns - load->end_ns > plan->timeout_us * 1000 &&
        plan->timeout_us) {
        load->out->troubles[LINK_UNSTARTED] +=
            (load->end_ns - load->due_ns + load->gap_ns - 1) / load->gap_ns;
        load_stop_starting(load);
    }
    return load->draining && !load->busy_count;
}

static int turn(struct load *load)
{
    return load->plan->mode == LOAD_HOLD ? start_held(load) : start_due(load);
}

/* A stream's connections end together: at the end, or when so many blocks have come. */
static bool is_stream_over(const struct load *load)
{
    return load->now_ns >= load->end_ns ||
           (load->plan->count && load->out->done >= load->plan->count);
}

static int run(struct load *load, const volatile sig_atomic_t *stop, load_news *news, void *context)
{
    uint64_t looked_ns = load->now_ns, told_ns = load->now_ns;
    bool was_opening = load->opening, ending = false;

    while (!is_over(load)) {
        if (*stop && load->end_ns > load->now_ns)
            load->end_ns = load->now_ns;
        if (*stop)
            load_stop_starting(load);
        if (load->plan->mode == LOAD_STREAM && is_stream_over(load))
            load_stop_starting(load);
        if (load->draining && load->plan->mode == LOAD_STREAM && !ending) {
            ending = true;
            load_end_streams(load);
        }
        if (turn(load) || (!is_over(load) && take_events(load)))
            return -1;
        if (load->queue_full || load->now_ns - looked_ns > TICK_MS * UINT64_C(1000000)) {
            looked_ns = load->now_ns;
            if (load_look_around(load))
                return -1;
        }
        if (load->now_ns - told_ns > LOAD_SECOND_NS / 2 || was_opening != load->opening) {
            told_ns = load->now_ns;
            news(context, load->out, load->open_count, was_opening && !load->opening);
            was_opening = load->opening;
        }
    }
    return 0;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / LOAD_SECOND_NS),
                              .tv_nsec = (long)(ns % LOAD_SECOND_NS) };
}

/* Returns 0 or -1. */
static int prepare(struct load *load)
{
    const struct load_plan *plan = load->plan;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = TIMER };

    load->links = calloc(plan->concurrency, sizeof *load->links);
    load->idle = calloc(plan->concurrency, sizeof *load->idle);
    if (!load->links || !load->idle)
        return failure_set(load->why, EX_OSERR, "no memory for %u connections", plan->concurrency);
    for (unsigned int i = 0; i < plan->concurrency; i++) {
        load->links[i].fd = -1;
        load->idle[i] = plan->concurrency - 1 - i;
    }
    load->idle_count = load->opening ? 0 : plan->concurrency;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0)
        return failure_errno(load->why, EX_OSERR, errno, "epoll_create1");
    if (!plan->rate)
        return 0;
    load->gap_ns = LOAD_SECOND_NS / plan->rate;
    uint64_t gap = load->gap_ns > TIMER_LEAST_NS ? load->gap_ns : TIMER_LEAST_NS;
    struct itimerspec times = { .it_interval = to_timespec(gap),
                                .it_value = to_timespec(load->due_ns + load->gap_ns) };
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (load->timer < 0 || epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event) < 0 ||
        timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &times, NULL) < 0)
        return failure_errno(load->why, EX_OSERR, errno, "a timer");
    return 0;
}

static void tidy_up(struct load *load)
{
    for (unsigned int i = 0; load->links && i < load->plan->concurrency; i++)
        link_close(load->links + i);
    if (load->epoll >= 0)
        close(load->epoll);
    if (load->timer >= 0)
        close(load->timer);
    free(load->links);
    free(load->idle);
}

int load_run(const struct load_plan *plan, const volatile sig_atomic_t *stop, load_news *news,
             void *context, struct load_result *out, struct failure *why)
{
    uint64_t now = load_clock_ns();
    struct load load = {
        .plan = plan,
        .out = out,
        .why = why,
        .route = { .server = plan->server, .sources = plan->sources },
        .opening = plan->mode == LOAD_HOLD,
        .epoll = -1,
        .timer = -1,
        .now_ns = now,
        .begin_ns = now + plan->warmup_us * 1000,
        .end_ns = UINT64_MAX,
        .due_ns = now,
    };

    *out = (struct load_result){ .done = 0 };
    if (plan->duration_us && !load.opening)
        load.end_ns = load.begin_ns + plan->duration_us * 1000;
    pattern_init();
    int result = prepare(&load);
    if (!result)
        result = run(&load, stop, news, context);
    tidy_up(&load);
    uint64_t end = load.end_ns == UINT64_MAX ? load.last_ns : load.end_ns;
    if (load.draining && end > load.now_ns)
        end = load.last_ns; /* the count was reached before the duration was over */
    out->took_ns = end > load.begin_ns ? end - load.begin_ns : 0;
    return result;
}

uint64_t load_troubles(const struct load_result *result)
{
    uint64_t sum = 0;

    for (int i = 0; i < LINK_TROUBLE_COUNT; i++)
        sum += result->troubles[i];
    return sum;
}

double load_rate(const struct load_result *result)
{
    if (!result->took_ns)
        return 0;
    return (double)result->done_in_time * LOAD_SECOND_NS / (double)result->took_ns;
}
