/*
 * A seqlock with one writer: the counter is odd while what it guards is written. Readers take a
 * copy and look whether the counter has moved meanwhile. (H.-J. Boehm, "Can seqlocks get along with
 * programming language memory models?", 2012.) Private to src/board/.
 */
#pragma once

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "board/board.h"

/* A writer that was put to sleep in the middle of a write is given the processor after the first
 * few tries. */
enum { SEQUENCE_TRIES = 100, SEQUENCE_PATIENCE = 10 };

static inline void sequence_begin(_Atomic uint32_t *sequence)
{
    uint32_t now = atomic_load_explicit(sequence, memory_order_relaxed);
    atomic_store_explicit(sequence, now | 1U, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void sequence_end(_Atomic uint32_t *sequence)
{
    uint32_t now = atomic_load_explicit(sequence, memory_order_relaxed);
    atomic_store_explicit(sequence, (now | 1U) + 1, memory_order_release);
}

/* The first half of a try; false when a write goes on. */
static inline bool sequence_read_begin(const _Atomic uint32_t *sequence, int tries,
                                       uint32_t *before)
{
    if (tries >= SEQUENCE_PATIENCE)
        sched_yield();
    *before = atomic_load_explicit(sequence, memory_order_acquire);
    return (*before & 1U) == 0;
}

/* Whether what was read since is whole. */
static inline bool sequence_read_end(const _Atomic uint32_t *sequence, uint32_t before)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(sequence, memory_order_relaxed) == before;
}

/* A copy of what `sequence` guards; false when it would not hold still for so many tries, the first
 * SEQUENCE_PATIENCE of which come one upon another. */
static inline bool sequence_copy(const _Atomic uint32_t *sequence, const void *from, void *to,
                                 size_t size, int most)
{
    uint32_t before;
    for (int tries = 0; tries < most; tries++) {
        if (!sequence_read_begin(sequence, tries, &before))
            continue;
        memcpy(to, from, size);
        if (sequence_read_end(sequence, before))
            return true;
    }
    return false;
}

/* slots.c: reads a session's half, and whether it can be believed. Of one that is no worker's only
 * the first line is read. */
bool slots_copy_session(const struct board *board, uint32_t slot, bool pool,
                        struct board_session *out);
