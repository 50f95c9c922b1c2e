#include "listener/pool.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/private.h"
#include "listener/listener.h"
#include "sys/confine.h"

enum { TICK_MS = 1000, LOOK_MS = 100, ABORT_GRACE_MS = 1000 };

static uint32_t automatic(const struct pool *pool, uint32_t configured)
{
    return pool_automatic(configured, pool->processors);
}

int pool_open(struct listener *listener)
{
    struct pool *pool = &listener->pool;
    const struct service *service = listener->service;
    int yes = 1;
    int result = private_hand_on(listener, sizeof(*listener));

    if (result < 0)
        return result;
    pool->shared = mmap(NULL, sizeof(*pool->shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pool->shared == MAP_FAILED)
        return -errno;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pool->reports) < 0 ||
        setsockopt(pool->reports[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
        return -errno;
    pool->processors = sysconf(_SC_NPROCESSORS_ONLN); /* once: that opens a file */
    pool->wanted = pool_target(automatic(pool, service->start_servers), 0, service->instances);
    pool->batch = 1;
    listener->cps = &pool->shared->cps;
    atomic_store(&listener->block->pool, 1);
    return 0;
}

static uint32_t most_workers(const struct listener *listener)
{
    const struct board *board = &listener->board;
    const struct pool_room room = { .instances = listener->service->instances,
                                    .sessions_max = board->sessions_max,
                                    .own = listener->block->live,
                                    .service = board_service_live(board, listener->service_index),
                                    .all = board_live(board) };
    return pool_most(&room);
}

static uint32_t target(const struct listener *listener)
{
    const struct pool *pool = &listener->pool;
    if (listener->phase != PHASE_ACCEPTING || listener->paused)
        return 0;
    return pool_target(pool->wanted, pool->pinned, most_workers(listener));
}

/* Starts one more. False when that cannot be done now. */
static bool start_one(struct listener *listener)
{
    struct pool *pool = &listener->pool;
    int error = EAGAIN;
    if (slots_ready(listener)) {
        uint32_t slot = slots_take(listener);
        error = -children_fork_worker(listener, slot);
        if (error == 0)
            return true;
        board_slot_close(&listener->board, slot);
        board_count(listener->block, COUNT_FORK_FAILURES, 1);
        slots_give(listener, slot);
    }
    pool->retry_ms = listener->now_ms + TICK_MS;
    episode_note(listener, CAUSE_PROCESSES, false, NULL, error);
    return false;
}

static bool is_idle(const struct listener *listener, const struct child *child)
{
    return listener->board.session[child->slot].activity == SESSION_WAITING;
}

/* Ends so many that have no client. They die at once; who gets a client just now serves it first.
 */
static void dismiss(struct listener *listener, uint32_t count)
{
    struct child *child = NULL;
    while (count > 0 && (child = children_next(&listener->children, child)) != NULL)
        if (child->worker && !child->dismissed && is_idle(listener, child)) {
            child->dismissed = true;
            confine_kill(child->pid, SIGTERM);
            count--;
        }
}

void pool_dismiss(struct listener *listener)
{
    struct child *child = NULL;
    while ((child = children_next(&listener->children, child)) != NULL)
        if (child->worker && !child->dismissed) {
            child->dismissed = true;
            confine_kill(child->pid, SIGTERM);
        }
}

/* Processes that will go on serving. */
static uint32_t count_staying(struct listener *listener)
{
    struct child *child = NULL;
    uint32_t count = 0;
    while ((child = children_next(&listener->children, child)) != NULL)
        count += child->worker && !child->dismissed && child->stopped_ms == 0;
    return count;
}

static void stuck(struct listener *listener, struct child *child, const struct board_row *row)
{
    struct record record = { .kind = RECORD_WORKER_STUCK, .pid = child->pid, .slot = child->slot };
    record_set_text(&record, board_row_is_session(row) ? row->client : "");
    channel_send(&listener->channel, &record, true);
    child->stuck = true;
    child->abort_ms = listener->now_ms + ABORT_GRACE_MS;
    confine_kill(child->pid, SIGABRT);
    if (child->stopped_ms != 0) /* it hears nothing but KILL until it goes on */
        confine_kill(child->pid, SIGCONT);
}

/* Whether the client, not the worker, is what is waited for. */
static bool waits_for_client(uint32_t activity)
{
    return activity == SESSION_WAITING || activity == SESSION_READING ||
           activity == SESSION_WRITING || activity == SESSION_DELAYING ||
           activity == SESSION_CLOSING || activity == SESSION_HOLDING;
}

static void look_for_stuck(struct listener *listener, struct child *child,
                           const struct board_row *row)
{
    uint64_t limit_ms = listener->service->worker_timeout, now_ms = listener->now_ms;
    if (child->stuck) {
        if (now_ms >= child->abort_ms)
            confine_kill(child->pid, SIGKILL);
        return;
    }
    bool hangs = !row->torn && !waits_for_client(row->activity) &&
                 now_ms >= row->active_us / 1000 + limit_ms;
    bool stands = child->stopped_ms != 0 && now_ms >= child->stopped_ms + limit_ms;
    if (limit_ms > 0 && (hangs || stands))
        stuck(listener, child, row);
}

/* Counts who is busy, and looks for those that hang. */
static void look(struct listener *listener)
{
    struct pool *pool = &listener->pool;
    struct child *child = NULL;
    struct board_row row;
    pool->busy = pool->idle = pool->stopped = 0;
    while ((child = children_next(&listener->children, child)) != NULL) {
        if (!board_read(&listener->board, child->slot, &row))
            continue;
        if (board_row_is_session(&row))
            pool->busy++;
        else if (child->stopped_ms != 0)
            pool->stopped++;
        else if (row.activity == SESSION_WAITING && !child->dismissed)
            pool->idle++;
        if (child->dismissed && row.activity == SESSION_WAITING)
            confine_kill(child->pid, SIGTERM); /* hold_process has heard the first one */
        child->waited |= row.pool && row.activity != SESSION_STARTING;
        if (child->worker)
            look_for_stuck(listener, child, &row);
    }
    pool->look_ms = listener->now_ms + LOOK_MS;
    atomic_store_explicit(&listener->block->live, pool->busy, memory_order_relaxed);
}

/* Which limit it is that a full pool has reached. */
static enum board_cause full_of(const struct listener *listener)
{
    uint32_t live = board_service_live(&listener->board, listener->service_index);
    return live >= listener->service->instances ? CAUSE_INSTANCES : CAUSE_MAX_SESSIONS;
}

static void tick(struct listener *listener)
{
    struct pool *pool = &listener->pool;
    const struct service *service = listener->service;
    struct pool_figures figures = { .wanted = pool->wanted,
                                    .idle = pool->idle,
                                    .batch = pool->batch,
                                    .min_spare = service->min_spare,
                                    .max_spare = automatic(pool, service->max_spare),
                                    .most = most_workers(listener) };
    pool->tick_ms = listener->now_ms + TICK_MS;
    if (pool->doubtful && pool->busy == 0) {
        sources_forget_sessions(listener->sources);
        pool->doubtful = false;
    }
    if (listener->paused || pool->pinned != 0)
        return;
    pool->wanted = pool_decide(&figures);
    pool->batch = figures.batch;
    if (pool_is_full(listener) && listener->block->waiting > 0 &&
        service->over_limit == OVER_LIMIT_DEFER)
        episode_note(listener, full_of(listener), false, NULL, 0);
}

bool pool_is_full(const struct listener *listener)
{
    struct child *child = NULL;
    if (listener->children.live < most_workers(listener))
        return false;
    while ((child = children_next(&listener->children, child)) != NULL) {
        uint32_t activity = listener->board.session[child->slot].activity;
        if (child->worker && child->stopped_ms == 0 &&
            (activity == SESSION_WAITING || activity == SESSION_STARTING))
            return false;
    }
    return true;
}

void pool_keep(struct listener *listener)
{
    struct pool *pool = &listener->pool;
    if (pool->shared == NULL || listener->phase == PHASE_WAITING)
        return;
    atomic_store_explicit(&pool->shared->tell, listener->tell, memory_order_relaxed);
    if (listener->now_ms >= pool->look_ms)
        look(listener);
    if (pool->tick_ms == 0) /* the first ones have a second to arrive */
        pool->tick_ms = listener->now_ms + TICK_MS;
    if (listener->now_ms >= pool->tick_ms)
        tick(listener);
    uint32_t staying = count_staying(listener), wanted = target(listener);
    while (staying < wanted && listener->now_ms >= pool->retry_ms &&
           listener->children.live < listener->service->instances && start_one(listener))
        staying++;
    if (staying >= wanted)
        seats_trim(listener);
    if (wanted == 0)
        pool_dismiss(listener);
    else if (staying > wanted)
        dismiss(listener, staying - wanted);
}

int pool_wait(const struct listener *listener, int wait)
{
    const struct pool *pool = &listener->pool;
    if (pool->shared == NULL || listener->phase == PHASE_WAITING)
        return wait;
    wait = clock_until(listener->now_ms, pool->tick_ms, wait);
    if (pool->busy > 0)
        wait = clock_until(listener->now_ms, pool->look_ms, wait);
    return clock_until(listener->now_ms, pool->retry_ms, wait);
}

void pool_step(struct listener *listener, int step)
{
    struct pool *pool = &listener->pool;
    if (pool->shared == NULL)
        return;
    uint32_t now = target(listener);
    if (step < 0 ? now > 1 : now < most_workers(listener))
        pool->pinned = step < 0 ? now - 1 : now + 1;
}

void pool_scale(struct listener *listener, uint32_t workers)
{
    listener->pool.pinned = workers;
}
