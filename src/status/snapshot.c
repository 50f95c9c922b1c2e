#include "status/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { RATE_SAMPLES = 12 };

static const char *const end_names[] = {
#define SESSION_END(name, status, text, error) [status] = #name,
    SESSION_ENDS(SESSION_END)
#undef SESSION_END
};

const char *snapshot_end_name(unsigned int end)
{
    return end_names[end];
}

const char *snapshot_state_word(unsigned int state)
{
    static const char *const words[] = { [SERVICE_ABSENT] = "gone",
                                         [SERVICE_SERVING] = "serving",
                                         [SERVICE_PAUSED] = "paused",
                                         [SERVICE_DRAINED] = "drained",
                                         [SERVICE_BROKEN] = "broken" };
    return state < sizeof(words) / sizeof(words[0]) ? words[state] : "unknown";
}

const char *snapshot_life_word(unsigned int life)
{
    static const char *const words[] = { [LIFE_STARTS] = "starting",
                                         [LIFE_SERVES] = "serving",
                                         [LIFE_DRAINS] = "draining",
                                         [LIFE_STOPS] = "stopping" };
    return life < sizeof(words) / sizeof(words[0]) ? words[life] : "unknown";
}

const struct board_sample *snapshot_sample(const struct snapshot *snapshot,
                                           const struct snapshot_service *service, unsigned int i)
{
    uint32_t taken = snapshot->header->samples;
    if (i >= taken || i >= BOARD_SAMPLES)
        return NULL;
    return &service->entry.samples[(taken - 1 - i) % BOARD_SAMPLES];
}

static double rate(uint64_t before, uint64_t now, unsigned int samples)
{
    return now > before ? (double)(now - before) / (samples * BOARD_SAMPLE_SECONDS) : 0;
}

static void compute_rates(const struct snapshot *snapshot, struct snapshot_service *service)
{
    unsigned int taken = snapshot->header->samples;
    unsigned int back = taken > RATE_SAMPLES ? RATE_SAMPLES : taken > 0 ? taken - 1 : 0;
    if (back == 0)
        return;
    const struct board_sample *now = snapshot_sample(snapshot, service, 0);
    const struct board_sample *before = snapshot_sample(snapshot, service, back);
    service->accepted_rate = rate(before->accepted, now->accepted, back);
    service->refused_rate = rate(before->refused, now->refused, back);
    service->bytes_rate = rate(before->bytes, now->bytes, back);
}

static void take_service(struct snapshot *snapshot, const struct board *board, uint32_t index)
{
    struct snapshot_service *service = &snapshot->services[snapshot->service_count++];
    service->index = index;
    board_sum(board, index, &service->sum);
    for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++)
        service->refused += service->sum.counts[COUNT_REFUSED + cause];
    snapshot->live += service->sum.live;
    compute_rates(snapshot, service);
}

static bool take_services(struct snapshot *snapshot, const struct board *board, const char *name)
{
    snapshot->services = calloc(BOARD_SERVICES, sizeof(*snapshot->services));
    for (uint32_t i = 0; i < BOARD_SERVICES && snapshot->services != NULL; i++) {
        struct board_service *entry = &snapshot->services[snapshot->service_count].entry;
        if (board_read_service(board, i, entry) && (name == NULL || strcmp(entry->name, name) == 0))
            take_service(snapshot, board, i);
        else
            memset(entry, 0, sizeof(*entry));
    }
    return snapshot->services != NULL;
}

/* The name of the block's service, if that is one of those wanted. */
static const char *service_of(const struct snapshot *snapshot, const struct board *board,
                              unsigned int block)
{
    for (size_t i = 0; i < snapshot->service_count; i++)
        if (snapshot->services[i].index == board->blocks[block].service)
            return snapshot->services[i].entry.name;
    return NULL;
}

static int by_activity(const void *a, const void *b)
{
    const struct snapshot_session *first = a, *second = b;
    if (first->row.active_us != second->row.active_us)
        return first->row.active_us < second->row.active_us ? 1 : -1;
    return first->slot < second->slot ? -1 : first->slot > second->slot;
}

static bool take_sessions(struct snapshot *snapshot, const struct board *board)
{
    size_t room = 0;
    for (unsigned int block = 0; block < BOARD_BLOCKS; block++) {
        const char *service = service_of(snapshot, board, block);
        int64_t slot = -1;
        if (board->blocks[block].used == 0 || service == NULL)
            continue;
        while ((slot = board_next(board, block, slot)) >= 0) {
            if (snapshot->session_count == room) {
                room = 2 * room + 64;
                void *more = reallocarray(snapshot->sessions, room, sizeof(*snapshot->sessions));
                if (more == NULL)
                    return false;
                snapshot->sessions = more;
            }
            struct snapshot_session *session = &snapshot->sessions[snapshot->session_count];
            session->slot = (uint32_t)slot;
            session->service = service;
            if (board_read(board, session->slot, &session->row) &&
                (session->row.torn || board_row_is_session(&session->row)))
                snapshot->session_count++;
        }
    }
    if (snapshot->session_count > 0)
        qsort(snapshot->sessions, snapshot->session_count, sizeof(*snapshot->sessions),
              by_activity);
    return true;
}

bool snapshot_take(struct snapshot *snapshot, const struct board *board, const char *service,
                   bool sessions)
{
    *snapshot = (struct snapshot){ .header = board->header,
                                   .now_us = clock_us(),
                                   .now_s = (uint64_t)time(NULL) };
    return take_services(snapshot, board, service) && (!sessions || take_sessions(snapshot, board));
}

void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->services);
    free(snapshot->sessions);
}
