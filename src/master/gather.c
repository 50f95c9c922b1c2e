#include "master/store.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "conf/conf.h"
#include "log/log.h"

/* From what a service says about its addresses to the sockets that it gets. */

/* Adds every passed socket of that name. Returns how many there are now, or -1. */
static int get_passed(struct store *store, const struct service *service, const char *name,
                      size_t out[SERVICE_SOCKETS_MAX], int count, struct failure *why)
{
    for (size_t i = 0; i < store->given_count && count < SERVICE_SOCKETS_MAX; i++) {
        struct systemd_socket *given = &store->given[i];
        if (given->stored || strcmp(given->name, name) != 0)
            continue;
        struct store_socket *socket = store_adopt(store, service, given, why);
        if (socket == NULL)
            return -1;
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
    struct store_socket *socket = store_obtain(store, service, wanted, why);
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

static int refuse_exposure(const struct service *service, const struct store_socket *socket,
                           struct failure *why)
{
    char text[ADDRESS_TEXT_MAX];
    return failure_set(why, EX_CONFIG,
                       "service %s: other machines can reach %s, which systemd passed, and status "
                       "shows who is connected (pass a local one, or set remote_status = yes)",
                       service->service_name, address_format(&socket->bound, text, sizeof(text)));
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
        if (!conf_may_listen(service, &socket->bound))
            return refuse_exposure(service, socket, why);
        socket->used = true;
    }
    return count;
}
