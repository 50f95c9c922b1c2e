#include "board/board.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { LINE = 64, READ_TRIES = 100, SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

struct board_header {
    uint32_t version;
    uint32_t sessions_max;
    uint32_t slots;
    _Atomic uint32_t blocks_used; /* none at or above this index is in use */
};

static const char *const cause_words[] = {
#define CAUSE(name, word) [CAUSE_##name] = word,
    BOARD_CAUSES(CAUSE)
#undef CAUSE
};

const char *board_cause_word(enum board_cause cause)
{
    return (unsigned int)cause < CAUSE_COUNT ? cause_words[cause] : "unknown";
}

static size_t rounded(size_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

/* Lays the tables of control out one behind the other. With control NULL it only measures. */
static void lay_out(struct board *board, uint32_t slots)
{
    char *control = board->control;
    size_t at = rounded(sizeof(struct board_header));
    size_t blocks_at = at;
    at += rounded(BOARD_BLOCKS * sizeof(struct board_block));
    size_t owners_at = at;
    at += rounded(slots / BOARD_CHUNK * sizeof(*board->owners));
    size_t slots_at = at;
    at += slots * sizeof(struct board_slot);

    board->slots = slots;
    board->chunks = slots / BOARD_CHUNK;
    board->control_size = at;
    board->sessions_size = slots * sizeof(struct board_session);
    if (control == NULL)
        return;
    board->header = (void *)control;
    board->blocks = (void *)(control + blocks_at);
    board->owners = (void *)(control + owners_at);
    board->slot = (void *)(control + slots_at);
    board->session = board->sessions;
}

static void *map_shared(int fd, size_t size)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void *make_region(const char *name, size_t size, int *out)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return MAP_FAILED;
    void *region = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        region = map_shared(fd, size);
    if (region == MAP_FAILED) {
        int error = errno;
        close(fd);
        errno = error;
        return MAP_FAILED;
    }
    *out = fd;
    return region;
}

int board_create(struct board *board, uint32_t sessions, struct failure *why)
{
    memset(board, 0, sizeof(*board));
    board->fds[0] = board->fds[1] = -1;
    board->sessions_max = sessions;
    uint32_t slots = sessions + BOARD_BLOCKS * (BOARD_SPARE + BOARD_CHUNK);
    slots = (slots + BOARD_CHUNK - 1) / BOARD_CHUNK * BOARD_CHUNK;
    lay_out(board, slots);

    board->control = make_region("forkechod-control", board->control_size, &board->fds[0]);
    if (board->control == MAP_FAILED)
        return failure_errno(why, EX_OSERR, errno,
                             "cannot map the board for %u sessions (lower max_sessions)", sessions);
    board->sessions = make_region("forkechod-sessions", board->sessions_size, &board->fds[1]);
    if (board->sessions == MAP_FAILED) {
        failure_errno(why, EX_OSERR, errno,
                      "cannot map the board for %u sessions (lower max_sessions)", sessions);
        munmap(board->control, board->control_size);
        close(board->fds[0]);
        return -1;
    }
    lay_out(board, slots);
    board->header->version = BOARD_VERSION;
    board->header->sessions_max = sessions;
    board->header->slots = slots;
    return 0;
}

void board_destroy(struct board *board)
{
    if (board->header == NULL)
        return;
    munmap(board->sessions, board->sessions_size);
    munmap(board->control, board->control_size);
    for (int i = 0; i < 2; i++)
        if (board->fds[i] >= 0)
            close(board->fds[i]);
    memset(board, 0, sizeof(*board));
}

/* Maps what `fd` holds; a region that could shrink under us is not taken. */
static void *attach_region(int fd, size_t *size)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return MAP_FAILED;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || status.st_size <= 0) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    *size = (size_t)status.st_size;
    return map_shared(fd, *size);
}

int board_attach(struct board *board, int control_fd, int sessions_fd, struct failure *why)
{
    memset(board, 0, sizeof(*board));
    board->fds[0] = board->fds[1] = -1;

    size_t control_size = 0, sessions_size = 0;
    board->control = attach_region(control_fd, &control_size);
    board->sessions = attach_region(sessions_fd, &sessions_size);
    if (board->control == MAP_FAILED || board->sessions == MAP_FAILED)
        return failure_errno(why, EX_OSERR, errno, "cannot map the board");

    const struct board_header *header = board->control;
    if (control_size < sizeof(*header) || header->version != BOARD_VERSION ||
        header->slots % BOARD_CHUNK != 0)
        return failure_set(why, EX_SOFTWARE, "the board is of another version");
    lay_out(board, header->slots);
    board->sessions_max = header->sessions_max;
    if (board->control_size != control_size || board->sessions_size != sessions_size)
        return failure_set(why, EX_SOFTWARE, "the board has another size than it says");

    /* Sessions must not even have it mapped: they talk to clients. */
    if (madvise(board->control, control_size, MADV_DONTFORK) < 0)
        return failure_errno(why, EX_OSERR, errno, "cannot keep the board from sessions");
    close(control_fd);
    close(sessions_fd);
    return 0;
}

int board_block_take(struct board *board, uint32_t generation, uint32_t service)
{
    for (uint32_t i = 0; i < BOARD_BLOCKS; i++) {
        struct board_block *block = &board->blocks[i];
        if (atomic_load(&block->used) != 0)
            continue;
        memset(block, 0, sizeof(*block));
        atomic_store(&block->service, service);
        atomic_store(&block->used, generation);
        if (i >= atomic_load(&board->header->blocks_used))
            atomic_store(&board->header->blocks_used, i + 1);
        return (int)i;
    }
    return -1;
}

void board_block_free(struct board *board, unsigned int block)
{
    for (uint32_t chunk = 0; chunk < board->chunks; chunk++) {
        if (atomic_load(&board->owners[chunk]) != block + 1)
            continue;
        for (uint32_t i = 0; i < BOARD_CHUNK; i++)
            board_slot_close(board, chunk * BOARD_CHUNK + i);
        atomic_store(&board->owners[chunk], 0);
    }
    atomic_store(&board->blocks[block].used, 0);
    uint32_t used = atomic_load(&board->header->blocks_used);
    while (used > 0 && atomic_load(&board->blocks[used - 1].used) == 0)
        used--;
    atomic_store(&board->header->blocks_used, used);
}

int64_t board_chunk_take(struct board *board, unsigned int block, uint32_t *hint)
{
    for (uint32_t tries = 0; tries < board->chunks; tries++) {
        uint32_t chunk = *hint < board->chunks ? *hint : 0;
        *hint = chunk + 1;
        uint32_t nobody = 0;
        if (atomic_load_explicit(&board->owners[chunk], memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&board->owners[chunk], &nobody, block + 1))
            return (int64_t)chunk * BOARD_CHUNK;
    }
    return -1;
}

void board_chunk_free(struct board *board, uint32_t first_slot)
{
    atomic_store(&board->owners[first_slot / BOARD_CHUNK], 0);
}

/* A seqlock's two halves: odd while the row is being written. */
static void write_begin(_Atomic uint32_t *sequence)
{
    uint32_t now = atomic_load_explicit(sequence, memory_order_relaxed);
    atomic_store_explicit(sequence, now | 1U, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void write_end(_Atomic uint32_t *sequence)
{
    uint32_t now = atomic_load_explicit(sequence, memory_order_relaxed);
    atomic_store_explicit(sequence, (now | 1U) + 1, memory_order_release);
}

void board_slot_open(struct board *board, uint32_t slot, unsigned int block, const char *client,
                     uint64_t now_us)
{
    struct board_slot *row = &board->slot[slot];
    struct board_session *session = &board->session[slot];

    write_begin(&session->sequence);
    session->activity = SESSION_STARTING;
    session->active_us = now_us;
    session->bytes_in = session->bytes_out = session->turns = 0;
    write_end(&session->sequence);

    write_begin(&row->sequence);
    row->block = block;
    row->pid = 0;
    row->since_us = now_us;
    size_t length = strnlen(client, sizeof(row->client) - 1);
    memcpy(row->client, client, length);
    row->client[length] = '\0';
    atomic_store_explicit(&row->state, SLOT_FORKING, memory_order_relaxed);
    write_end(&row->sequence);
}

void board_slot_pid(struct board *board, uint32_t slot, pid_t pid)
{
    struct board_slot *row = &board->slot[slot];
    write_begin(&row->sequence);
    row->pid = pid;
    atomic_store_explicit(&row->state, SLOT_LIVE, memory_order_relaxed);
    write_end(&row->sequence);
}

void board_slot_close(struct board *board, uint32_t slot)
{
    struct board_slot *row = &board->slot[slot];
    write_begin(&row->sequence);
    atomic_store_explicit(&row->state, SLOT_FREE, memory_order_relaxed);
    row->pid = 0;
    write_end(&row->sequence);
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
    write_begin(&row->sequence);
    row->activity = activity;
    row->active_us = now_us;
    row->bytes_in = bytes_in;
    row->bytes_out = bytes_out;
    row->turns = turns;
    write_end(&row->sequence);
}

/* One try at a whole copy of what `sequence` guards. */
static bool read_whole(const _Atomic uint32_t *sequence, const void *from, void *to, size_t size)
{
    for (int tries = 0; tries < READ_TRIES; tries++) {
        uint32_t before = atomic_load_explicit(sequence, memory_order_acquire);
        if (before & 1U)
            continue;
        memcpy(to, from, size);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(sequence, memory_order_relaxed) == before)
            return true;
    }
    return false;
}

bool board_read(const struct board *board, uint32_t slot, struct board_row *row)
{
    struct board_slot control;
    struct board_session session;

    memset(row, 0, sizeof(*row));
    /* The listener's half always comes to rest: its writer is ours. A listener that was killed in
     * the middle of a write leaves it odd, and the master closes such slots. */
    if (!read_whole(&board->slot[slot].sequence, &board->slot[slot], &control, sizeof(control)) ||
        atomic_load_explicit(&control.state, memory_order_relaxed) == SLOT_FREE)
        return false;
    row->block = control.block;
    row->pid = control.pid;
    row->since_us = control.since_us;
    memcpy(row->client, control.client, sizeof(row->client));
    row->client[sizeof(row->client) - 1] = '\0';

    row->torn = !read_whole(&board->session[slot].sequence, &board->session[slot], &session,
                            sizeof(session));
    if (row->torn)
        return true;
    row->activity = session.activity;
    row->active_us = session.active_us;
    row->bytes_in = session.bytes_in;
    row->bytes_out = session.bytes_out;
    row->turns = session.turns;
    return true;
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

uint32_t board_service_live(const struct board *board, uint32_t service)
{
    return count_live(board, false, service);
}

uint32_t board_live(const struct board *board)
{
    return count_live(board, true, 0);
}
