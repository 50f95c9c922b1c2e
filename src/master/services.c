#include "master/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "log/log.h"
#include "sys/sandbox.h"

enum { BACKOFF_FIRST_MS = 100, BACKOFF_LONGEST_MS = 10000, LIFE_ENOUGH_MS = 10000 };

/* A place for a name that is new. When all are taken, that of a service which is not configured any
 * more and of which nothing lives: what it did is forgotten. */
static int find_place(const struct master *master)
{
    if (master->service_count < BOARD_SERVICES)
        return (int)master->service_count;
    for (int i = 0; i < BOARD_SERVICES; i++)
        if (master->services[i]->image == NULL && !master->services[i]->changes &&
            services_generations(master, (uint32_t)i) == 0)
            return i;
    return -1;
}

static void forget(struct service_state *service)
{
    if (service == NULL)
        return;
    free(service->image);
    free(service->next_image);
    free(service);
}

struct service_state *services_find(const struct master *master, const char *name)
{
    for (uint32_t i = 0; i < master->service_count; i++)
        if (strcmp(master->services[i]->name, name) == 0)
            return master->services[i]->image != NULL ? master->services[i] : NULL;
    return NULL;
}

struct service_state *services_know(struct master *master, const char *name)
{
    for (uint32_t i = 0; i < master->service_count; i++)
        if (strcmp(master->services[i]->name, name) == 0)
            return master->services[i];

    int place = find_place(master);
    struct service_state *service = place < 0 ? NULL : calloc(1, sizeof(*service));
    if (service == NULL)
        return NULL;
    strncpy(service->name, name, sizeof(service->name) - 1);
    forget(master->services[place]);
    master->services[place] = service;
    if ((uint32_t)place == master->service_count)
        master->service_count++;
    memset(master->board.services[place].counts, 0, sizeof(master->board.services[place].counts));
    memset(master->board.services[place].samples, 0, sizeof(master->board.services[place].samples));
    services_show(master, service);
    return service;
}

void services_forget(struct master *master)
{
    for (uint32_t i = 0; i < master->service_count; i++)
        forget(master->services[i]);
    master->service_count = 0;
}

uint32_t services_index(const struct master *master, const struct service_state *service)
{
    uint32_t i = 0;
    while (master->services[i] != service)
        i++;
    return i;
}

static enum board_service_state state_of(const struct service_state *service)
{
    if (service->image == NULL)
        return SERVICE_ABSENT;
    if (service->switches.drained)
        return SERVICE_DRAINED;
    if (service->current == NULL)
        return SERVICE_BROKEN;
    return service->switches.paused ? SERVICE_PAUSED : SERVICE_SERVING;
}

/* The addresses in as much room as there is. */
static void list_addresses(const struct master *master, const struct service_state *service,
                           char *text, size_t size)
{
    char address[ADDRESS_TEXT_MAX];
    size_t length = 0;
    text[0] = '\0';
    if (master->store.count == 0) /* the daemon stops: they are closed */
        return;
    for (unsigned int i = 0; i < service->sockets.count && length < size; i++) {
        const struct store_socket *socket = &master->store.sockets[service->sockets.index[i]];
        length += (size_t)snprintf(text + length, size - length, "%s%s", i == 0 ? "" : " ",
                                   address_format(&socket->bound, address, sizeof(address)));
    }
}

void services_show(struct master *master, const struct service_state *service)
{
    struct board_service *entry = &master->board.services[services_index(master, service)];
    board_service_begin(entry);
    snprintf(entry->name, sizeof(entry->name), "%s", service->name);
    entry->state = state_of(service);
    if (service->image != NULL) {
        snprintf(entry->handler, sizeof(entry->handler), "%s", service->image->handler);
        list_addresses(master, service, entry->listen, sizeof(entry->listen));
        entry->instances = service->image->instances;
        entry->prefork = service->image->process_model == PROCESS_MODEL_PREFORK;
        entry->scale = service->switches.scale;
    }
    board_service_end(entry);
}

unsigned int services_generations(const struct master *master, uint32_t service)
{
    unsigned int count = 0;
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE &&
            master->generations[i].service == service)
            count++;
    return count;
}

/* Who serves: the service's own user, or the daemon's. */
static int find_identity(const struct master *master, const struct service *image,
                         struct identity *out, struct failure *why)
{
    if (image->user[0] == '\0' && image->group[0] == '\0') {
        *out = master->identity;
        return 0;
    }
    struct failure detail;
    if (privilege_find(image->user, image->group, master->user, out, &detail) < 0)
        return failure_set(why, detail.status, "service %s: %s", image->service_name, detail.text);
    return 0;
}

struct generation *services_spawn(struct master *master, struct service_state *service,
                                  const struct service *image, const struct socket_set *sockets,
                                  struct failure *why)
{
    uint32_t index = services_index(master, service);
    struct identity identity;
    if (find_identity(master, image, &identity, why) < 0)
        return NULL;
    /* A reload can be tried again later; in place of a listener that died there has to be one. */
    if (service->changes && services_generations(master, index) >= GENERATIONS_A_SERVICE) {
        failure_set(why, EX_TEMPFAIL,
                    "service %s: %d older generations still have clients (wait for them, or end "
                    "them)",
                    service->name, GENERATIONS_A_SERVICE);
        return NULL;
    }
    unsigned int block = 0;
    while (block < BOARD_BLOCKS && master->generations[block].state != GENERATION_NONE)
        block++;
    if (block == BOARD_BLOCKS) {
        failure_set(why, EX_TEMPFAIL, "service %s: all %d generations of the board are in use",
                    service->name, BOARD_BLOCKS);
        return NULL;
    }
    board_block_open(&master->board, block, master->last_number + 1, index);
    struct generation *generation = &master->generations[block];
    *generation = (struct generation){ .number = ++master->last_number,
                                       .service = index,
                                       .channel = { .fd = -1 },
                                       .socket_count = sockets->count };
    memcpy(generation->sockets, sockets->index, sizeof(generation->sockets));
    if (generation_start(generation, &master->seed, block, image, &identity, why) < 0) {
        board_block_close(&master->board, block, index);
        return NULL;
    }
    struct log_details details = LOG_DETAILS_NONE;
    details.service = service->name;
    details.pid = generation->pid;
    log_event(EVENT_LISTENER_START, &details, "service %s [%d], sandbox %s", service->name,
              generation->pid, image->sandbox == SANDBOX_OFF ? "off" : sandbox_profile);
    return generation;
}

/* What systemd passed, or keeps for the next start, is not ours to shut down. */
uint64_t services_own_sockets(const struct master *master, const struct generation *generation)
{
    uint64_t own = 0;
    if (master->store.count == 0 || systemd_is_manager())
        return 0;
    for (unsigned int i = 0; i < generation->socket_count; i++)
        if (!master->store.sockets[generation->sockets[i]].passed)
            own |= UINT64_C(1) << i;
    return own;
}

void services_retire(struct master *master, struct generation *generation, uint64_t limit_ms)
{
    bool stops = master->life == LIFE_STOPS;
    uint64_t last = 0, own = stops ? services_own_sockets(master, generation) : 0;
    for (unsigned int i = 0; i < generation->socket_count; i++) {
        const struct store_socket *socket = &master->store.sockets[generation->sockets[i]];
        if (stops || !socket->used)
            last |= UINT64_C(1) << i;
        if (!stops && !socket->used && !socket->passed)
            own |= UINT64_C(1) << i;
    }
    generation_drain(generation, last, own, limit_ms);
}

void services_plan_restart(struct master *master, struct service_state *service, uint64_t lived_ms)
{
    if (lived_ms >= LIFE_ENOUGH_MS)
        service->backoff_ms = 0;
    service->restart_at_ms = master->now_ms + service->backoff_ms;
    services_show(master, service);
    uint64_t longer = service->backoff_ms == 0 ? BACKOFF_FIRST_MS : 2 * service->backoff_ms;
    service->backoff_ms = longer < BACKOFF_LONGEST_MS ? longer : BACKOFF_LONGEST_MS;
}

void services_restart_due(struct master *master)
{
    for (uint32_t i = 0; i < master->service_count; i++) {
        struct service_state *service = master->services[i];
        struct failure why;
        /* A service that the running reload changes gets its new listener from that. */
        if (service->restart_at_ms == 0 || master->now_ms < service->restart_at_ms ||
            service->changes)
            continue;
        service->restart_at_ms = 0;
        if (service->image == NULL || service->current != NULL || master->life == LIFE_STOPS)
            continue;
        service->current = services_spawn(master, service, service->image, &service->sockets, &why);
        if (service->current == NULL) {
            log_event(EVENT_LISTENER_FAILED, NULL, "%s", why.text);
            services_plan_restart(master, service, 0);
        }
    }
}

static bool is_dead_one_of(const struct generation *generation, uint32_t service)
{
    return generation->state == GENERATION_DEAD && generation->service == service;
}

void services_tell_wards(struct master *master, struct generation *generation)
{
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (is_dead_one_of(&master->generations[i], generation->service))
            generation_ward(generation, &master->generations[i], true);
}

uint64_t services_dropped(const struct master *master, uint32_t service)
{
    uint64_t dropped = master->board.services[service].counts[COUNT_DROPPED];
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE &&
            master->generations[i].service == service)
            dropped += master->board.blocks[i].counts[COUNT_DROPPED];
    return dropped;
}

void services_bury(struct master *master, struct generation *generation)
{
    unsigned int index = (unsigned int)(generation - master->generations);

    channel_close(&generation->channel);
    board_block_close(&master->board, index, generation->service);
    generation->state = GENERATION_NONE;
    /* All who may have been told of it: its number is free for another group now. */
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE &&
            master->generations[i].service == generation->service)
            generation_ward(&master->generations[i], generation, false);
}
