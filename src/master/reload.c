#include "master/state.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/text.h"
#include "log/log.h"
#include "sys/daemonize.h"

/* Runs in two steps. Begin: new sockets are bound and new listeners started beside the old. Commit,
 * once all are ready: they are told to go and the old ones to drain. Whatever fails before the
 * commit undoes the first step, and nobody has noticed. */

/* How long a removed socket may be emptied: where clients never cease to come, or find no room, its
 * queue is never empty. */
enum { LAST_CALL_MS = 10000 };

/* Who asks in a loop keeps the master busy for some of its time only. */
enum { PAUSE_MS = 100 };

struct service *reload_copy_image(const struct service *image)
{
    struct service *copy = malloc(image->size);
    if (copy != NULL)
        memcpy(copy, image, image->size);
    return copy;
}

static bool is_same(const struct service *old, const struct service *new)
{
    return old != NULL && new != NULL && old->size == new->size &&memcmp(old, new, new->size) == 0;
}

/* `listen = 7` is one socket on a machine without IPv6, and two when it has learned that. */
static bool has_same_sockets(const struct socket_set *a, const struct socket_set *b)
{
    return a->count == b->count && memcmp(a->index, b->index, a->count * sizeof(a->index[0])) == 0;
}

/* A drained service changes without a listener. What systemd has passed for it is nobody else's. */
static int keep_drained(struct master *master, struct service_state *service,
                        const struct service *image, struct failure *why)
{
    service->next_image = reload_copy_image(image);
    if (service->next_image == NULL)
        return failure_set(why, EX_OSERR, "out of memory");
    service->next_sockets.count = 0;
    for (size_t i = 0; i < master->store.count; i++) {
        struct store_socket *socket = &master->store.sockets[i];
        if (socket->fd >= 0 && socket->passed && strcmp(socket->service, service->name) == 0) {
            socket->used = true;
            service->next_sockets.index[service->next_sockets.count++] = i;
        }
    }
    return 0;
}

/* Finds the sockets of one service and, when it changes, starts its listener. */
static int prepare_service(struct master *master, const struct service *image, struct failure *why)
{
    struct service_state *service = services_know(master, image->service_name);
    if (service == NULL)
        return failure_set(why, EX_OSERR, "service %s: no memory, or %d services are known already",
                           image->service_name, BOARD_SERVICES);
    service->changes = true;
    if (service->switches.drained)
        return keep_drained(master, service, image, why);
    struct socket_set *sockets = &service->next_sockets;
    int count = store_get(&master->store, image, sockets->index, why);
    if (count < 0)
        return -1;
    sockets->count = (unsigned int)count;
    if (!master->reload.forced && is_same(service->image, image) &&
        has_same_sockets(&service->sockets, sockets)) {
        service->changes = false;
        return 0;
    }
    service->next_image = reload_copy_image(image);
    if (service->next_image == NULL)
        return failure_set(why, EX_OSERR, "out of memory");
    service->next = services_spawn(master, service, image, sockets, why);
    return service->next == NULL ? -1 : 0;
}

static int prepare(struct master *master, const struct conf *conf, struct failure *why)
{
    /* Until it is found in the new configuration, a service changes: into nothing. */
    for (uint32_t i = 0; i < master->service_count; i++)
        master->services[i]->changes =
            master->services[i]->image != NULL || master->services[i]->current != NULL;
    store_clear_marks(&master->store);
    for (size_t i = 0; i < conf->count; i++)
        if (prepare_service(master, conf->services[i], why) < 0)
            return -1;
    return store_check_given(&master->store, why);
}

static void commit_service(struct master *master, struct service_state *service)
{
    struct generation *old = service->current;
    if (service->next != NULL) {
        switches_hand_over(service, service->next);
        generation_go(service->next, report_wanted(master),
                      services_own_sockets(master, service->next));
        services_tell_wards(master, service->next);
    }
    if (old != NULL)
        services_retire(master, old, LAST_CALL_MS);
    free(service->image);
    service->image = service->next_image;
    service->sockets = service->next_sockets;
    service->current = service->next;
    service->next_image = NULL;
    service->next = NULL;
    service->changes = false;
    service->restart_at_ms = 0;
    service->backoff_ms = 0;
    switches_fit(service);
    services_show(master, service);
}

static void commit(struct master *master)
{
    conf_free(master->conf);
    master->conf = master->reload.conf;
    master->reload.conf = NULL;
    for (uint32_t i = 0; i < master->service_count; i++)
        if (master->services[i]->changes)
            commit_service(master, master->services[i]);
    /* Only now: the listeners that empty removed sockets hold them from here on. */
    store_keep(&master->store);
}

/* Sockets of services that stay may have been given new settings; they get their old ones back. */
static void restore_sockets(struct master *master)
{
    struct socket_set sockets;
    struct failure why;
    store_clear_marks(&master->store);
    for (uint32_t i = 0; i < master->service_count; i++)
        if (master->services[i]->image != NULL && !master->services[i]->switches.drained &&
            store_get(&master->store, master->services[i]->image, sockets.index, &why) < 0)
            log_event(EVENT_SYSTEM, NULL, "%s", why.text);
}

static void undo(struct master *master)
{
    for (uint32_t i = 0; i < master->service_count; i++) {
        struct service_state *service = master->services[i];
        if (service->next != NULL)
            services_retire(master, service->next, 0);
        free(service->next_image);
        service->next_image = NULL;
        service->next = NULL;
        service->changes = false;
    }
    restore_sockets(master);
    store_undo(&master->store);
    conf_free(master->reload.conf);
    master->reload.conf = NULL;
}

static void tell_fixed(void *context, const char *text)
{
    (void)context;
    log_event(EVENT_RELOAD_FIXED, NULL, "%s", text);
}

static void accepted(struct master *master)
{
    struct conf *old = master->conf;
    if (old != NULL)
        conf_compare_fixed(old, master->reload.conf, tell_fixed, NULL);
    commit(master);
    master->reload.rejected = master->reload.forced = false;
    report_level(master);
    report_mistakes(&master->reload.remarks, false);
    if (master->life == LIFE_STARTS) {
        master_enter(master, LIFE_SERVES);
        audit_remember(master);
        report_ready(master);
    } else {
        if (!upgrade_is_done(master))
            atomic_fetch_add(&master->board.header->reloads, 1);
        log_event(EVENT_RELOAD_OK, NULL, "%zu service%s", master->conf->count,
                  text_plural(master->conf->count));
        control_answer(master, true, &master->reload.remarks, NULL);
        report_reloaded(master);
    }
    master_show(master);
    conf_mistakes_free(&master->reload.remarks);
    master->reload.remarks = (struct conf_mistakes){ 0 };
}

/* `reason` when it was not the file that was wrong. */
static void rejected(struct master *master, const char *reason)
{
    struct conf_mistakes *mistakes = &master->reload.remarks;
    master->reload.rejected = true;
    if (reason != NULL)
        log_event(EVENT_RELOAD_REJECTED, NULL, "%s; the old configuration is in force", reason);
    else
        report_mistakes(mistakes, true);
    control_answer(master, false, mistakes, reason);
    report_reloaded(master);
    conf_mistakes_free(mistakes);
    *mistakes = (struct conf_mistakes){ 0 };
}

int reload_start(struct master *master, struct conf *conf, struct failure *why)
{
    master->reload.conf = conf;
    master->reload.deadline_ms = master->now_ms + READY_LIMIT_MS;
    return prepare(master, conf, why);
}

void reload_abandon(struct master *master)
{
    if (master->reload.conf != NULL && master->life != LIFE_STARTS)
        undo(master);
    conf_free(master->reload.conf);
    master->reload.conf = NULL;
    master->reload.wanted = false;
    /* Also to those who asked for the next one. */
    master->reload.number++;
    control_answer(master, false, &master->reload.remarks, "the daemon is stopping");
}

uint64_t reload_due(const struct master *master)
{
    const struct reload *reload = &master->reload;
    bool due = reload->wanted && reload->conf == NULL && master->life == LIFE_SERVES &&
               master->upgrade.phase == UPGRADE_NONE;
    /* Not 0, which is none. */
    return due ? reload->next_ms | 1 : 0;
}

void reload_begin(struct master *master)
{
    struct failure why;
    master->reload.wanted = false;
    master->reload.next_ms = master->now_ms + PAUSE_MS;
    master->reload.number++;
    systemd_reloading();
    struct conf *conf = conf_load(master->start->request, &master->reload.remarks);
    if (conf == NULL) {
        rejected(master, NULL);
        return;
    }
    if (reload_start(master, conf, &why) < 0)
        reload_fail(master, &why);
    else
        reload_check(master);
}

void reload_fail(struct master *master, const struct failure *why)
{
    if (master->life == LIFE_STARTS) {
        daemonize_report(why->status, why->text);
        if (!master->start->foreground)
            log_event(EVENT_SYSTEM, NULL, "cannot start: %s", why->text);
        master->status = why->status;
        stop_begin(master, true);
        return;
    }
    undo(master);
    rejected(master, why->text);
}

void reload_check(struct master *master)
{
    if (master->reload.conf == NULL || master->life == LIFE_STOPS)
        return;
    for (uint32_t i = 0; i < master->service_count; i++) {
        const struct service_state *service = master->services[i];
        struct failure why;
        if (service->next == NULL || service->next->state == GENERATION_READY)
            continue;
        if (master->now_ms < master->reload.deadline_ms)
            return;
        failure_set(&why, EX_OSERR, "service %s: its listener is not ready after %d s",
                    service->name, READY_LIMIT_MS / 1000);
        reload_fail(master, &why);
        return;
    }
    accepted(master);
}
