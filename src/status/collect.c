#include "status/collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { ROOM_FIRST = 256 };

/* A service that is gone is of interest for as long as clients of it are there. */
static bool is_shown(const struct status_service *service, const char *wanted)
{
    if (wanted != NULL && strcmp(service->entry.name, wanted) != 0)
        return false;
    return service->entry.state != SERVICE_ABSENT || service->sum.generations > 0;
}

static int collect_services(const struct board *board, const char *wanted, struct status *out)
{
    size_t room = 0;
    for (uint32_t i = 0; i < BOARD_SERVICES; i++)
        room += board->services[i].name[0] != '\0';
    out->services = calloc(room + 1, sizeof(*out->services));
    if (out->services == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < BOARD_SERVICES && out->service_count < room; i++) {
        struct status_service *service = &out->services[out->service_count];
        service->index = i;
        if (!board_read_service(board, i, &service->entry))
            continue;
        board_sum(board, i, &service->sum);
        if (!is_shown(service, wanted))
            continue;
        status_measure(service, out->samples);
        out->service_count++;
    }
    return 0;
}

static int add_session(struct status *out, size_t *room, const struct status_session *session)
{
    if (out->session_count == *room) {
        size_t more = *room == 0 ? ROOM_FIRST : 2 * *room;
        struct status_session *sessions = reallocarray(out->sessions, more, sizeof(*sessions));
        if (sessions == NULL)
            return -ENOMEM;
        out->sessions = sessions;
        *room = more;
    }
    out->sessions[out->session_count++] = *session;
    return 0;
}

static int collect_sessions(const struct board *board, struct status *out)
{
    size_t room = 0;
    for (unsigned int block = 0; block < BOARD_BLOCKS; block++) {
        struct status_session session = { .service = 0 };
        uint32_t index = board->blocks[block].service;
        if (board->blocks[block].used == 0)
            continue;
        while (session.service < out->service_count &&
               out->services[session.service].index != index)
            session.service++;
        if (session.service == out->service_count)
            continue;
        for (int64_t slot = -1; (slot = board_next(board, block, slot)) >= 0;) {
            session.slot = (uint32_t)slot;
            if (board_read(board, session.slot, &session.row) &&
                (session.row.torn || board_row_is_session(&session.row)) &&
                add_session(out, &room, &session) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

int status_collect(const struct board *board, const char *service, bool sessions,
                   struct status *out)
{
    *out = (struct status){ .header = board->header,
                            .now_s = (uint64_t)time(NULL),
                            .now_us = clock_us(),
                            .samples = board->header->samples };
    if (collect_services(board, service, out) == 0 &&
        (!sessions || collect_sessions(board, out) == 0))
        return 0;
    status_free(out);
    return -ENOMEM;
}

void status_free(struct status *status)
{
    free(status->services);
    free(status->sessions);
    *status = (struct status){ 0 };
}
