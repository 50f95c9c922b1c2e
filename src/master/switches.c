/* What the operator has switched at run time. */
#include <sysexits.h>

#include "log/log.h"
#include "master/state.h"

/* As at a reload: where clients never cease to come, a queue is never empty. */
enum { LAST_CALL_MS = 10000 };

struct service_state *switches_find(struct master *master, const char *name)
{
    for (uint32_t i = 0; i < master->service_count; i++)
        if (master->services[i]->image != NULL && strcmp(master->services[i]->name, name) == 0)
            return master->services[i];
    return NULL;
}

void switches_hand_over(const struct service_state *service, struct generation *generation)
{
    if (service->switches.paused)
        generation_pause(generation, true);
    if (service->switches.scale != 0)
        generation_scale(generation, service->switches.scale);
}

static void pause_service(struct master *master, struct service_state *service, bool yes)
{
    service->switches.paused = yes;
    if (service->current != NULL)
        generation_pause(service->current, yes);
    services_show(master, service);
}

int switches_pause(struct master *master, struct service_state *service, struct failure *why)
{
    if (service->switches.drained)
        return failure_set(why, EX_TEMPFAIL, "service %s is drained", service->name);
    pause_service(master, service, true);
    return 0;
}

/* Marks what all services but the drained ones listen on, and of those what systemd passed: that is
 * not ours to close. */
void switches_mark_sockets(struct master *master)
{
    store_clear_marks(&master->store);
    for (uint32_t i = 0; i < master->service_count; i++) {
        const struct service_state *service = master->services[i];
        for (unsigned int j = 0; service->image != NULL && j < service->sockets.count; j++) {
            struct store_socket *socket = &master->store.sockets[service->sockets.index[j]];
            socket->used |= !service->switches.drained || socket->passed;
        }
    }
}

int switches_drain(struct master *master, struct service_state *service, struct failure *why)
{
    struct generation *old = service->current;
    if (master->reload.conf != NULL)
        return failure_set(why, EX_TEMPFAIL, "a reload is going on (try again)");
    if (service->switches.drained)
        return 0;
    service->switches.drained = true;
    service->switches.paused = false;
    service->current = NULL;
    service->restart_at_ms = 0;
    switches_mark_sockets(master);
    if (old != NULL)
        services_retire(master, old, LAST_CALL_MS);
    store_keep(&master->store);
    services_show(master, service);
    return 0;
}

/* Binds again what a drained service listens on, and starts its listener. */
static int undrain(struct master *master, struct service_state *service, struct failure *why)
{
    struct socket_set sockets;
    if (master->reload.conf != NULL)
        return failure_set(why, EX_TEMPFAIL, "a reload is going on (try again)");
    switches_mark_sockets(master);
    for (unsigned int i = 0; i < service->sockets.count; i++) /* passed ones: they are its own */
        master->store.sockets[service->sockets.index[i]].used = false;
    int count = store_get(&master->store, service->image, sockets.index, why);
    if (count >= 0) {
        sockets.count = (unsigned int)count;
        service->current = services_spawn(master, service, service->image, &sockets, why);
    }
    if (service->current == NULL) {
        store_undo(&master->store);
        return -1;
    }
    service->sockets = sockets;
    service->switches.drained = false;
    store_keep(&master->store);
    return 0;
}

int switches_resume(struct master *master, struct service_state *service, struct failure *why)
{
    if (service->switches.drained && undrain(master, service, why) < 0)
        return -1;
    pause_service(master, service, false);
    return 0;
}

int switches_scale(struct master *master, struct service_state *service, uint32_t workers,
                   struct failure *why)
{
    if (service->image->process_model != PROCESS_MODEL_PREFORK)
        return failure_set(why, EX_USAGE, "service %s has no pool (process_model = prefork)",
                           service->name);
    if (workers > service->image->instances)
        return failure_set(why, EX_USAGE, "service %s: at most %u (its instances)", service->name,
                           service->image->instances);
    service->switches.scale = workers;
    if (service->current != NULL)
        generation_scale(service->current, workers);
    services_show(master, service);
    return 0;
}

void switches_log(struct master *master, int level)
{
    master->log_switch = level;
    report_open_log(master, master->conf);
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state == GENERATION_SERVING ||
            master->generations[i].state == GENERATION_DRAINING)
            generation_tell(&master->generations[i], report_wanted(master));
}
