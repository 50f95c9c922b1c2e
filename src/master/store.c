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

static bool port_is_chosen(const struct address *address)
{
    if (address->kind != ADDRESS_SOCKET)
        return false;
    return (address->socket.any.sa_family == AF_INET && address->socket.v4.sin_port == 0) ||
           (address->socket.any.sa_family == AF_INET6 && address->socket.v6.sin6_port == 0);
}

static struct store_socket *find(const struct store *store, const struct service *service,
                                 const struct address *wanted)
{
    for (size_t i = 0; i < store->count; i++) {
        struct store_socket *socket = &store->sockets[i];
        if (socket->fd >= 0 && address_equal(&socket->wanted, wanted) &&
            (!port_is_chosen(wanted) || strcmp(socket->service, service->service_name) == 0))
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

static struct store_socket *get_one(struct store *store, const struct service *service,
                                    const struct address *wanted, struct failure *why)
{
    struct socket_settings settings = settings_of(service);
    struct store_socket *socket = find(store, service, wanted);
    if (socket == NULL && (socket = take_back(store, service, wanted, why)) == NULL)
        return bind_new(store, service, wanted, why);
    return sockets_adjust(socket->fd, &socket->bound, &settings, why) < 0 ? NULL : socket;
}

/* Adds every passed socket of that name. Returns how many there are now, or -1. */
static int get_passed(struct store *store, const struct service *service, const char *name,
                      size_t out[SERVICE_SOCKETS_MAX], int count, struct failure *why)
{
    for (size_t i = 0; i < store->given_count && count < SERVICE_SOCKETS_MAX; i++) {
        struct systemd_socket *given = &store->given[i];
        if (given->stored || strcmp(given->name, name) != 0)
            continue;
        struct store_socket *socket = find(store, service, &given->address);
        if (socket == NULL) {
            tell(EVENT_SOCKET_KEPT, service->service_name, &given->address);
            socket = put(store, service, given->fd, &given->address, &given->address, why);
        }
        if (socket == NULL)
            return -1;
        given->taken = true;
        socket->passed = true;
        out[count++] = (size_t)(socket - store->sockets);
    }
    return count;
}

/* The same place in IPv4: 0.0.0.0 of [::], 127.0.0.1 of [::1]. Where it is listed too, a machine
 * without IPv6 still serves. */
static bool has_ipv4_twin(const struct service *service, const struct address *wanted)
{
    const struct address *addresses = service_addresses(service, service->listen);
    const struct in6_addr *place = &wanted->socket.v6.sin6_addr;
    if (wanted->kind != ADDRESS_SOCKET || wanted->socket.any.sa_family != AF_INET6 ||
        (!IN6_IS_ADDR_UNSPECIFIED(place) && !IN6_IS_ADDR_LOOPBACK(place)))
        return false;
    in_addr_t twin = htonl(IN6_IS_ADDR_LOOPBACK(place) ? INADDR_LOOPBACK : INADDR_ANY);
    for (uint32_t i = 0; i < service->listen.count; i++)
        if (addresses[i].kind == ADDRESS_SOCKET && addresses[i].socket.any.sa_family == AF_INET &&
            addresses[i].socket.v4.sin_addr.s_addr == twin &&
            addresses[i].socket.v4.sin_port == wanted->socket.v6.sin6_port)
            return true;
    return false;
}

/* A failure that only says that this machine has no IPv6, where it need not have. */
static bool may_be_skipped(const struct service *service, const struct address *wanted, int error,
                           const struct failure *why)
{
    if ((error != EAFNOSUPPORT && error != EADDRNOTAVAIL) || !has_ipv4_twin(service, wanted))
        return false;
    struct log_details details = LOG_DETAILS_NONE;
    details.service = service->service_name;
    log_event(EVENT_SOCKET_SKIPPED, &details, "service %s: %s; its IPv4 address is served",
              service->service_name, why->text);
    return true;
}

static int get_listed(struct store *store, const struct service *service,
                      const struct address *wanted, size_t out[SERVICE_SOCKETS_MAX], int count,
                      struct failure *why)
{
    if (wanted->kind == ADDRESS_SYSTEMD) {
        int now = get_passed(store, service, wanted->socket.name, out, count, why);
        if (now == count)
            return failure_set(why, EX_CONFIG,
                               "service %s: systemd passed no socket named %s (start its .socket "
                               "unit, or listen on an address)",
                               service->service_name, wanted->socket.name);
        return now;
    }
    if (count == SERVICE_SOCKETS_MAX)
        return failure_set(why, EX_CONFIG, "service %s: more than %d addresses",
                           service->service_name, SERVICE_SOCKETS_MAX);
    errno = 0;
    struct store_socket *socket = get_one(store, service, wanted, why);
    if (socket == NULL)
        return may_be_skipped(service, wanted, errno, why) ? count : -1;
    out[count++] = (size_t)(socket - store->sockets);
    return count;
}

static int get_all_listed(struct store *store, const struct service *service,
                          size_t out[SERVICE_SOCKETS_MAX], struct failure *why)
{
    const struct address *addresses = service_addresses(service, service->listen);
    int count = 0;
    for (uint32_t i = 0; i < service->listen.count && count >= 0; i++)
        count = get_listed(store, service, &addresses[i], out, count, why);
    if (count == 0)
        return failure_set(why, EX_CONFIG, "service %s: no address to listen on (set listen)",
                           service->service_name);
    return count;
}

/* What the check of the configuration cannot see: one address by its name, the other by number. */
static int refuse_second(const struct service *service, const struct store_socket *socket,
                         struct failure *why)
{
    char text[ADDRESS_TEXT_MAX];
    return failure_set(why, EX_CONFIG, "service %s: %s is taken by service %s, or twice by this",
                       service->service_name, address_format(&socket->bound, text, sizeof(text)),
                       socket->service);
}

int store_get(struct store *store, const struct service *service, size_t out[SERVICE_SOCKETS_MAX],
              struct failure *why)
{
    int count = get_passed(store, service, service->service_name, out, 0, why);
    if (count == 0)
        count = get_all_listed(store, service, out, why);
    for (int i = 0; i < count; i++) {
        struct store_socket *socket = &store->sockets[out[i]];
        if (socket->used)
            return refuse_second(service, socket, why);
        socket->used = true;
    }
    return count;
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

static void remove_entry(struct store_socket *socket)
{
    tell(EVENT_SOCKET_CLOSED, socket->service, &socket->bound);
    systemd_unstore(&socket->bound);
    sockets_unlink(socket->fd, &socket->bound);
    close_entry(socket);
}

void store_keep(struct store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        struct store_socket *socket = &store->sockets[i];
        socket->fresh = false;
        if (socket->fd >= 0 && !socket->used && !socket->passed)
            remove_entry(socket);
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
            remove_entry(socket);
    }
}

void store_close(struct store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        struct store_socket *socket = &store->sockets[i];
        if (socket->fd < 0)
            continue;
        if (!socket->passed && !systemd_is_manager())
            sockets_unlink(socket->fd, &socket->bound);
        close_entry(socket);
    }
    free(store->sockets);
    store->sockets = NULL;
    store->count = 0;
}
