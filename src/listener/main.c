/*
 * The listener program: started by the master, one a service and generation, with everything it
 * needs at fixed descriptors (channel/handover.h). It sets itself up in the order below, reports
 * that it is ready, waits for the word to go, and then runs its loop until it is drained.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "base/private.h"
#include "base/title.h"
#include "channel/handover.h"
#include "listener/listener.h"
#include "service/handlers.h"
#include "session/session.h"
#include "session/trap.h"
#include "sys/confine.h"
#include "sys/oom.h"

/* Where there is a pool, its workers have a copy; sessions have none. */
static struct listener *listener;

static bool read_number(const char *text, long limit, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    return errno == 0 && *text != '\0' && *end == '\0' && *out >= 0 && *out <= limit;
}

/* What the master wrote on the command line. */
static bool read_arguments(int argc, char **argv)
{
    long block, generation, master, count;
    if (argc != HANDOVER_ARGC || !read_number(argv[HANDOVER_BLOCK], BOARD_BLOCKS - 1, &block) ||
        !read_number(argv[HANDOVER_GENERATION], UINT32_MAX, &generation) ||
        !read_number(argv[HANDOVER_MASTER], INT_MAX, &master) ||
        !read_number(argv[HANDOVER_COUNT], SERVICE_SOCKETS_MAX, &count))
        return false;
    listener->block_index = (unsigned int)block;
    listener->master = (pid_t)master;
    listener->port_count = (unsigned int)count;
    return true;
}

/* A sibling's descriptor kept here would hide its owner's death. */
static void keep_own_descriptors(void)
{
    /* Taken until everything else has its number. */
    dup2(HANDOVER_CHANNEL, HANDOVER_CLIENT);
    int keep[HANDOVER_SOCKETS + SERVICE_SOCKETS_MAX];
    size_t count = 0;
    for (int fd = HANDOVER_CLIENT; fd < HANDOVER_SOCKETS + (int)listener->port_count; fd++)
        keep[count++] = fd;
    io_close_all_but(keep, count);
    for (unsigned int i = 0; i < listener->port_count; i++)
        listener->ports[i].fd = HANDOVER_SOCKETS + (int)i;
}

/* What the service's sessions may see, they inherit. */
static int plan_sessions(struct failure *why)
{
    static struct session_plan plan;
    static struct board board;

    session_plan(&plan, listener->service, NULL);
    listener->plan = &plan;
    if (plan.handler == NULL || plan.handler->sight == SEES_NOTHING)
        return 0;
    if (board_attach_reader(&board, HANDOVER_CONTROL, HANDOVER_SESSIONS,
                            plan.handler->sight == SEES_ALL, why) < 0)
        return -1;
    plan.board = &board;
    return 0;
}

static int map_shared_parts(struct failure *why)
{
    listener->service = service_map(HANDOVER_SERVICE);
    if (listener->service == NULL)
        return failure_errno(why, EX_SOFTWARE, errno, "cannot map the service");
    close(HANDOVER_SERVICE);
    /* Sessions have what they need of it in their plan; of a pool's processes each reads it. */
    int error = listener->service->process_model == PROCESS_MODEL_FORK
                    ? private_keep(listener->service, listener->service->size)
                    : 0;
    if (error < 0)
        return failure_errno(why, EX_OSERR, -error, "cannot keep the service from sessions");
    if (plan_sessions(why) < 0 ||
        board_attach(&listener->board, HANDOVER_CONTROL, HANDOVER_SESSIONS, why) < 0)
        return -1;
    close(HANDOVER_CONTROL);
    close(HANDOVER_SESSIONS);
    listener->block = &listener->board.blocks[listener->block_index];
    listener->service_index = atomic_load(&listener->block->service);
    trap_write_to(&listener->block->denied);
    return 0;
}

static int make_tables(struct failure *why)
{
    const struct service *service = listener->service;
    listener->sources =
        sources_new(2 * (size_t)service->instances + 1024, service->source_prefix_v4,
                    service->source_prefix_v6, service->per_source, &service->per_source_rate,
                    service->process_model == PROCESS_MODEL_PREFORK);
    if (listener->sources == NULL || children_init(&listener->children, service->instances) < 0 ||
        slots_init(&listener->slots, service->instances) < 0)
        return failure_errno(why, EX_OSERR, ENOMEM, "cannot hold %u sessions", service->instances);
    listener->retry.fd = -1;
    listener->cps = &listener->own_cps;
    if (service->process_model == PROCESS_MODEL_PREFORK) {
        int error = pool_open(listener);
        if (error < 0)
            return failure_errno(why, EX_OSERR, -error, "cannot make a pool");
    }
    return 0;
}

/* The master may die before it could be asked to tell us, so look once more after asking. */
static int follow_master(struct failure *why)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        return failure_errno(why, EX_OSERR, errno, "cannot follow the master");
    if (getppid() != listener->master)
        return failure_set(why, EX_OSERR, "the master is gone");
    return 0;
}

static int be_nice(struct failure *why)
{
    int more = (int)listener->service->nice;
    errno = 0;
    if (more != 0 && nice(more) == -1 && errno != 0)
        return failure_errno(why, EX_OSERR, errno, "cannot add nice %d", more);
    return 0;
}

static int take_signals(struct failure *why)
{
    int error = loop_open(listener);
    return error < 0 ? failure_errno(why, EX_OSERR, -error,
                                     "cannot take signals, or hold what is waited for")
                     : 0;
}

/* Last: what is open and mapped by now is all that this process will ever have, but clients. */
static int enter_sandbox(char *missing, size_t size, struct failure *why)
{
    address_ask(listener->ports[0].fd);
    trap_install();
    int result = confine(HANDOVER_SANDBOX, missing, size, why);
    close(HANDOVER_SANDBOX);
    return result;
}

static int set_up(char *missing, size_t size, struct failure *why)
{
    oom_offer(OOM_SERVING);
    return take_signals(why) < 0 || map_shared_parts(why) < 0 || follow_master(why) < 0 ||
                   be_nice(why) < 0 || make_tables(why) < 0 || enter_sandbox(missing, size, why) < 0
               ? -1
               : 0;
}

int main(int argc, char **argv)
{
    struct record ready = { .kind = RECORD_READY };
    struct failure why;

    listener = private_new(sizeof(*listener));
    if (listener == NULL)
        return EX_OSERR;
    if (!read_arguments(argc, argv)) {
        fputs("forkechod's listener is started by forkechod(8), never by hand\n", stderr);
        return EX_USAGE;
    }
    keep_own_descriptors();
    title_init(argc, argv);
    channel_open(&listener->channel, HANDOVER_CHANNEL);
    if (set_up(ready.text, sizeof(ready.text), &why) < 0) {
        struct record record = { .kind = RECORD_FAILED };
        record_set_text(&record, why.text);
        channel_send(&listener->channel, &record, true);
        return why.status;
    }
    close(HANDOVER_CLIENT);
    loop_show_title(listener); /* so that ps shows it once the start is over */
    channel_send(&listener->channel, &ready, true);
    return loop_run(listener);
}
