/* Sums over generations, and what is remembered of services. */
#include <string.h>

#include "board/board.h"
#include "board/sequence.h"

#define SECONDS(count) ((count)*UINT64_C(1000000))

const uint64_t board_duration_limits[BOARD_DURATIONS - 1] = {
    1000,        10000,        100000,        SECONDS(1),     SECONDS(10),
    SECONDS(60), SECONDS(300), SECONDS(3600), SECONDS(86400),
};

void board_block_begin(struct board_block *block)
{
    sequence_begin(&block->sequence);
}

void board_block_end(struct board_block *block)
{
    sequence_end(&block->sequence);
}

void board_service_begin(struct board_service *service)
{
    sequence_begin(&service->sequence);
}

void board_service_end(struct board_service *service)
{
    sequence_end(&service->sequence);
}

/* One writer a block, so that reading and writing need not be one step. */
void board_count(struct board_block *block, unsigned int what, uint64_t more)
{
    _Atomic uint64_t *count = &block->counts[what];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static uint32_t count_live(const struct board *board, bool every, uint32_t service)
{
    uint32_t live = 0;
    if (board->header == NULL) /* a start that failed before there was a board */
        return 0;
    uint32_t used = atomic_load_explicit(&board->header->blocks_used, memory_order_relaxed);
    for (uint32_t i = 0; i < used && i < BOARD_BLOCKS; i++) {
        const struct board_block *block = &board->blocks[i];
        if (atomic_load_explicit(&block->used, memory_order_relaxed) != 0 &&
            (every || atomic_load_explicit(&block->service, memory_order_relaxed) == service))
            live += atomic_load_explicit(&block->live, memory_order_relaxed);
    }
    return live;
}

/* What a pool's workers have counted and serve. */
static void add_workers(const struct board *board, unsigned int block, struct board_sum *sum)
{
    struct board_session session;
    int64_t slot = -1;
    while ((slot = board_next(board, block, slot)) >= 0) {
        if (!board->slot[slot].pool) { /* forked to empty a queue that goes away */
            sum->live++;
            continue;
        }
        sum->workers++;
        if (!slots_copy_session(board, (uint32_t)slot, true, &session))
            continue;
        for (unsigned int i = 0; i < BOARD_COUNTS; i++)
            sum->counts[i] += session.counts[i];
        const struct board_row row = { .pool = true, .activity = session.activity };
        if (board_row_is_session(&row)) {
            sum->live++;
            sum->live_bytes_in += session.bytes_in;
            sum->live_bytes_out += session.bytes_out;
        } else if (session.activity == SESSION_WAITING) {
            sum->idle++;
        }
    }
}

uint32_t board_live_now(const struct board *board)
{
    uint32_t live = 0;
    if (board->header == NULL)
        return 0;
    for (unsigned int i = 0; i < board->header->blocks_used && i < BOARD_BLOCKS; i++) {
        struct board_sum sum = { 0 };
        if (board->blocks[i].used != 0 && board->blocks[i].pool != 0)
            add_workers(board, i, &sum);
        else if (board->blocks[i].used != 0)
            sum.live = board->blocks[i].live;
        live += sum.live;
    }
    return live;
}

uint32_t board_service_live(const struct board *board, uint32_t service)
{
    return count_live(board, false, service);
}

uint32_t board_live(const struct board *board)
{
    return count_live(board, true, 0);
}

/* Adds one block; false when it did not hold still. */
static bool add_block(const struct board *board, unsigned int index, struct board_sum *sum)
{
    const struct board_block *block = &board->blocks[index];
    const struct board_sum before_it = *sum;
    uint32_t before;

    for (int tries = 0; tries < SEQUENCE_TRIES; tries++) {
        if (!sequence_read_begin(&block->sequence, tries, &before))
            continue;
        *sum = before_it;
        if (block->used != 0) {
            sum->generations++;
            sum->waiting += block->waiting;
            for (unsigned int i = 0; i < BOARD_COUNTS; i++)
                sum->counts[i] += atomic_load_explicit(&block->counts[i], memory_order_relaxed);
            if (block->pool != 0)
                add_workers(board, index, sum);
            else
                sum->live += block->live;
        }
        if (sequence_read_end(&block->sequence, before))
            return true;
    }
    return false;
}

/* Bytes of sessions that go on; beside the counts, which they join at their end. */
static void add_live_bytes(const struct board *board, unsigned int block, struct board_sum *sum)
{
    struct board_row row;
    int64_t slot = -1;
    if (board->blocks[block].used == 0 || board->blocks[block].pool != 0)
        return;
    while ((slot = board_next(board, block, slot)) >= 0)
        if (board_read(board, (uint32_t)slot, &row)) {
            sum->live_bytes_in += row.bytes_in;
            sum->live_bytes_out += row.bytes_out;
        }
}

void board_sum(const struct board *board, uint32_t service, struct board_sum *sum)
{
    const struct board_service *entry = &board->services[service];
    uint32_t before;
    bool whole = false;

    for (int tries = 0; tries < SEQUENCE_TRIES && !whole; tries++) {
        if (!sequence_read_begin(&entry->sequence, tries, &before))
            continue;
        memset(sum, 0, sizeof(*sum));
        memcpy(sum->counts, entry->counts, sizeof(sum->counts));
        whole = true;
        for (unsigned int i = 0; i < BOARD_BLOCKS; i++)
            if (board->blocks[i].used != 0 && board->blocks[i].service == service)
                whole &= add_block(board, i, sum);
        whole &= sequence_read_end(&entry->sequence, before);
    }
    for (unsigned int i = 0; i < BOARD_BLOCKS; i++)
        if (board->blocks[i].service == service)
            add_live_bytes(board, i, sum);
}

bool board_block_agrees(const struct board *board, unsigned int index)
{
    const struct board_block *block = &board->blocks[index];
    uint32_t before;

    for (int tries = 0; tries < SEQUENCE_TRIES; tries++) {
        if (!sequence_read_begin(&block->sequence, tries, &before))
            continue;
        uint32_t live = block->live, held = 0;
        int64_t slot = -1;
        while ((slot = board_next(board, index, slot)) >= 0)
            held += board->slot[slot].state == SLOT_LIVE;
        if (sequence_read_end(&block->sequence, before))
            return block->pool != 0 || live == held;
    }
    return true;
}

bool board_read_service(const struct board *board, uint32_t service, struct board_service *out)
{
    const struct board_service *entry = &board->services[service];
    return service < BOARD_SERVICES &&
           sequence_copy(&entry->sequence, entry, out, sizeof(*out), SEQUENCE_TRIES) &&
           out->name[0] != '\0';
}

void board_sample(struct board *board)
{
    uint32_t at = board->header->samples % BOARD_SAMPLES;
    for (uint32_t i = 0; i < BOARD_SERVICES; i++) {
        struct board_service *service = &board->services[i];
        struct board_sum sum;
        if (service->name[0] == '\0')
            continue;
        board_sum(board, i, &sum);
        struct board_sample sample = { .accepted = sum.counts[COUNT_ACCEPTED],
                                       .bytes = sum.counts[COUNT_BYTES_IN] +
                                                sum.counts[COUNT_BYTES_OUT] + sum.live_bytes_in +
                                                sum.live_bytes_out,
                                       .live = sum.live };
        for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++)
            sample.refused += sum.counts[COUNT_REFUSED + cause];
        board_service_begin(service);
        service->samples[at] = sample;
        board_service_end(service);
    }
    atomic_store(&board->header->samples, board->header->samples + 1);
}
