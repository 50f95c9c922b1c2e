/* Whether the board, the processes and the descriptors agree: forkechoctl's `check`. Sessions come
 * and go while it looks, so that what it finds is believed only when it stays. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log.h"
#include "master/state.h"

enum { TRIES = 10, PAUSE_MS = 100, LINES_MAX = 16, LINE_MAX_SIZE = 160 };

struct complaints {
    char lines[LINES_MAX][LINE_MAX_SIZE];
    unsigned int count;
};

static void complain(struct complaints *complaints, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(struct complaints *complaints, const char *format, ...)
{
    va_list arguments;
    if (complaints->count == LINES_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(complaints->lines[complaints->count++], LINE_MAX_SIZE, format, arguments);
    va_end(arguments);
}

/* A process as /proc shows it. */
struct process {
    pid_t pid, parent, group;
    char state;
};

struct processes {
    struct process *all;
    size_t count, room;
};

/* proc(5): the name is in parentheses and may hold anything. */
static bool read_process(const char *pid, struct process *out)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    const char *rest = strrchr(text, ')');
    out->pid = (pid_t)strtol(pid, NULL, 10);
    return rest != NULL &&
           sscanf(rest + 1, " %c %d %d", &out->state, &out->parent, &out->group) == 3;
}

static void read_processes(struct processes *processes)
{
    const struct dirent *entry;
    DIR *proc = opendir("/proc");
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        struct process process;
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            !read_process(entry->d_name, &process))
            continue;
        if (processes->count == processes->room) {
            size_t room = 2 * processes->room + 64;
            struct process *more = reallocarray(processes->all, room, sizeof(*more));
            if (more == NULL)
                break;
            processes->all = more;
            processes->room = room;
        }
        processes->all[processes->count++] = process;
    }
    if (proc != NULL)
        closedir(proc);
}

static bool is_in_group(const struct processes *processes, pid_t pid, pid_t group)
{
    for (size_t i = 0; i < processes->count; i++)
        if (processes->all[i].pid == pid)
            return processes->all[i].group == group;
    return false;
}

/* One generation: its block, its slots and the processes of its group. */
static void check_generation(struct master *master, unsigned int index,
                             const struct processes *processes, struct complaints *complaints)
{
    const struct generation *generation = &master->generations[index];
    const struct board_block *block = &master->board.blocks[index];
    const char *name = master->services[generation->service]->name;
    uint32_t slots = 0, members = 0;
    int64_t slot = -1;

    if (block->used != generation->number || block->service != generation->service)
        complain(complaints, "service %s: block %u is another generation's", name, index);
    while ((slot = board_next(&master->board, index, slot)) >= 0) {
        pid_t pid = master->board.slot[slot].pid;
        slots++;
        if (!is_in_group(processes, pid, generation->pid))
            complain(complaints, "service %s: slot %lld: process %d is not in its group", name,
                     (long long)slot, pid);
    }
    for (size_t i = 0; i < processes->count; i++)
        members += processes->all[i].group == generation->pid;
    uint32_t expected = slots + (generation->state != GENERATION_DEAD);
    if (members != expected)
        complain(complaints, "service %s: %u processes in group %d, and %u are known", name,
                 members, generation->pid, expected);
    if (block->pool == 0 && block->live != slots)
        complain(complaints, "service %s: %u sessions are counted, and %u slots are in use", name,
                 block->live, slots);
}

/* Blocks and chunks that belong to nobody. */
static void check_board(struct master *master, struct complaints *complaints)
{
    for (unsigned int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state == GENERATION_NONE && master->board.blocks[i].used != 0)
            complain(complaints, "block %u is in use by no generation", i);
    for (uint32_t i = 0; i < master->board.chunks; i++) {
        uint32_t owner = master->board.owners[i];
        if (owner > BOARD_BLOCKS ||
            (owner != 0 && master->generations[owner - 1].state == GENERATION_NONE))
            complain(complaints, "chunk %u belongs to block %u, which no generation uses", i,
                     owner);
    }
}

static bool is_known_group(const struct master *master, pid_t group)
{
    for (unsigned int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE && master->generations[i].pid == group)
            return true;
    return group == master->upgrade.child; /* the program that is looked at */
}

static void check_children(const struct master *master, const struct processes *processes,
                           struct complaints *complaints)
{
    pid_t self = getpid();
    for (size_t i = 0; i < processes->count; i++) {
        const struct process *process = &processes->all[i];
        if (process->parent == self && process->state == 'Z')
            complain(complaints, "process %d has ended and was not waited for", process->pid);
        else if (process->parent == self && !is_known_group(master, process->group))
            complain(complaints, "process %d is a child that belongs to no service", process->pid);
    }
}

/* Those that come and go. */
static unsigned int known_descriptors(const struct master *master)
{
    int log[2];
    unsigned int count = (unsigned int)log_descriptors(log);
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        count += master->control.clients[i].fd >= 0;
    for (int i = 0; i < BOARD_BLOCKS; i++)
        count += master->generations[i].state != GENERATION_NONE &&
                 master->generations[i].channel.fd >= 0;
    for (size_t i = 0; i < master->store.count; i++)
        count += master->store.sockets[i].fd >= 0;
    count += master->upgrade.program >= 0;
    count += master->upgrade.output >= 0;
    return count;
}

/* 0 when they cannot be counted. */
static unsigned int open_descriptors(void)
{
    unsigned int open = 0;
    const struct dirent *entry;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    while ((entry = readdir(folder)) != NULL)
        open += entry->d_name[0] != '.';
    closedir(folder);
    return open - 1; /* without the folder's own */
}

void audit_remember(struct master *master)
{
    master->fixed_descriptors = open_descriptors() - known_descriptors(master);
}

static void check_descriptors(const struct master *master, struct complaints *complaints)
{
    unsigned int open = open_descriptors();
    unsigned int known = master->fixed_descriptors + known_descriptors(master);
    if (open != 0 && open != known)
        complain(complaints, "the master has %u descriptors open, and knows of %u", open, known);
}

static void look(struct master *master, struct complaints *complaints)
{
    struct processes processes = { 0 };
    read_processes(&processes);
    for (unsigned int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE)
            check_generation(master, i, &processes, complaints);
    check_board(master, complaints);
    check_children(master, &processes, complaints);
    check_descriptors(master, complaints);
    free(processes.all);
}

static void tell(struct master *master, struct control_client *client,
                 const struct complaints *complaints)
{
    control_say(client, complaints->count == 0 ? "ok" : "rejected");
    for (unsigned int i = 0; i < complaints->count; i++)
        control_say(client, "%s", complaints->lines[i]);
    if (complaints->count == 0)
        control_say(client, "%u sessions: slots, processes, groups and descriptors agree",
                    board_live(&master->board));
    control_hang_up(client);
}

void audit_begin(struct master *master, struct control_client *client)
{
    client->audits = TRIES;
    client->audit_ms = master->now_ms;
    client->deadline_ms = 0;
}

void audit_due(struct master *master, struct control_client *client)
{
    struct complaints complaints = { .count = 0 };
    if (client->audits == 0 || master->now_ms < client->audit_ms)
        return;
    look(master, &complaints);
    client->audits--;
    client->audit_ms = master->now_ms + PAUSE_MS;
    if (complaints.count == 0 || client->audits == 0)
        tell(master, client, &complaints);
}
