/* Rows: a slot's two halves. */
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "board/board.h"
#include "board/sequence.h"

enum {
    IMPLAUSIBLE_BITS = 56, /* more than any session can have counted: such a row was written over */
    WAITS = 100,           /* for one row's writer */
    WAIT_US = 50000        /* for all writers, in a second */
};

static void copy_client(char *to, const char *client)
{
    size_t length = client == NULL ? 0 : strnlen(client, BOARD_CLIENT_MAX - 1);
    if (length > 0)
        memcpy(to, client, length);
    to[length] = '\0';
}

void board_slot_open(struct board *board, uint32_t slot, unsigned int block, const char *client,
                     uint64_t now_us)
{
    struct board_slot *row = &board->slot[slot];
    struct board_session *session = &board->session[slot];

    sequence_begin(&session->sequence);
    session->activity = SESSION_STARTING;
    session->active_us = session->since_us = now_us;
    session->bytes_in = session->bytes_out = session->turns = 0;
    session->denied = 0;
    session->turn = client == NULL ? row->turn : row->turn + 1;
    if (client == NULL) {
        session->source = 0;
        session->settling = 0;
        session->client[0] = '\0';
        memset(session->counts, 0, sizeof(session->counts));
    }
    sequence_end(&session->sequence);

    sequence_begin(&row->sequence);
    row->block = block;
    row->pid = 0;
    row->pool = client == NULL;
    row->turn += client != NULL;
    row->since_us = now_us;
    copy_client(row->client, client);
    atomic_store_explicit(&row->state, SLOT_FORKING, memory_order_relaxed);
    sequence_end(&row->sequence);
}

void board_slot_pid(struct board *board, uint32_t slot, pid_t pid)
{
    struct board_slot *row = &board->slot[slot];
    struct board_block *block = &board->blocks[row->block];

    board_block_begin(block);
    if (!row->pool) {
        board_count(block, COUNT_ACCEPTED, 1);
        atomic_fetch_add_explicit(&block->live, 1, memory_order_relaxed);
    }
    sequence_begin(&row->sequence);
    row->pid = pid;
    atomic_store_explicit(&row->state, SLOT_LIVE, memory_order_relaxed);
    sequence_end(&row->sequence);
    board_block_end(block);
}

void board_slot_close(struct board *board, uint32_t slot)
{
    struct board_slot *row = &board->slot[slot];
    sequence_begin(&row->sequence);
    atomic_store_explicit(&row->state, SLOT_FREE, memory_order_relaxed);
    row->pid = 0;
    sequence_end(&row->sequence);
}

int64_t board_next(const struct board *board, unsigned int block, int64_t slot)
{
    for (slot++; slot < board->slots; slot++)
        if (atomic_load(&board->owners[slot / BOARD_CHUNK]) != block + 1)
            slot |= BOARD_CHUNK - 1; /* the last of its chunk */
        else if (atomic_load(&board->slot[slot].state) != SLOT_FREE)
            return slot;
    return -1;
}

void board_session_update(struct board_session *row, enum board_activity activity, uint64_t now_us,
                          uint64_t bytes_in, uint64_t bytes_out, uint64_t turns)
{
    if (row == NULL)
        return;
    sequence_begin(&row->sequence);
    row->activity = activity;
    row->active_us = now_us;
    row->bytes_in = bytes_in;
    row->bytes_out = bytes_out;
    row->turns = turns;
    sequence_end(&row->sequence);
}

void board_worker_settle(struct board_session *row, bool settling)
{
    atomic_store(&row->settling, settling);
}

void board_worker_begin(struct board_session *row, const char *client, uint32_t source,
                        uint64_t now_us)
{
    sequence_begin(&row->sequence);
    row->turn++;
    row->source = source;
    row->activity = SESSION_READING;
    row->since_us = row->active_us = now_us;
    row->bytes_in = row->bytes_out = row->turns = 0;
    copy_client(row->client, client);
    row->counts[COUNT_ACCEPTED]++;
    sequence_end(&row->sequence);
}

/* The bucket of a session that took so long. */
static unsigned int bucket_of(uint64_t duration_us)
{
    unsigned int bucket = 0;
    while (bucket < BOARD_DURATIONS - 1 && duration_us > board_duration_limits[bucket])
        bucket++;
    return bucket;
}

void board_worker_end(struct board_session *row, enum session_end end, uint64_t now_us)
{
    uint64_t duration_us = now_us - row->since_us;
    sequence_begin(&row->sequence);
    row->activity = SESSION_WAITING;
    row->active_us = now_us;
    row->source = 0;
    row->client[0] = '\0';
    row->counts[COUNT_ENDED + end]++;
    row->counts[COUNT_BYTES_IN] += row->bytes_in;
    row->counts[COUNT_BYTES_OUT] += row->bytes_out;
    row->counts[COUNT_DURATION_US] += duration_us;
    row->counts[COUNT_DURATIONS + bucket_of(duration_us)]++;
    sequence_end(&row->sequence);
}

void board_worker_count(struct board_session *row, unsigned int what, uint64_t more)
{
    sequence_begin(&row->sequence);
    row->counts[what] += more;
    sequence_end(&row->sequence);
}

/* A row that was written over shows it: by a moment that has not come yet, for instance. */
static bool is_plausible(const struct board_session *session, bool pool)
{
    uint64_t all = session->bytes_in | session->bytes_out | session->turns;
    for (unsigned int i = 0; pool && i < BOARD_COUNTS; i++)
        all |= session->counts[i];
    return session->activity < ACTIVITY_COUNT && all >> IMPLAUSIBLE_BITS == 0 &&
           session->since_us > 0 && session->active_us >= session->since_us &&
           session->active_us <= clock_us() + 1000000;
}

/* Lets others run, one of whom may be writing. A session that goes wrong can leave every row as if
 * it were being written, and on a busy machine each wait takes long: all of them together get
 * WAIT_US. */
static bool wait_for_writer(void)
{
    static uint64_t since_us, waited_us;
    uint64_t now_us = clock_us();
    if (now_us - since_us >= 1000000) {
        since_us = now_us;
        waited_us = 0;
    }
    if (waited_us >= WAIT_US)
        return false;
    sched_yield();
    waited_us += clock_us() - now_us;
    return true;
}

bool slots_copy_session(const struct board *board, uint32_t slot, bool pool,
                        struct board_session *out)
{
    const struct board_session *session = &board->session[slot];
    size_t size = pool ? sizeof(*out) : offsetof(struct board_session, client);
    int waits = 0;
    while (!sequence_copy(&session->sequence, session, out, size, SEQUENCE_PATIENCE))
        if (waits++ == WAITS || !wait_for_writer())
            return false;
    return is_plausible(out, pool);
}

bool board_read(const struct board *board, uint32_t slot, struct board_row *row)
{
    struct board_slot control;
    struct board_session session;

    memset(row, 0, sizeof(*row));
    /* The listener's half always comes to rest: its writer is ours. A listener that was killed in
     * the middle of a write leaves it odd, and the master closes such slots. */
    if (!sequence_copy(&board->slot[slot].sequence, &board->slot[slot], &control, sizeof(control),
                       SEQUENCE_TRIES) ||
        atomic_load_explicit(&control.state, memory_order_relaxed) == SLOT_FREE)
        return false;
    row->block = control.block;
    row->pid = control.pid;
    row->turn = control.turn;
    row->since_us = row->active_us = control.since_us;
    row->pool = control.pool != 0;
    copy_client(row->client, control.client);

    row->torn = !slots_copy_session(board, slot, row->pool, &session);
    if (row->torn)
        return true;
    row->activity = session.activity;
    row->active_us = session.active_us;
    row->bytes_in = session.bytes_in;
    row->bytes_out = session.bytes_out;
    row->turns = session.turns;
    row->denied = session.denied;
    if (row->pool) {
        row->turn = session.turn;
        row->source = session.source;
        row->settling = session.settling != 0;
        row->since_us = session.since_us;
        copy_client(row->client, session.client);
    }
    return true;
}

bool board_row_is_session(const struct board_row *row)
{
    return !row->pool || (row->activity != SESSION_STARTING && row->activity != SESSION_WAITING);
}

static void count_end(struct board_block *block, const struct board_row *row, enum session_end end,
                      uint64_t now_us)
{
    uint64_t duration_us = now_us - row->since_us;
    board_count(block, COUNT_ENDED + end, 1);
    board_count(block, COUNT_BYTES_IN, row->bytes_in);
    board_count(block, COUNT_BYTES_OUT, row->bytes_out);
    board_count(block, COUNT_DURATION_US, duration_us);
    board_count(block, COUNT_DURATIONS + bucket_of(duration_us), 1);
}

/* Its process is gone, so that nothing moves here any more. */
static void add_worker(struct board *board, uint32_t slot, struct board_block *block)
{
    const struct board_session *session = &board->session[slot];
    board->slot[slot].turn = session->turn;
    if (is_plausible(session, true))
        for (unsigned int i = 0; i < BOARD_COUNTS; i++)
            board_count(block, i, session->counts[i]);
}

void board_slot_end(struct board *board, uint32_t slot, const struct board_row *row,
                    enum session_end end, uint64_t now_us)
{
    struct board_block *block = &board->blocks[row->block];
    uint32_t live = atomic_load_explicit(&block->live, memory_order_relaxed);

    board_block_begin(block);
    if (row->pool)
        add_worker(board, slot, block);
    else if (board->slot[slot].state == SLOT_FORKING) /* whoever forked it did not come to count */
        board_count(block, COUNT_ACCEPTED, 1);
    else if (live > 0)
        atomic_store_explicit(&block->live, live - 1, memory_order_relaxed);
    if (board_row_is_session(row))
        count_end(block, row, end, now_us);
    board_slot_close(board, slot);
    board_block_end(block);
}
