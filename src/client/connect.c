#include "client/connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/wait.h"

enum { BACKLOG_RETRY_US = 10000 };

/* Waits for a connect(2) that is under way. Returns 0 or -errno. */
static int finish(int fd, uint64_t deadline_us)
{
    struct pollfd ready = { .fd = fd, .events = POLLOUT };
    socklen_t size = sizeof(int);
    int result, error;

    do
        result = wait_for(&ready, 1, deadline_us);
    while (result == -EINTR && !wait_interrupted());
    if (result <= 0)
        return result ? result : -ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    return -error;
}

/* Returns 0 or -errno. */
static int establish(int fd, const struct address *address, uint64_t deadline_us)
{
    while (connect(fd, &address->socket.any, address->length) < 0) {
        if (errno == EINPROGRESS)
            return finish(fd, deadline_us);
        /* A Unix socket whose queue is full says EAGAIN, and poll(2) does not tell when it has
         * room again: connect(2). */
        if (errno != EAGAIN || !address_is_unix(address))
            return -errno;
        uint64_t next = clock_us() + BACKLOG_RETRY_US;
        if (deadline_us && next > deadline_us)
            return -ETIMEDOUT;
        if (wait_for(NULL, 0, next) == -EINTR && wait_interrupted())
            return -EINTR;
    }
    return 0;
}

int connect_again(const struct peer *peer, uint64_t timeout_us)
{
    int fd =
        socket(peer->address.socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = establish(fd, &peer->address, wait_deadline(timeout_us));
    if (result < 0) {
        close(fd);
        return result;
    }
    /* A message is sent with one call and should leave at once. Not every socket has the option. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return fd;
}

static int set_unix(const char *path, struct peer *out, struct failure *why)
{
    struct sockaddr_un *local = &out->address.socket.local;
    size_t size = strlen(path);

    if (size >= sizeof local->sun_path)
        return failure_set(why, EX_USAGE, "-U: the path has %zu bytes, at most %zu are possible",
                           size, sizeof local->sun_path - 1);
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, path, size + 1);
    out->address.length = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    if (*path == '@') { /* an abstract name begins with a NUL and ends with its length: unix(7) */
        local->sun_path[0] = '\0';
        out->address.length--;
    }
    address_format(&out->address, out->text, sizeof out->text);
    snprintf(out->name, sizeof out->name, "%s", out->text);
    return 0;
}

/* `host` is safe to show. A literal address is not said twice. */
static void set_peer(const struct addrinfo *found, const char *host, struct peer *out)
{
    memset(&out->address, 0, sizeof out->address);
    memcpy(&out->address.socket, found->ai_addr, found->ai_addrlen);
    out->address.length = found->ai_addrlen;
    address_format(&out->address, out->text, sizeof out->text);
    const char *start = out->text + (*out->text == '[');
    size_t length = strlen(host);
    if (!strncmp(start, host, length) && strchr(":]", start[length]))
        snprintf(out->name, sizeof out->name, "%s", out->text);
    else
        snprintf(out->name, sizeof out->name, "%s (%s)", host, out->text);
}

static int look_up(const struct options *options, const char *shown, struct addrinfo **found,
                   struct failure *why)
{
    struct addrinfo hints = { .ai_family = options->family, .ai_socktype = SOCK_STREAM };
    char port[64];
    int error = getaddrinfo(options->host, options->port, &hints, found);

    if (!error)
        return 0;
    text_escape(options->port, strlen(options->port), port, sizeof port);
    if (error == EAI_SERVICE)
        return failure_set(why, EX_NOHOST,
                           "port \"%s\": no such service (a number, or a name of "
                           "/etc/services)",
                           port);
    return failure_set(why, EX_NOHOST, "%s port %s: %s", shown, port,
                       error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
}

int connect_host(const struct options *options, struct peer *out, struct failure *why)
{
    char shown[256], tried[FAILURE_TEXT_MAX] = "";
    struct addrinfo *found = NULL;
    size_t used = 0;
    int fd = -1;

    *out = (struct peer){ 0 };
    if (options->family == AF_UNIX) {
        if (set_unix(options->host, out, why))
            return -1;
        fd = connect_again(out, options->timeout_us);
        return fd < 0 ? failure_errno(why, EX_UNAVAILABLE, -fd, "%s", out->text) : fd;
    }
    text_escape(options->host, strlen(options->host), shown, sizeof shown);
    if (look_up(options, shown, &found, why))
        return -1;
    for (struct addrinfo *each = found; each && fd < 0; each = each->ai_next) {
        set_peer(each, shown, out);
        fd = connect_again(out, options->timeout_us);
        if (fd < 0 && used < sizeof tried)
            used += (size_t)snprintf(tried + used, sizeof tried - used, "%s%s: %s",
                                     used ? "; " : "", out->name, strerror(-fd));
    }
    freeaddrinfo(found);
    return fd < 0 ? failure_set(why, EX_UNAVAILABLE, "%s", tried) : fd;
}
