/* What the operator switches at run time. */
#include <errno.h>
#include <string.h>

#include "conf/options.h"
#include "master/requests.h"

/* How long who waits at a drained service's sockets is taken. */
enum { LAST_CALL_MS = 10000 };

static bool has_pool(const struct service *image)
{
    return image->process_model == PROCESS_MODEL_PREFORK;
}

void switches_hand_over(const struct service_state *service, struct generation *generation)
{
    generation_pause(generation, service->switches.paused);
    generation_scale(generation, service->switches.scale);
}

void switches_fit(struct service_state *service)
{
    struct switches *switches = &service->switches;
    if (service->image == NULL)
        *switches = (struct switches){ 0 };
    else if (!has_pool(service->image))
        switches->scale = 0;
    else if (switches->scale > service->image->instances)
        switches->scale = service->image->instances;
}

static void tell_current(const struct asked *asked)
{
    struct generation *current = asked->service->current;
    /* One that is not ready yet is told before it takes clients. */
    if (current != NULL && current->state == GENERATION_SERVING)
        switches_hand_over(asked->service, current);
    services_show(asked->master, asked->service);
}

enum control_wait request_pause(const struct asked *asked)
{
    struct service_state *service = asked->service;

    if (service->switches.drained) {
        control_say(asked->client, "error: %s is drained (resume %s makes it serve again)",
                    service->name, service->name);
        return WAIT_NOTHING;
    }
    if (!service->switches.paused) {
        service->switches.paused = true;
        tell_current(asked);
        requests_log(asked, EVENT_SERVICE_PAUSED, "service %s", service->name);
    }
    control_say(asked->client, "ok\n%s is paused: clients wait in the kernel's queue",
                service->name);
    return WAIT_NOTHING;
}

/* Marks what all services but this one listen on. */
static void mark_others(struct master *master, const struct service_state *own)
{
    store_clear_marks(&master->store);
    for (uint32_t i = 0; i < master->service_count; i++) {
        const struct service_state *service = master->services[i];
        for (unsigned int j = 0; service != own && j < service->sockets.count; j++)
            master->store.sockets[service->sockets.index[j]].used = true;
    }
}

/* Listens again. 0, or -1 with errno, where that says why. */
static int reopen(struct master *master, struct service_state *service, struct failure *why)
{
    struct socket_set sockets;

    mark_others(master, service);
    errno = 0;
    int count = store_get(&master->store, service->image, sockets.index, why);
    int error = errno;
    if (count >= 0) {
        sockets.count = (unsigned int)count;
        service->current = services_spawn(master, service, service->image, &sockets, why);
        error = 0;
    }
    if (service->current == NULL) {
        store_undo(&master->store);
        errno = error;
        return -1;
    }
    service->sockets = sockets;
    store_keep(&master->store);
    return 0;
}

enum control_wait request_resume(const struct asked *asked)
{
    struct service_state *service = asked->service;
    bool was_switched = service->switches.paused || service->switches.drained;
    struct failure why;

    if (service->switches.drained && reopen(asked->master, service, &why) < 0) {
        /* Its own old listener may be about to close the address. */
        if (errno == EADDRINUSE && asked->master->now_ms < asked->client->deadline_ms)
            return WAIT_TURN;
        control_say(asked->client, "error: %s", why.text);
        return WAIT_NOTHING;
    }
    service->switches.paused = service->switches.drained = false;
    tell_current(asked);
    if (was_switched)
        requests_log(asked, EVENT_SERVICE_RESUMED, "service %s", service->name);
    control_say(asked->client, "ok\n%s serves%s", service->name, was_switched ? " again" : "");
    return WAIT_NOTHING;
}

/* What is left of the service's sockets: those that a .socket unit passed are systemd's. */
static void forget_closed(const struct store *store, struct socket_set *sockets)
{
    unsigned int kept = 0;
    for (unsigned int i = 0; i < sockets->count; i++)
        if (store->sockets[sockets->index[i]].fd >= 0)
            sockets->index[kept++] = sockets->index[i];
    sockets->count = kept;
}

/* As if it were not configured any more. */
static void close_service(struct master *master, struct service_state *service)
{
    struct generation *old = service->current;

    service->switches.drained = true;
    service->switches.paused = false;
    service->current = NULL;
    service->restart_at_ms = service->backoff_ms = 0;
    mark_others(master, service);
    if (old != NULL)
        services_retire(master, old, LAST_CALL_MS);
    store_keep(&master->store);
    forget_closed(&master->store, &service->sockets);
    services_show(master, service);
}

static enum control_wait drain_service(const struct asked *asked)
{
    const char *name = asked->service->name;
    uint32_t live =
        board_service_live(&asked->master->board, services_index(asked->master, asked->service));

    if (!asked->service->switches.drained) {
        close_service(asked->master, asked->service);
        requests_log(asked, EVENT_SERVICE_DRAINED, "service %s, sessions left: %u", name, live);
    }
    control_say(asked->client, "ok\n%s is drained; sessions left: %u", name, live);
    if (asked->service->sockets.count > 0)
        control_say(asked->client,
                    "what systemd passed stays open, and clients wait there (stop the .socket unit "
                    "to close it)");
    return WAIT_NOTHING;
}

enum control_wait request_drain(const struct asked *asked)
{
    if (asked->count > 0)
        return drain_service(asked);
    uint32_t live = board_live(&asked->master->board);
    bool already = asked->master->life != LIFE_SERVES;
    if (!already)
        requests_log(asked, EVENT_DRAIN, "the daemon");
    control_say(asked->client, "ok\nthe daemon %s; sessions left: %u",
                already ? "is stopping already" : "stops", live);
    if (!already)
        stop_begin(asked->master, false);
    return WAIT_NOTHING;
}

enum control_wait request_scale(const struct asked *asked)
{
    struct service_state *service = asked->service;
    const char *wanted = asked->arguments[1], *hint;
    uint64_t workers = 0;

    if (!has_pool(service->image)) {
        control_say(asked->client, "error: %s has no pool (its process_model is not prefork)",
                    service->name);
        return WAIT_NOTHING;
    }
    if (strcmp(wanted, "auto") != 0 &&
        text_parse_count(wanted, 1, service->image->instances, &workers, &hint) < 0) {
        control_say(asked->client,
                    "error: not a number of workers (1 to %u, its instances; or auto)",
                    service->image->instances);
        return WAIT_NOTHING;
    }
    service->switches.scale = (uint32_t)workers;
    tell_current(asked);
    requests_log(asked, EVENT_SERVICE_SCALED, "service %s: %s", service->name, wanted);
    control_say(asked->client, "ok\n%s has %s workers%s", service->name,
                workers == 0 ? "as many" : wanted, workers == 0 ? " as it takes" : "");
    return WAIT_NOTHING;
}

enum control_wait request_log(const struct asked *asked)
{
    const char *wanted = asked->arguments[0];
    struct conf_daemon daemon;
    struct option_mistake mistake;
    bool configured = strcmp(wanted, "default") == 0;

    if (!configured && !option_read(&conf_options[DAEMON_log_level], wanted, &daemon, &mistake)) {
        control_say(asked->client, "error: no such level (%s; or default)", mistake.right);
        return WAIT_NOTHING;
    }
    /* What is turned off by this is still told. */
    if (configured)
        requests_log(asked, EVENT_LOG_SWITCHED, "as configured");
    else
        requests_log(asked, EVENT_LOG_SWITCHED, "from %s on", wanted);
    asked->master->log_switch = configured ? -1 : report_level_of(daemon.log_level);
    report_level(asked->master);
    if (configured)
        control_say(asked->client, "ok\nwhat is logged is as configured");
    else
        control_say(asked->client, "ok\nwhat is logged begins with %s", wanted);
    return WAIT_NOTHING;
}
