#include "listener/listener.h"

#include <errno.h>

#include "base/private.h"

int slots_init(struct slots *slots, uint32_t room)
{
    slots->room = room + BOARD_SPARE + 2 * BOARD_CHUNK;
    slots->free = private_new(slots->room * sizeof(*slots->free));
    return slots->free == NULL ? -ENOMEM : 0;
}

bool slots_ready(struct listener *listener)
{
    struct slots *slots = &listener->slots;
    if (slots->count > 0)
        return true;
    int64_t first = board_chunk_take(&listener->board, listener->block_index, &slots->hint);
    if (first < 0)
        return false;
    for (uint32_t i = BOARD_CHUNK; i > 0; i--)
        slots->free[slots->count++] = (uint32_t)first + i - 1;
    return true;
}

/* Prefers the chunk that children get already, since another one costs system calls
 * (board_hand_on). Only among those that were given back last: there may be thousands. */
static uint32_t choose(const struct slots *slots)
{
    uint32_t end = slots->count > BOARD_SPARE ? slots->count - BOARD_SPARE : 0;
    for (uint32_t at = slots->count; at > end; at--)
        if (slots->free[at - 1] / BOARD_CHUNK == slots->chunk)
            return at - 1;
    return slots->count - 1;
}

uint32_t slots_take(struct listener *listener)
{
    struct slots *slots = &listener->slots;
    uint32_t at = choose(slots), slot = slots->free[at];
    slots->free[at] = slots->free[--slots->count];
    slots->chunk = slot / BOARD_CHUNK;
    return slot;
}

static bool is_free(const struct listener *listener, uint32_t slot)
{
    return listener->board.slot[slot].state == SLOT_FREE;
}

/* Gives one chunk of which every slot is free back to the board. */
static void give_back(struct listener *listener, uint32_t slot)
{
    struct slots *slots = &listener->slots;
    uint32_t first = slot / BOARD_CHUNK * BOARD_CHUNK;
    for (uint32_t i = first; i < first + BOARD_CHUNK; i++)
        if (!is_free(listener, i))
            return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < slots->count; i++)
        if (slots->free[i] / BOARD_CHUNK != first / BOARD_CHUNK)
            slots->free[kept++] = slots->free[i];
    slots->count = kept;
    board_chunk_free(&listener->board, first);
}

void slots_give(struct listener *listener, uint32_t slot)
{
    struct slots *slots = &listener->slots;
    slots->free[slots->count++] = slot;
    if (slots->count > BOARD_SPARE)
        give_back(listener, slot);
}
