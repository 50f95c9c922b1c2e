/*
 * A worker, and what it tells its keeper: records that never wait for anybody; what there is no
 * room for is counted. The keeper takes them in pool_news.c. Private to src/listener/.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "board/board.h"
#include "channel/channel.h"
#include "listener/listener.h"
#include "service/stream.h"

/* Refusals and waits of one cause that the keeper has not heard of. */
struct untold {
    uint64_t count, told_ms;
    enum record_kind kind;
};

struct worker {
    struct listener *listener;
    struct board_session *row;
    int events;             /* where it waits: struct seat */
    uint64_t left;          /* clients it will still serve; UINT64_MAX: no end */
    uint64_t not_before_ms; /* leaves clients alone until then */
    bool doubts;            /* a socket seemed to be broken the last time */
    struct untold untold[CAUSE_COUNT];
};

/* Returns false, with errno, when the record was not taken. */
bool worker_tell(const struct worker *worker, struct record *record);
/* A refusal or a wait. They come in storms: the keeper hears of a cause at most once a second. */
void worker_tell_cause(struct worker *worker, enum board_cause cause, enum record_kind kind,
                       const char *client, int error);
/* What it has not heard of yet, before the worker ends. */
void worker_tell_rest(const struct worker *worker);
/* A session's lines. Of its end the line is sent where one is wanted; what it came to is counted in
 * any case. `since_us` is when it began. */
void worker_tell_start(struct worker *worker, const char *client);
void worker_tell_end(struct worker *worker, const char *client, const struct stream *counts,
                     enum session_end end, uint64_t since_us);
