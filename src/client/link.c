#include "client/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/pattern.h"

bool link_has_sources(const struct address *server)
{
    return server->socket.any.sa_family == AF_INET && address_is_local(server);
}

/* Returns 0 or -errno; the port is chosen by connect(2), which knows that one port can serve many
 * servers. */
static int bind_source(int fd, unsigned int source)
{
    struct sockaddr_in own = { .sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + source) };

    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
    return bind(fd, (struct sockaddr *)&own, sizeof own) ? -errno : 0;
}

/* Returns the socket or -errno. */
static int begin(const struct route *route, bool *connecting)
{
    const struct address *server = route->server;
    int fd = socket(server->socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (server->socket.any.sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    int result = route->source ? bind_source(fd, route->source) : 0;
    if (!result && connect(fd, &server->socket.any, server->length) < 0)
        result = -errno;
    *connecting = result == -EINPROGRESS;
    if (!result || *connecting)
        return fd;
    close(fd);
    return result;
}

int link_open(struct link *link, struct route *route, uint64_t number)
{
    bool connecting = false;
    int fd;

    if (route->sources)
        route->source = route->source % route->sources + 1;
    while ((fd = begin(route, &connecting)) == -EADDRNOTAVAIL && link_has_sources(route->server) &&
           route->source < LINK_SOURCES_MAX)
        route->source += route->source ? 1 : 2; /* the system's own choice is 127.0.0.1 */
    if (fd < 0)
        return fd;
    link->fd = fd;
    link->connecting = connecting;
    link->number = number;
    link->events = 0;
    link->allowed = link->sent = link->received = 0;
    return 0;
}

void link_close(struct link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    link->connecting = false;
}

static int fail(struct link_failure *why, int error)
{
    *why = (struct link_failure){ .trouble = LINK_OTHER, .error = error };
    if (error == ECONNREFUSED)
        why->trouble = LINK_REFUSED;
    else if (error == ECONNRESET || error == EPIPE)
        why->trouble = LINK_RESET;
    else if (error == ETIMEDOUT)
        why->trouble = LINK_LATE;
    return -1;
}

/* Returns 1 when connected, 0 when not yet, -1. */
static int finish_connecting(struct link *link, struct link_failure *why)
{
    socklen_t size = sizeof(int), length = sizeof(struct sockaddr_storage);
    struct sockaddr_storage peer;
    int error = 0;

    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        return fail(why, error);
    if (getpeername(link->fd, (struct sockaddr *)&peer, &length))
        return 0;
    link->connecting = false;
    return 1;
}

/* Returns 0 or an errno value that says that no more can be sent. */
static int transmit(struct link *link)
{
    while (link->sent < link->allowed) {
        uint64_t left = link->allowed - link->sent;
        size_t size = left < PATTERN_CHUNK ? (size_t)left : PATTERN_CHUNK;
        ssize_t count = send(link->fd, pattern_at(link->number, link->sent), size, MSG_NOSIGNAL);
        if (count < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : errno;
        link->sent += (uint64_t)count;
        if ((size_t)count < size)
            return 0;
    }
    return 0;
}

static int check(const struct link *link, const unsigned char *part, size_t count,
                 struct link_failure *why)
{
    const unsigned char *wanted = pattern_at(link->number, link->received);
    uint64_t owed = link->sent - link->received;
    size_t comparable = count < owed ? count : (size_t)owed;

    *why = (struct link_failure){ .trouble = LINK_WRONG };
    if (memcmp(wanted, part, comparable) != 0) {
        size_t at = 0;
        while (wanted[at] == part[at])
            at++;
        why->position = link->received + at;
        why->wanted = wanted[at];
        why->came = part[at];
        return -1;
    }
    why->trouble = LINK_SURPLUS;
    return comparable < count ? -1 : 0;
}

int64_t link_move(struct link *link, struct link_failure *why)
{
    static unsigned char part[PATTERN_CHUNK];

    if (link->connecting && !link->allowed) {
        int result = finish_connecting(link, why);
        return result < 0 ? -1 : 0; /* who only connects does not read */
    }
    /* On the same machine a connection is made before connect(2) returns, though it says that it
     * is under way: sending at once saves a wait. */
    int error = transmit(link);
    if (link->sent)
        link->connecting = false;
    /* A server that takes no more may have said something before, which tells more. */
    ssize_t count = recv(link->fd, part, sizeof part, 0);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
        return fail(why, error ? error : errno);
    if (count > 0 && check(link, part, (size_t)count, why))
        return -1;
    if (count > 0)
        link->received += (uint64_t)count;
    if (error)
        return fail(why, error);
    *why = (struct link_failure){ .trouble = LINK_CLOSED };
    return count < 0 ? 0 : count > 0 ? count : -1;
}

uint32_t link_wants(const struct link *link)
{
    return EPOLLIN | (link->connecting || link->sent < link->allowed ? EPOLLOUT : 0U);
}
