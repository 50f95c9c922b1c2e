/*
 * A listener that has gone wrong: any packets on its channel, any bytes in its part of the board
 * and in that of its sessions, then its death. The master says what it can, and clears up after it;
 * the other service is as it was.
 *
 * The input is steps: what, how many bytes, the bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "household.h"
#include "log/log.h"

enum step {
    PACKET,  /* sent as it is */
    RECORD,  /* sent as a record of the right size and version, with zeroes behind */
    SLOT,    /* written to the listener's half of a slot: its number, a place, bytes */
    SESSION, /* the same of the session's half */
    BLOCK,   /* written to its block: a place, bytes */
    HEADER,  /* the same of the board's header */
    OWNER,   /* takes a chunk */
    SINK,    /* the log goes elsewhere */
    STEPS
};

enum { SLOTS_REACHED = 2 * BOARD_CHUNK, PLACE_UNIT = 4 };

/* Overwrites a part of one of the board's structures. */
static void scribble(void *at, size_t room, struct fuzz_part part)
{
    size_t place = part.size > 0 ? (size_t)part.bytes[0] * PLACE_UNIT : room;
    if (place >= room)
        return;
    size_t size = part.size - 1 < room - place ? part.size - 1 : room - place;
    memcpy((char *)at + place, part.bytes + 1, size);
}

static void scribble_slot(struct board *board, bool session, struct fuzz_part part)
{
    if (part.size == 0)
        return;
    unsigned int slot = part.bytes[0] % SLOTS_REACHED;
    struct fuzz_part rest = { part.bytes + 1, part.size - 1 };
    if (session)
        scribble(&board->session[slot], sizeof(board->session[slot]), rest);
    else
        scribble(&board->slot[slot], sizeof(board->slot[slot]), rest);
}

static void send_record(int fd, struct fuzz_part part)
{
    struct record record;
    memset(&record, 0, sizeof(record));
    size_t size = part.size < sizeof(record) - 2 ? part.size : sizeof(record) - 2;
    record.version = CHANNEL_VERSION;
    memcpy((char *)&record + 2, part.bytes, size);
    (void)!send(fd, &record, sizeof(record), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void choose_sink(struct fuzz_part part)
{
    struct log_settings settings = { .sink = part.size % 2 ? LOG_SINK_JOURNAL : LOG_SINK_STDERR,
                                     .level = LOG_DEBUG,
                                     .facility = LOG_DAEMON };
    log_open(&settings);
}

static void take_step(struct house *house, enum step step, struct fuzz_part part)
{
    struct board *board = &house->master->board;
    switch (step) {
    case PACKET:
        (void)!send(house->listener[0], part.bytes, part.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case RECORD:
        send_record(house->listener[0], part);
        break;
    case SLOT:
    case SESSION:
        scribble_slot(board, step == SESSION, part);
        break;
    case BLOCK:
        scribble(&board->blocks[0], sizeof(board->blocks[0]), part);
        break;
    case HEADER:
        scribble(board->header, sizeof(*board->header), part);
        break;
    case OWNER:
        if (part.size > 0)
            board->owners[part.bytes[0]] = 1;
        break;
    case SINK:
        choose_sink(part);
        break;
    case STEPS:
        break;
    }
}

/* What a master does all the time. */
static void look_around(struct master *master)
{
    struct board_sum sum;
    for (uint32_t i = 0; i < HOUSE_LISTENERS; i++)
        board_sum(&master->board, i, &sum);
    board_live_now(&master->board);
    board_block_agrees(&master->board, 0);
    watch_heartbeats(master);
    watch_all_fresh(master);
    report_dropped(master);
    report_state(master);
    board_sample(&master->board);
}

static void check_neighbour(const struct master *master, const struct board_block *before)
{
    HOLDS(master->generations[1].state == GENERATION_SERVING);
    HOLDS(memcmp(&master->board.blocks[1], before, sizeof(*before)) == 0);
    HOLDS(strcmp(master->services[1]->name, "b") == 0);
}

static void check_cleared(const struct master *master)
{
    HOLDS(master->generations[0].state == GENERATION_NONE);
    HOLDS(master->board.blocks[0].used == 0);
    for (uint32_t i = 0; i < master->board.chunks; i++)
        HOLDS(master->board.owners[i] != 1);
    HOLDS(master->services[0]->current == NULL && master->services[0]->restart_at_ms != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct house house;
    house_build(&house);
    struct master *master = house.master;
    struct board_block neighbour;

    memcpy(&neighbour, &master->board.blocks[1], sizeof(neighbour));
    while (size >= 2) {
        enum step step = (enum step)(bytes[0] % STEPS);
        struct fuzz_part part = { bytes + 2, bytes[1] < size - 2 ? bytes[1] : size - 2 };
        take_step(&house, step, part);
        while (watch_receive(master, &master->generations[0])) {
        }
        bytes += 2 + part.size;
        size -= 2 + part.size;
    }
    look_around(master);
    close(house.listener[0]);
    house.listener[0] = -1;
    house_dead = 1;
    watch_reap(master);
    check_cleared(master);
    check_neighbour(master, &neighbour);
    house_end(&house);
    return 0;
}
