#include "board/board.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/private.h"

enum { LINE = 64, PAGE = 4096, SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static const char *const cause_words[] = {
#define CAUSE(name, word) [CAUSE_##name] = word,
    BOARD_CAUSES(CAUSE)
#undef CAUSE
};

static const char *const activity_words[] = {
#define ACTIVITY(name, word) [SESSION_##name] = word,
    BOARD_ACTIVITIES(ACTIVITY)
#undef ACTIVITY
};

const char *board_cause_word(enum board_cause cause)
{
    return (unsigned int)cause < CAUSE_COUNT ? cause_words[cause] : "unknown";
}

const char *board_activity_word(enum board_activity activity)
{
    return (unsigned int)activity < ACTIVITY_COUNT ? activity_words[activity] : "unknown";
}

/* Takes so many bytes of the region, whole lines. */
static size_t place(size_t *at, size_t size)
{
    size_t here = *at;
    *at += (size + LINE - 1) / LINE * LINE;
    return here;
}

/* Lays the tables of control out one behind the other. With control NULL it only measures. */
static void lay_out(struct board *board, uint32_t slots)
{
    char *control = board->control;
    size_t at = 0;
    size_t header_at = place(&at, PAGE); /* which sessions may have alone */
    size_t blocks_at = place(&at, BOARD_BLOCKS * sizeof(struct board_block));
    size_t services_at = place(&at, BOARD_SERVICES * sizeof(struct board_service));
    size_t owners_at = place(&at, slots / BOARD_CHUNK * sizeof(*board->owners));
    size_t slots_at = place(&at, slots * sizeof(struct board_slot));

    _Static_assert(sizeof(struct board_header) <= PAGE, "the header has a page of its own");
    board->slots = slots;
    board->chunks = slots / BOARD_CHUNK;
    board->control_size = at;
    board->sessions_size = slots * sizeof(struct board_session);
    if (control == NULL)
        return;
    board->header = (void *)(control + header_at);
    board->blocks = (void *)(control + blocks_at);
    board->services = (void *)(control + services_at);
    board->owners = (void *)(control + owners_at);
    board->slot = (void *)(control + slots_at);
    board->session = board->sessions;
}

static void *map_shared(int fd, size_t size, int protection)
{
    return mmap(NULL, size, protection, MAP_SHARED, fd, 0);
}

static void *make_region(const char *name, size_t size, int *out)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return MAP_FAILED;
    void *region = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        region = map_shared(fd, size, PROT_READ | PROT_WRITE);
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
    if (board->sessions != NULL)
        munmap(board->sessions, board->sessions_size);
    munmap(board->control, board->control_size);
    for (int i = 0; i < 2; i++)
        if (board->fds[i] >= 0)
            close(board->fds[i]);
    memset(board, 0, sizeof(*board));
}

/* Maps what `fd` holds; a region that could shrink under us is not taken. */
static void *attach_region(int fd, int protection, size_t *size)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return MAP_FAILED;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || status.st_size < PAGE) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    *size = (size_t)status.st_size;
    return map_shared(fd, *size, protection);
}

static int attach(struct board *board, int control_fd, int sessions_fd, int protection,
                  struct failure *why)
{
    memset(board, 0, sizeof(*board));
    board->fds[0] = board->fds[1] = -1;

    size_t control_size = 0, sessions_size = 0;
    board->control = attach_region(control_fd, protection, &control_size);
    board->sessions = attach_region(sessions_fd, protection, &sessions_size);
    if (board->control == MAP_FAILED || board->sessions == MAP_FAILED)
        return failure_errno(why, EX_OSERR, errno, "cannot map the board");

    const struct board_header *header = board->control;
    if (header->version != BOARD_VERSION || header->slots % BOARD_CHUNK != 0)
        return failure_set(why, EX_SOFTWARE, "the board is of another version");
    lay_out(board, header->slots);
    board->sessions_max = header->sessions_max;
    if (board->control_size != control_size || board->sessions_size != sessions_size)
        return failure_set(why, EX_SOFTWARE, "the board has another size than it says");
    return 0;
}

int board_attach(struct board *board, int control_fd, int sessions_fd, struct failure *why)
{
    if (attach(board, control_fd, sessions_fd, PROT_READ | PROT_WRITE, why) < 0)
        return -1;
    /* Sessions must not even have it mapped: they talk to clients. */
    int error = private_keep(board->control, board->control_size);
    if (error == 0)
        error = private_keep(board->sessions, board->sessions_size);
    if (error < 0)
        return failure_errno(why, EX_OSERR, -error, "cannot keep the board from sessions");
    return 0;
}

/* What is handed on at a time. Both are powers of two, so one is made of whole others. */
static size_t piece_size(void)
{
    enum { CHUNK = BOARD_CHUNK * sizeof(struct board_session) };
    _Static_assert((CHUNK & (CHUNK - 1)) == 0, "no row lies in two pages");
    size_t page = (size_t)getpagesize();
    return page > CHUNK ? page : CHUNK;
}

/* Not the whole region: a kernel that looks for who uses a page (reclaim, DAMON) goes through all
 * processes that have mapped what surrounds it, and nobody can fork or end meanwhile. With 10 000
 * sessions that took half a processor. */
int board_hand_on(struct board *board, uint32_t slot)
{
    size_t size = piece_size();
    char *wanted = (char *)board->sessions + slot * sizeof(struct board_session) / size * size;
    if (wanted == board->handed_on)
        return 0;
    int error = board->handed_on == NULL ? 0 : private_keep(board->handed_on, size);
    if (error < 0)
        return error;
    error = private_hand_on(wanted, size);
    board->handed_on = error == 0 ? wanted : NULL;
    return error;
}

int board_adopt(struct board *board, int control_fd, int sessions_fd, struct failure *why)
{
    if (attach(board, control_fd, sessions_fd, PROT_READ | PROT_WRITE, why) < 0)
        return -1;
    board->fds[0] = control_fd;
    board->fds[1] = sessions_fd;
    return 0;
}

int board_attach_reader(struct board *board, int control_fd, int sessions_fd, bool whole,
                        struct failure *why)
{
    if (whole)
        return attach(board, control_fd, sessions_fd, PROT_READ, why);
    memset(board, 0, sizeof(*board));
    board->fds[0] = board->fds[1] = -1;
    board->control = board->header = map_shared(control_fd, PAGE, PROT_READ);
    board->control_size = PAGE;
    if (board->control == MAP_FAILED)
        return failure_errno(why, EX_OSERR, errno, "cannot map the board's header");
    return 0;
}

void board_block_open(struct board *board, unsigned int block, uint32_t generation,
                      uint32_t service)
{
    struct board_block *own = &board->blocks[block];
    own->pid = 0;
    own->pool = own->live = own->waiting = 0;
    own->denied = 0;
    own->heartbeat_ms = 0;
    for (unsigned int what = 0; what < BOARD_COUNTS; what++)
        own->counts[what] = 0;
    atomic_store(&own->service, service);
    atomic_store(&own->used, generation);
    if (block >= atomic_load(&board->header->blocks_used))
        atomic_store(&board->header->blocks_used, block + 1);
}

/* What it did becomes its service's past. */
static void add_to_service(struct board_block *block, struct board_service *service)
{
    board_service_begin(service);
    board_block_begin(block);
    for (unsigned int i = 0; i < BOARD_COUNTS; i++)
        service->counts[i] += block->counts[i];
    atomic_store(&block->used, 0);
    board_block_end(block);
    board_service_end(service);
}

void board_block_close(struct board *board, unsigned int block, uint32_t service)
{
    for (uint32_t chunk = 0; chunk < board->chunks; chunk++) {
        if (atomic_load(&board->owners[chunk]) != block + 1)
            continue;
        for (uint32_t i = 0; i < BOARD_CHUNK; i++)
            board_slot_close(board, chunk * BOARD_CHUNK + i);
        atomic_store(&board->owners[chunk], 0);
    }
    add_to_service(&board->blocks[block], &board->services[service]);
    uint32_t used = atomic_load(&board->header->blocks_used);
    if (used > BOARD_BLOCKS) /* listeners could write there */
        used = BOARD_BLOCKS;
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
