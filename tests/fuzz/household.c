#include "household.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/log.h"
#include "service/handlers.h"

unsigned int house_dead;

/* ---- what the daemon would do to processes ---- */

pid_t fork(void)
{
    errno = EAGAIN;
    return -1;
}

int kill(pid_t pid, int number)
{
    (void)pid;
    (void)number;
    return 0;
}

/* A listener that is dead is reaped once; of its sessions nothing is left. */
int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    unsigned int number = id - HOUSE_FIRST_PID;
    info->si_pid = 0;
    if (type == P_PID && number < HOUSE_LISTENERS && !(options & WNOWAIT)) {
        if (house_dead & 1U << number) {
            info->si_pid = (pid_t)id;
            info->si_code = CLD_KILLED;
            info->si_status = SIGKILL;
        }
        return 0;
    }
    errno = ECHILD;
    return -1;
}

/* ---- the daemon ---- */

struct conf *house_conf(void)
{
    static struct conf *conf;
    char listen[2][64];
    const char *overrides[] = { "service a.handler=echo",          listen[0],
                                "service b.handler=upper",         listen[1],
                                "service b.process_model=prefork", "daemon.log_level=debug",
                                "daemon.control_socket=" };
    struct conf_request request = { .overrides = overrides,
                                    .override_count = sizeof(overrides) / sizeof(overrides[0]) };
    struct conf_mistakes mistakes = { 0 };

    if (conf != NULL)
        return conf;
    /* Names of this process's own, though a target may have replaced getpid(2). */
    for (int i = 0; i < 2; i++)
        snprintf(listen[i], sizeof(listen[i]), "service %c.listen=unix:@fuzz-%d-%d", 'a' + i,
                 getppid(), i);
    request.handler_count = handler_names(&request.handlers);
    conf = conf_load(&request, &mistakes);
    HOLDS(conf != NULL && mistakes.count == 0);
    return conf;
}

static void add_service(struct house *house, int index)
{
    struct master *master = house->master;
    const struct service *image = master->conf->services[index];
    struct service_state *service = services_know(master, image->service_name);
    struct generation *generation = &master->generations[index];
    int pair[2];

    board_block_open(&master->board, (unsigned int)index, ++master->last_number, (uint32_t)index);
    HOLDS(channel_pair(pair) == 0);
    house->listener[index] = pair[1];
    service->image = reload_copy_image(image);
    service->current = generation;
    *generation = (struct generation){ .state = GENERATION_SERVING,
                                       .number = master->last_number,
                                       .service = (uint32_t)index,
                                       .pid = HOUSE_FIRST_PID + index,
                                       .started_ms = master->now_ms };
    channel_open(&generation->channel, pair[0]);
    master->board.blocks[index].pid = generation->pid;
    master->board.blocks[index].pool = image->process_model == PROCESS_MODEL_PREFORK;
    services_show(master, service);
}

static void add_sessions(struct master *master)
{
    static const char *const clients[] = { "192.0.2.7:51234", "[2001:db8::1]:33410", NULL };
    uint64_t now_us = clock_us();
    uint32_t hint = 0;

    for (unsigned int block = 0; block < 2; block++) {
        uint32_t first = (uint32_t)board_chunk_take(&master->board, block, &hint);
        for (uint32_t i = 0; i < 3; i++)
            if ((clients[i] == NULL) == (block == 1)) {
                board_slot_open(&master->board, first + i, block, clients[i], now_us);
                board_slot_pid(&master->board, first + i, 200000 + (pid_t)i);
            }
    }
    board_worker_begin(&master->board.session[BOARD_CHUNK + 2], "192.0.2.7:9", 0, now_us);
}

void house_build(struct house *house)
{
    static const struct master_start start;
    struct master *master = calloc(1, sizeof(*master));
    struct failure why;

    house_dead = 0;
    house->master = master;
    master->start = &start;
    master->conf = house_conf();
    master->log_switch = -1;
    master->pid_file = master->signals = master->seed.program = -1;
    master->now_ms = clock_ms();
    control_init(master);
    upgrade_init(master);
    HOLDS(board_create(&master->board, 16, &why) == 0);
    master->seed.board = &master->board;
    master->seed.store = &master->store;
    for (int i = 0; i < HOUSE_LISTENERS; i++)
        add_service(house, i);
    add_sessions(master);
    master->life = LIFE_SERVES;
    atomic_store(&master->board.header->life, LIFE_SERVES);
}

void house_end(struct house *house)
{
    struct master *master = house->master;
    for (int i = 0; i < HOUSE_LISTENERS; i++)
        if (house->listener[i] >= 0)
            close(house->listener[i]);
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE)
            channel_close(&master->generations[i].channel);
    control_close(master);
    audit_end(master);
    services_forget(master);
    store_close(&master->store);
    free(master->store.sockets);
    free(master->store.given);
    board_destroy(&master->board);
    free(master);
}
