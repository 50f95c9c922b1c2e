#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "log/log.h"
#include "master/audit.h"

enum { FIXED_MAX = 9 };

/* Calls `tell` with each descriptor that the master knows it has. */
static void each_descriptor(const struct master *master,
                            void (*tell)(void *context, int fd, const char *what), void *context)
{
    int fixed[FIXED_MAX] = { 0,
                             1,
                             2,
                             master->signals,
                             master->seed.program,
                             master->board.fds[0],
                             master->board.fds[1],
                             master->pid_file,
                             master->control.fd };
    int log[2];

    for (int i = 0; i < FIXED_MAX; i++)
        tell(context, fixed[i], "of the start");
    for (size_t i = log_descriptors(log); i > 0; i--)
        tell(context, log[i - 1], "of the log");
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        tell(context, master->control.clients[i].fd, "of a control client");
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE)
            tell(context, master->generations[i].channel.fd, "of a channel");
    for (size_t i = 0; i < master->store.count; i++)
        tell(context, master->store.sockets[i].fd, "of a listening socket");
    tell(context, master->upgrade.program, "of an upgrade");
    tell(context, master->upgrade.output, "of an upgrade");
    for (unsigned int i = 0; i < master->foreign_count; i++)
        tell(context, master->foreign[i], NULL);
}

/* The descriptors that are open, each with a mark that somebody knows it. */
struct descriptors {
    struct look *look; /* where what is closed is told; may be NULL */
    int *open;
    size_t count;
};

static void strike_out(void *context, int fd, const char *what)
{
    struct descriptors *descriptors = context;
    for (size_t i = 0; i < descriptors->count; i++)
        if (descriptors->open[i] == fd) {
            descriptors->open[i] = -1;
            return;
        }
    if (fd >= 0 && descriptors->look != NULL && what != NULL && fcntl(fd, F_GETFD) < 0)
        look_find(descriptors->look, "descriptor %d, %s, is closed", fd, what);
}

/* Fills open[] with those that nobody knows, and -1 for the others. False when they cannot be
 * listed. */
static bool list_strangers(const struct master *master, struct descriptors *out)
{
    const struct dirent *entry;
    DIR *folder = opendir("/proc/self/fd");
    size_t room = 0;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (entry->d_name[0] == '.' || fd == dirfd(folder))
            continue;
        if (out->count == room) {
            int *more = reallocarray(out->open, room += 128, sizeof(*more));
            if (more == NULL)
                break;
            out->open = more;
        }
        out->open[out->count++] = fd;
    }
    bool whole = folder != NULL;
    if (folder != NULL)
        closedir(folder);
    if (whole)
        each_descriptor(master, strike_out, out);
    return whole;
}

void audit_remember(struct master *master)
{
    struct descriptors descriptors = { 0 };
    master->foreign_count = 0;
    list_strangers(master, &descriptors);
    for (size_t i = 0; i < descriptors.count && master->foreign_count < FOREIGN_MAX; i++)
        if (descriptors.open[i] >= 0)
            master->foreign[master->foreign_count++] = descriptors.open[i];
    free(descriptors.open);
}

void look_at_descriptors(struct look *look)
{
    struct descriptors descriptors = { .look = look };
    if (list_strangers(look->master, &descriptors))
        for (size_t i = 0; i < descriptors.count; i++)
            if (descriptors.open[i] >= 0)
                look_find(look, "descriptor %d is open, and nobody knows it", descriptors.open[i]);
    look->descriptors = (unsigned int)descriptors.count;
    free(descriptors.open);
}
