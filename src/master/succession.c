#include "master/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "log/log.h"
#include "master/heritage.h"

/* Between the master's own state and what an upgrade hands on: each `leave` has its `take`. What
 * the kernel knows (addresses of sockets) and what is on the board is not written down. */

/* ---- sockets ---- */

static int leave_sockets(const struct store *store, struct heritage *heritage, struct failure *why)
{
    if (store->count > HERITAGE_SOCKETS_MAX || store->given_count > HERITAGE_GIVEN_MAX)
        return failure_set(why, EX_OSERR, "more than %d sockets", HERITAGE_SOCKETS_MAX);
    for (size_t i = 0; i < store->count; i++) {
        const struct store_socket *from = &store->sockets[i];
        struct heritage_socket *to = &heritage->sockets[heritage->socket_count++];
        to->fd = from->fd;
        if (from->fd < 0)
            continue;
        to->any_port = address_is_any_port(&from->wanted);
        memcpy(to->service, from->service, sizeof(to->service));
    }
    for (size_t i = 0; i < store->given_count; i++) {
        const struct systemd_socket *from = &store->given[i];
        struct heritage_given *to = &heritage->given[heritage->given_count];
        if (from->stored) /* by now among the others, or closed */
            continue;
        to->fd = from->fd;
        memcpy(to->name, from->name, sizeof(to->name));
        heritage->given_count++;
    }
    return 0;
}

static bool is_given(const struct heritage *heritage, int64_t fd)
{
    for (size_t i = 0; i < heritage->given_count; i++)
        if (heritage->given[i].fd == fd)
            return true;
    return false;
}

static void forget_port(struct address *address)
{
    if (address->socket.any.sa_family == AF_INET6)
        address->socket.v6.sin6_port = 0;
    else if (address->socket.any.sa_family == AF_INET)
        address->socket.v4.sin_port = 0;
}

static int take_sockets(struct store *store, const struct heritage *heritage, struct failure *why)
{
    struct systemd_socket *given = calloc(heritage->given_count + 1, sizeof(*given));
    store->sockets = calloc(heritage->socket_count + 1, sizeof(*store->sockets));
    if (given == NULL || store->sockets == NULL) {
        free(given);
        return failure_errno(why, EX_OSERR, ENOMEM, "the listening sockets");
    }
    store->given = given;
    store->given_count = heritage->given_count;
    store->count = heritage->socket_count;
    for (size_t i = 0; i < store->given_count; i++) {
        given[i] = (struct systemd_socket){ .fd = (int)heritage->given[i].fd };
        memcpy(given[i].name, heritage->given[i].name, sizeof(given[i].name));
        if (sockets_adopt(given[i].fd, &given[i].address, why) < 0)
            return -1;
    }
    for (size_t i = 0; i < store->count; i++) {
        const struct heritage_socket *from = &heritage->sockets[i];
        struct store_socket *to = &store->sockets[i];
        to->fd = (int)from->fd;
        if (to->fd < 0)
            continue;
        if (sockets_adopt(to->fd, &to->bound, why) < 0)
            return -1;
        to->wanted = to->bound;
        if (from->any_port)
            forget_port(&to->wanted);
        to->passed = is_given(heritage, from->fd);
        memcpy(to->service, from->service, sizeof(to->service));
    }
    return 0;
}

static void leave_set(const unsigned int count, const size_t *index, struct heritage_set *to)
{
    to->count = count;
    for (unsigned int i = 0; i < count; i++)
        to->index[i] = (uint32_t)index[i];
}

static unsigned int take_set(const struct heritage_set *from, size_t *index)
{
    for (unsigned int i = 0; i < from->count; i++)
        index[i] = from->index[i];
    return from->count;
}

/* ---- services and their listeners ---- */

static void leave_services(const struct master *master, struct heritage *heritage)
{
    for (uint32_t i = 0; i < master->service_count; i++) {
        const struct service_state *from = master->services[i];
        struct heritage_service *to = &heritage->services[heritage->service_count++];
        to->configured = from->image != NULL;
        to->current = from->current == NULL ? -1 : from->current - master->generations;
        to->restart_at_ms = (int64_t)from->restart_at_ms;
        to->backoff_ms = (int64_t)from->backoff_ms;
        to->told_dropped = (int64_t)from->told_dropped;
        to->paused = from->switches.paused;
        to->drained = from->switches.drained;
        to->scale = from->switches.scale;
        leave_set(from->sockets.count, from->sockets.index, &to->sockets);
        memcpy(to->name, from->name, sizeof(to->name));
    }
}

static int take_services(struct master *master, const struct heritage *heritage,
                         struct failure *why)
{
    for (size_t i = 0; i < heritage->service_count; i++) {
        const struct heritage_service *from = &heritage->services[i];
        struct service_state *to = calloc(1, sizeof(*to));
        const struct service *image = conf_find(master->conf, from->name);
        if (to == NULL)
            return failure_errno(why, EX_OSERR, ENOMEM, "service %s", from->name);
        master->services[master->service_count++] = to;
        if (from->configured && image != NULL && (to->image = reload_copy_image(image)) == NULL)
            return failure_errno(why, EX_OSERR, ENOMEM, "service %s", from->name);
        to->current = from->current < 0 ? NULL : &master->generations[from->current];
        to->restart_at_ms = (uint64_t)from->restart_at_ms;
        to->backoff_ms = (uint64_t)from->backoff_ms;
        to->told_dropped = (uint64_t)from->told_dropped;
        to->switches.paused = from->paused;
        to->switches.drained = from->drained;
        to->switches.scale = (uint32_t)from->scale;
        to->sockets.count = take_set(&from->sockets, to->sockets.index);
        memcpy(to->name, from->name, sizeof(to->name));
    }
    return 0;
}

static void leave_generations(const struct master *master, struct heritage *heritage)
{
    for (int i = 0; i < BOARD_BLOCKS; i++) {
        const struct generation *from = &master->generations[i];
        struct heritage_generation *to = &heritage->generations[heritage->generation_count];
        if (from->state == GENERATION_NONE)
            continue;
        heritage->generation_count++;
        to->block = i;
        to->number = from->number;
        to->service = from->service;
        to->pid = from->pid;
        to->fd = from->channel.fd;
        to->state = from->state;
        to->started_ms = (int64_t)from->started_ms;
        to->told = (int64_t)from->told;
        to->last_ended = from->last_ended;
        to->last_end = from->last_end;
        to->stuck = from->stuck;
        leave_set(from->socket_count, from->sockets, &to->sockets);
    }
}

static int take_generations(struct master *master, const struct heritage *heritage,
                            struct failure *why)
{
    for (size_t i = 0; i < heritage->generation_count; i++) {
        const struct heritage_generation *from = &heritage->generations[i];
        struct generation *to = &master->generations[from->block];
        if (atomic_load(&master->board.blocks[from->block].used) != from->number)
            return failure_set(why, EX_SOFTWARE, "generation %lld is not on the board",
                               (long long)from->number);
        *to = (struct generation){ .state = (enum generation_state)from->state,
                                   .number = (uint32_t)from->number,
                                   .service = (uint32_t)from->service,
                                   .pid = (pid_t)from->pid,
                                   .started_ms = (uint64_t)from->started_ms,
                                   .told = (uint64_t)from->told,
                                   .last_ended = (pid_t)from->last_ended,
                                   .last_end = (enum session_end)from->last_end,
                                   .stuck = from->stuck };
        to->socket_count = take_set(&from->sockets, to->sockets);
        channel_open(&to->channel, (int)from->fd);
    }
    return 0;
}

/* ---- the master itself ---- */

static int leave_configuration(const struct conf *conf, struct failure *why)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int fd = -ENOMEM;
    if (out != NULL) {
        int result = conf_dump(conf, out);
        fclose(out);
        fd = result < 0 ? result : io_sealed_memfd("forkechod-configuration", text, size);
    }
    free(text);
    return fd < 0 ? failure_errno(why, EX_OSERR, -fd, "cannot hand the configuration on") : fd;
}

static void leave_process(const struct master *master, struct heritage_process *process)
{
    size_t lost = log_waits(); /* unless the log takes them before */
    *process = (struct heritage_process){ .pid = getpid(),
                                          .uid = master->identity.uid,
                                          .gid = master->identity.gid,
                                          .control = master->board.fds[0],
                                          .sessions = master->board.fds[1],
                                          .configuration = -1,
                                          .pid_file = master->pid_file,
                                          .control_socket = master->control.fd,
                                          .last_number = master->last_number,
                                          .reloads = (int64_t)master->reload.number,
                                          .upgrades = (int64_t)master->upgrade.number,
                                          .upgrade_wanted = master->upgrade.wanted,
                                          .next_sample_ms = (int64_t)master->next_sample_ms,
                                          .log_dropped = (int64_t)(master->log_dropped_before +
                                                                   log_dropped() + lost),
                                          .log_untold = (int64_t)(log_untold() + lost),
                                          .log_switch = master->log_switch };
    memcpy(process->user, master->user, sizeof(process->user));
}

static void copy_path(struct heritage_path *to, const char *path)
{
    snprintf(to->path, sizeof(to->path), "%s", path == NULL ? "" : path);
}

struct heritage *succession_leave(const struct master *master, struct failure *why)
{
    struct heritage *heritage = calloc(1, sizeof(*heritage));
    if (heritage == NULL) {
        failure_errno(why, EX_OSERR, ENOMEM, "the state");
        return NULL;
    }
    heritage->program =
        (struct heritage_program){ HERITAGE_VERSION, BOARD_VERSION, CHANNEL_VERSION, VERSION };
    leave_process(master, &heritage->process);
    copy_path(&heritage->executable, master->upgrade.executable);
    copy_path(&heritage->file, master->start->request->file);
    copy_path(&heritage->pid_path, master->pid_path);
    leave_services(master, heritage);
    leave_generations(master, heritage);
    control_leave(&master->control, heritage);
    int configuration = -1;
    if (leave_sockets(&master->store, heritage, why) < 0 ||
        (configuration = leave_configuration(master->conf, why)) < 0) {
        free(heritage);
        return NULL;
    }
    heritage->process.configuration = configuration;
    return heritage;
}

static int take_process(struct master *master, const struct heritage *heritage, struct failure *why)
{
    const struct heritage_process *process = &heritage->process;
    if (board_adopt(&master->board, (int)process->control, (int)process->sessions, why) < 0)
        return -1;
    master->identity = (struct identity){ (uid_t)process->uid, (gid_t)process->gid };
    memcpy(master->user, process->user, sizeof(master->user));
    master->pid_file = (int)process->pid_file;
    memcpy(master->pid_path, heritage->pid_path.path, sizeof(master->pid_path));
    master->last_number = (uint32_t)process->last_number;
    master->log_switch = (int)process->log_switch;
    master->reload.number = (uint64_t)process->reloads;
    master->next_sample_ms = (uint64_t)process->next_sample_ms;
    master->log_dropped_before = (uint64_t)process->log_dropped;
    log_add_untold((uint64_t)process->log_untold);
    master->reload.rejected = atomic_load(&master->board.header->reload_rejected);
    return 0;
}

int succession_take(struct master *master, const struct heritage *heritage, struct failure *why)
{
    if (heritage->process.pid != getpid())
        return failure_set(why, EX_USAGE, "the state is not that of process %ld", (long)getpid());
    if (take_process(master, heritage, why) < 0 ||
        take_sockets(&master->store, heritage, why) < 0 ||
        take_services(master, heritage, why) < 0 || take_generations(master, heritage, why) < 0 ||
        control_take(master, heritage, why) < 0)
        return -1;
    for (uint32_t i = 0; i < master->service_count; i++)
        services_show(master, master->services[i]);
    return 0;
}
