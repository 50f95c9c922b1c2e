/* A snapshot of the board; private to src/status/. */
#pragma once

#include <stddef.h>

#include "board/board.h"

struct status_service {
    uint32_t index; /* on the board */
    struct board_service entry;
    struct board_sum sum;
    /* Means over the last minute, from samples; in milli-units a second. */
    uint64_t accepted_rate, refused_rate, byte_rate;
};

struct status_session {
    uint32_t slot;
    uint32_t service; /* index in struct status */
    struct board_row row;
};

struct status {
    const struct board_header *header;
    uint64_t now_s;   /* CLOCK_REALTIME */
    uint64_t now_us;  /* CLOCK_MONOTONIC */
    uint32_t samples; /* how many the board has taken */
    struct status_service *services;
    size_t service_count;
    struct status_session *sessions;
    size_t session_count;
};

/* Takes one. `service`: the name of the only one wanted, or NULL. Without `sessions` there will be
 * none in it. 0, or -ENOMEM; then there is nothing to free. */
int status_collect(const struct board *board, const char *service, bool sessions,
                   struct status *out);
void status_free(struct status *status);

/* rates.c: sets the service's rates. */
void status_measure(struct status_service *service, uint32_t samples);

/* What a service did between two samples. */
struct status_step {
    uint64_t accepted, refused, bytes;
    uint32_t live; /* at its end */
};

/* The last steps, oldest first; returns how many there are, at most BOARD_SAMPLES - 1. */
size_t status_steps(const struct board_service *service, uint32_t samples,
                    struct status_step out[BOARD_SAMPLES - 1]);
