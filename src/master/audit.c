/* Whether the board, the processes and the descriptors agree: forkechoctl's `check`. Sessions come
 * and go while it looks, so that what it finds counts only when every look of a second finds it. */
#include "master/audit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/requests.h"

enum { LOOKS = 10, PAUSE_MS = 100 };

struct audit {
    unsigned int looks;
    uint64_t next_ms;
    struct findings lasting; /* found by every look */
};

void look_find(struct look *look, const char *format, ...)
{
    va_list arguments;
    if (look->found.count == FINDINGS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(look->found.text[look->found.count++], FINDING_ROOM, format, arguments);
    va_end(arguments);
}

static void look_at_generation(struct look *look, unsigned int index)
{
    const struct generation *generation = &look->master->generations[index];
    const struct board *board = &look->master->board;
    const struct board_block *block = &board->blocks[index];
    const char *name = look->master->services[generation->service]->name;
    int64_t slot = -1;

    if (block->used != generation->number || block->service != generation->service ||
        block->pid != generation->pid)
        look_find(look, "service %s: block %u of the board is not that of its listener %d", name,
                  index, generation->pid);
    if (!board_block_agrees(board, index))
        look_find(look, "service %s: block %u counts other live sessions than its slots hold", name,
                  index);
    if (generation->state != GENERATION_DEAD) {
        look_expect(look, generation->pid, generation->pid);
        if (getpgid(generation->pid) != generation->pid)
            look_find(look, "service %s: its listener %d is gone", name, generation->pid);
    }
    while ((slot = board_next(board, index, slot)) >= 0) {
        const struct board_slot *row = &board->slot[slot];
        pid_t pid = row->pid;
        if (row->block != index)
            look_find(look, "service %s: slot %lld is another block's", name, (long long)slot);
        if (row->state != SLOT_LIVE) { /* it is being forked, or was when its listener died */
            look->nameless[index]++;
            continue;
        }
        look->sessions++;
        look_expect(look, pid, generation->pid);
        if (getpgid(pid) != generation->pid)
            look_find(look, "service %s: slot %lld holds process %d, which is not in its group",
                      name, (long long)slot, pid);
    }
}

static void look_at_board(struct look *look)
{
    const struct board *board = &look->master->board;
    for (unsigned int i = 0; i < BOARD_BLOCKS; i++)
        if (look->master->generations[i].state != GENERATION_NONE)
            look_at_generation(look, i);
        else if (board->blocks[i].used != 0)
            look_find(look, "block %u of the board is used by no generation", i);
    for (uint32_t i = 0; i < board->slots; i++) {
        uint32_t chunk = i / BOARD_CHUNK, owner = board->owners[chunk];
        if (owner == 0 && board->slot[i].state != SLOT_FREE)
            look_find(look, "slot %u of the board is in use, and nobody's", i);
        if (i % BOARD_CHUNK == 0 && owner != 0 &&
            (owner > BOARD_BLOCKS || board->blocks[owner - 1].used == 0))
            look_find(look, "chunk %u of the board belongs to block %u, which is free", chunk,
                      owner - 1);
    }
}

static void look_at_services(struct look *look)
{
    const struct master *master = look->master;
    for (uint32_t i = 0; i < master->service_count && master->life != LIFE_STOPS; i++) {
        const struct service_state *service = master->services[i];
        if (service->image != NULL && !service->switches.drained && service->current == NULL &&
            service->restart_at_ms == 0)
            look_find(look, "service %s has no listener, and none is due", service->name);
    }
}

static bool has(const struct findings *findings, const char *text)
{
    for (unsigned int i = 0; i < findings->count; i++)
        if (strcmp(findings->text[i], text) == 0)
            return true;
    return false;
}

/* Strikes out what this look did not find again. */
static void keep_lasting(struct findings *lasting, const struct findings *found)
{
    unsigned int kept = 0;
    for (unsigned int i = 0; i < lasting->count; i++)
        if (has(found, lasting->text[i]))
            memmove(lasting->text[kept++], lasting->text[i], FINDING_ROOM);
    lasting->count = kept;
}

static void answer(const struct look *look, const struct findings *lasting,
                   const struct control_client *client)
{
    control_say(client, lasting->count == 0 ? "ok" : "rejected");
    for (unsigned int i = 0; i < lasting->count; i++)
        control_say(client, "%s", lasting->text[i]);
    if (lasting->count == 0)
        control_say(client, "all agree: sessions %u, processes %zu, descriptors %u", look->sessions,
                    look->count + 1, look->descriptors);
    if (look->blind)
        control_say(client, "/proc hides processes here: strangers were not looked for");
}

/* One look. Returns whether the audit is over; then all who wait for it have their answer. */
static bool look(struct master *master, struct audit *audit)
{
    struct look *look = calloc(1, sizeof(*look));
    if (look == NULL)
        return false; /* at the next one, perhaps */
    look->master = master;
    look_at_board(look);
    look_at_services(look);
    look_at_processes(look);
    look_at_descriptors(look);
    if (audit->looks++ == 0)
        audit->lasting = look->found;
    else
        keep_lasting(&audit->lasting, &look->found);
    audit->next_ms = master->now_ms + PAUSE_MS;
    bool over = audit->lasting.count == 0 || audit->looks == LOOKS;
    for (int i = 0; over && i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &master->control.clients[i];
        if (client->fd < 0 || client->waits != WAIT_AUDIT)
            continue;
        answer(look, &audit->lasting, client);
        control_hang_up(client);
    }
    free(look->members);
    free(look);
    return over;
}

enum control_wait request_check(const struct asked *asked)
{
    struct master *master = asked->master;
    if (master->audit == NULL)
        master->audit = calloc(1, sizeof(*master->audit));
    if (master->audit != NULL)
        return WAIT_AUDIT;
    control_say(asked->client, "error: out of memory");
    return WAIT_NOTHING;
}

uint64_t audit_due(const struct master *master)
{
    /* Not 0, which is none. */
    return master->audit == NULL ? 0 : master->audit->next_ms | 1;
}

void audit_go_on(struct master *master)
{
    if (master->audit == NULL || master->now_ms < master->audit->next_ms ||
        !look(master, master->audit))
        return;
    audit_end(master);
}

void audit_end(struct master *master)
{
    free(master->audit);
    master->audit = NULL;
}
