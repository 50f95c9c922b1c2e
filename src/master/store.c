#include "master/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "log/log.h"

void store_open(struct store *store, struct systemd_socket *given, size_t count)
{
    *store = (struct store){ .given = given, .given_count = count };
}

/* One whose file somebody has deleted is found no more: another one is made, and it is closed. */
static bool is_there(const struct store_socket *socket)
{
    return socket->fd >= 0 && (socket->passed || !sockets_is_lost(&socket->bound));
}

static struct store_socket *find(const struct store *store, const struct service *service,
                                 const struct address *wanted)
{
    for (size_t i = 0; i < store->count; i++) {
        struct store_socket *socket = &store->sockets[i];
        if (address_equal(&socket->wanted, wanted) && is_there(socket) &&
            (!address_is_any_port(wanted) || strcmp(socket->service, service->service_name) == 0))
            return socket;
    }
    return NULL;
}

static struct store_socket *new_entry(struct store *store, struct failure *why)
{
    for (size_t i = 0; i < store->count; i++)
        if (store->sockets[i].fd < 0)
            return &store->sockets[i];
    struct store_socket *more =
        reallocarray(store->sockets, store->count + 1, sizeof(*store->sockets));
    if (more == NULL) {
        failure_errno(why, EX_OSERR, ENOMEM, "cannot hold another listening socket");
        return NULL;
    }
    store->sockets = more;
    more[store->count].fd = -1;
    return &more[store->count++];
}

static struct store_socket *put(struct store *store, const struct service *service, int fd,
                                const struct address *wanted, const struct address *bound,
                                struct failure *why)
{
    struct store_socket *socket = new_entry(store, why);
    if (socket == NULL)
        return NULL;
    *socket = (struct store_socket){ .fd = fd, .wanted = *wanted, .bound = *bound, .fresh = true };
    memcpy(socket->service, service->service_name, sizeof(socket->service));
    return socket;
}

static struct socket_settings settings_of(const struct service *service)
{
    return (struct socket_settings){ .backlog = service->backlog,
                                     .freebind = service->freebind,
                                     .bind_to_device = service->bind_to_device,
                                     .socket_mode = service->socket_mode,
                                     .socket_user = service->socket_user,
                                     .socket_group = service->socket_group };
}

static void tell(enum log_event event, const char *service, const struct address *address)
{
    struct log_details details = LOG_DETAILS_NONE;
    char text[ADDRESS_TEXT_MAX];
    details.service = service;
    log_event(event, &details, "%s %s", service, address_format(address, text, sizeof(text)));
}

/* A socket back from systemd's descriptor store, by the address it is bound to. */
static struct store_socket *take_back(struct store *store, const struct service *service,
                                      const struct address *wanted, struct failure *why)
{
    for (size_t i = 0; i < store->given_count; i++) {
        struct systemd_socket *given = &store->given[i];
        if (given->taken || !given->stored || !address_equal(&given->address, wanted))
            continue;
        given->taken = true;
        tell(EVENT_SOCKET_KEPT, service->service_name, wanted);
        return put(store, service, given->fd, wanted, &given->address, why);
    }
    return NULL;
}

/* Lets the sockets that overlap `wanted` share their port, or no longer. Returns whether there are
 * any. */
static bool share_overlapping(const struct store *store, const struct address *wanted, bool yes)
{
    bool any = false;
    for (size_t i = 0; i < store->count; i++) {
        const struct store_socket *socket = &store->sockets[i];
        if (socket->fd < 0 || !address_overlaps(&socket->bound, wanted))
            continue;
        sockets_share(socket->fd, yes);
        any = true;
    }
    /* What the last run listened on, until it is known that nobody wants it any more. */
    for (size_t i = 0; i < store->given_count; i++) {
        const struct systemd_socket *given = &store->given[i];
        if (given->taken || !given->stored || !address_overlaps(&given->address, wanted))
            continue;
        sockets_share(given->fd, yes);
        any = true;
    }
    return any;
}

/* From 127.0.0.1 to 0.0.0.0 of the same port, or back, both have to be bound for a while. */
static int listen_beside(const struct store *store, struct address *address,
                         struct socket_settings *settings, struct failure *why)
{
    settings->shared = share_overlapping(store, address, true);
    int fd = sockets_listen(address, settings, why);
    int error = errno;
    if (settings->shared && fd >= 0)
        sockets_share(fd, false);
    share_overlapping(store, address, false);
    errno = error;
    return fd;
}

static struct store_socket *bind_new(struct store *store, const struct service *service,
                                     const struct address *wanted, struct failure *why)
{
    struct socket_settings settings = settings_of(service);
    struct address bound = *wanted;
    int fd = listen_beside(store, &bound, &settings, why);
    if (fd < 0)
        return NULL;
    struct store_socket *socket = put(store, service, fd, wanted, &bound, why);
    if (socket == NULL) {
        close(fd);
        return NULL;
    }
    systemd_store(fd, &bound);
    tell(EVENT_SOCKET_OPENED, service->service_name, &bound);
    return socket;
}

struct store_socket *store_obtain(struct store *store, const struct service *service,
                                  const struct address *wanted, struct failure *why)
{
    struct socket_settings settings = settings_of(service);
    struct store_socket *socket = find(store, service, wanted);
    if (socket == NULL && (socket = take_back(store, service, wanted, why)) == NULL)
        return bind_new(store, service, wanted, why);
    return sockets_adjust(socket->fd, &socket->bound, &settings, why) < 0 ? NULL : socket;
}

struct store_socket *store_adopt(struct store *store, const struct service *service,
                                 struct systemd_socket *given, struct failure *why)
{
    struct store_socket *socket = find(store, service, &given->address);
    if (socket == NULL) {
        tell(EVENT_SOCKET_KEPT, service->service_name, &given->address);
        socket = put(store, service, given->fd, &given->address, &given->address, why);
    }
    if (socket != NULL)
        given->taken = socket->passed = true;
    return socket;
}

static bool is_in_use(const struct store *store, int fd)
{
    for (size_t i = 0; i < store->count; i++)
        if (store->sockets[i].fd == fd && store->sockets[i].used)
            return true;
    return false;
}

int store_check_given(const struct store *store, struct failure *why)
{
    for (size_t i = 0; i < store->given_count; i++) {
        struct systemd_socket *given = &store->given[i];
        if (given->stored ? given->taken : is_in_use(store, given->fd))
            continue;
        if (!given->stored)
            return failure_set(why, EX_CONFIG,
                               "systemd passed the socket %s, and no service takes it (name a "
                               "service so, or listen on systemd:%s)",
                               given->name, given->name);
        /* Kept for an address that is no longer configured. */
        systemd_unstore(&given->address);
        close(given->fd);
        given->taken = true;
    }
    return 0;
}

void store_clear_marks(struct store *store)
{
    for (size_t i = 0; i < store->count; i++)
        store->sockets[i].used = false;
}

static void close_entry(struct store_socket *socket)
{
    close(socket->fd);
    socket->fd = -1;
}

void store_remove_file(int fd, const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    int error = sockets_unlink(fd, address);
    if (error < 0)
        log_event(EVENT_SYSTEM, NULL, "cannot remove %s: %s",
                  address_format(address, text, sizeof(text)), strerror(-error));
}

/* systemd's store goes by addresses: another socket of the same one, made in place of this, stays
 * in it. */
static void remove_entry(const struct store *store, struct store_socket *socket)
{
    tell(EVENT_SOCKET_CLOSED, socket->service, &socket->bound);
    systemd_unstore(&socket->bound);
    store_remove_file(socket->fd, &socket->bound);
    close_entry(socket);
    for (size_t i = 0; i < store->count; i++)
        if (store->sockets[i].fd >= 0 && address_equal(&store->sockets[i].bound, &socket->bound))
            systemd_store(store->sockets[i].fd, &socket->bound);
}

void store_keep(struct store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        struct store_socket *socket = &store->sockets[i];
        socket->fresh = false;
        if (socket->fd >= 0 && !socket->used && !socket->passed)
            remove_entry(store, socket);
    }
}

void store_undo(struct store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        struct store_socket *socket = &store->sockets[i];
        if (socket->fd < 0 || !socket->fresh)
            continue;
        socket->fresh = false;
        if (!socket->passed)
            remove_entry(store, socket);
    }
}

void store_close(struct store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        struct store_socket *socket = &store->sockets[i];
        if (socket->fd < 0)
            continue;
        if (!socket->passed && !systemd_is_manager())
            store_remove_file(socket->fd, &socket->bound);
        close_entry(socket);
    }
    free(store->sockets);
    store->sockets = NULL;
    store->count = 0;
}
