#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "listener/worker.h"

enum { REPORT_MS = 1000 };

bool worker_tell(const struct worker *worker, struct record *record)
{
    ssize_t sent;
    record->version = CHANNEL_VERSION;
    do
        sent = send(worker->listener->pool.reports[1], record, sizeof(*record),
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == sizeof(*record);
}

void worker_tell_cause(struct worker *worker, enum board_cause cause, enum record_kind kind,
                       const char *client, int error)
{
    struct untold *untold = &worker->untold[cause];
    uint64_t now_ms = clock_ms();
    untold->count++;
    untold->kind = kind;
    if (untold->told_ms != 0 && now_ms < untold->told_ms + REPORT_MS)
        return;
    struct record record = {
        .kind = (uint16_t)kind, .cause = (uint16_t)cause, .count = untold->count, .error = error
    };
    record_set_text(&record, client);
    if (worker_tell(worker, &record))
        *untold = (struct untold){ .told_ms = now_ms };
}

void worker_tell_rest(const struct worker *worker)
{
    for (int i = 0; i < CAUSE_COUNT; i++) {
        const struct untold *untold = &worker->untold[i];
        struct record record = { .kind = (uint16_t)untold->kind,
                                 .cause = (uint16_t)i,
                                 .count = untold->count };
        if (untold->count > 0)
            worker_tell(worker, &record);
    }
}

void worker_tell_start(struct worker *worker, const char *client)
{
    struct record record = { .kind = RECORD_SESSION_START };
    record_set_text(&record, client);
    worker_tell(worker, &record);
}

void worker_tell_end(struct worker *worker, const char *client, const struct stream *counts,
                     enum session_end end, uint64_t since_us)
{
    uint32_t wanted =
        atomic_load_explicit(&worker->listener->pool.shared->tell, memory_order_relaxed);
    if (!session_end_is_error(end) && wanted < TELL_ENDS) {
        board_worker_count(worker->row, COUNT_QUIET, 1);
        return;
    }
    struct record record = { .kind = RECORD_SESSION_END,
                             .end = (uint16_t)end,
                             .count = worker->row->turn,
                             .bytes_in = counts->bytes_in,
                             .bytes_out = counts->bytes_out,
                             .turns = counts->turns,
                             .duration_us = clock_us() - since_us };
    record_set_text(&record, client);
    if (worker_tell(worker, &record))
        return;
    if (errno == EPIPE || errno == ECONNRESET) /* the keeper is dead: the master reads it here */
        _exit((int)end);
    board_worker_count(worker->row, COUNT_DROPPED, 1);
}
