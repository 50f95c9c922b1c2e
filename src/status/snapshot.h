/* One look at the whole board, from which the pages are written. */
#pragma once

#include "board/board.h"

struct snapshot_service {
    uint32_t index;
    struct board_service entry;
    struct board_sum sum;
    uint64_t refused;                               /* for all reasons */
    double accepted_rate, refused_rate, bytes_rate; /* a second, over the last minute */
};

struct snapshot_session {
    uint32_t slot;
    const char *service;
    struct board_row row;
};

struct snapshot {
    const struct board_header *header;
    uint64_t now_us, now_s;
    struct snapshot_service *services;
    size_t service_count;
    struct snapshot_session *sessions; /* those that were active last come first */
    size_t session_count;
    uint32_t live; /* of all services; sessions may have come or gone since */
};

/* Looks at the services, or at the one of that name (NULL: all), and at their sessions if wanted.
 * False when there is no memory. snapshot_free in both cases. */
bool snapshot_take(struct snapshot *snapshot, const struct board *board, const char *service,
                   bool sessions);
void snapshot_free(struct snapshot *snapshot);

/* Names of enum session_end in capitals, as in base/exitcode.h. */
const char *snapshot_end_name(unsigned int end);
/* The i-th last moment that is remembered of a service, 0 being the last; NULL when there is none.
 */
const struct board_sample *snapshot_sample(const struct snapshot *snapshot,
                                           const struct snapshot_service *service, unsigned int i);
/* Words of enum board_service_state and enum board_life. */
const char *snapshot_state_word(unsigned int state);
const char *snapshot_life_word(unsigned int life);
