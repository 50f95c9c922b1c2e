#include "ctl/fetch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/text.h"

enum { CHUNK = 65536, WAIT_MAX_MS = 1 << 30 };

/* A conversation and its end. */
struct talk {
    const struct fetch *fetch;
    uint64_t deadline_ms; /* 0: never */
    int fd;
};

static const char *advice(int error)
{
    if (error == ENOENT || error == ECONNREFUSED)
        return " (does forkechod run, with a service that has the handler status?)";
    return error == EACCES ? " (who may look is up to the service's socket_mode)" : "";
}

static int fail(const struct talk *talk, int error, struct failure *why)
{
    char time[32];
    if (error == ETIMEDOUT)
        return failure_set(why, EX_UNAVAILABLE, "%s: no answer within %s", talk->fetch->address,
                           text_format_duration(talk->fetch->timeout_ms, time, sizeof time));
    return failure_set(why, EX_UNAVAILABLE, "%s: %s%s", talk->fetch->address, strerror(error),
                       advice(error));
}

/* Waits until the socket is ready. 0 or -errno. */
static int wait_for(const struct talk *talk, short events)
{
    struct pollfd set = { .fd = talk->fd, .events = events };
    for (;;) {
        uint64_t now = clock_ms();
        if (talk->deadline_ms != 0 && now >= talk->deadline_ms)
            return -ETIMEDOUT;
        int ready = poll(&set, 1, clock_until(now, talk->deadline_ms, WAIT_MAX_MS));
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return -errno;
    }
}

static int reach(struct talk *talk, struct failure *why)
{
    struct address addresses[2];
    const char *hint = "an address with a port, or unix:/path";
    int error = 0;
    socklen_t size = sizeof error;

    if (address_parse(talk->fetch->address, addresses, &hint) < 1 ||
        addresses[0].kind != ADDRESS_SOCKET)
        return failure_set(why, EX_USAGE, "%s: not an address (%s)", talk->fetch->address, hint);
    talk->fd =
        socket(addresses[0].socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (talk->fd < 0)
        return failure_errno(why, EX_OSERR, errno, "a socket");
    if (connect(talk->fd, &addresses[0].socket.any, addresses[0].length) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return fail(talk, errno == EAGAIN ? ETIMEDOUT : errno, why);
    int result = wait_for(talk, POLLOUT);
    if (result < 0)
        return fail(talk, -result, why);
    getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? 0 : fail(talk, error, why);
}

static int ask(const struct talk *talk, const char *target, struct failure *why)
{
    char request[1024];
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", target);
    /* It fits into any socket's buffer. */
    if (size >= (int)sizeof request ||
        send(talk->fd, request, (size_t)size, MSG_NOSIGNAL) != (ssize_t)size)
        return fail(talk, errno, why);
    return 0;
}

static int hear(const struct talk *talk, struct buffer *answer, struct failure *why)
{
    for (;;) {
        int result = wait_for(talk, POLLIN);
        if (result < 0)
            return fail(talk, -result, why);
        if (answer->length > FETCH_MAX)
            return failure_set(why, EX_PROTOCOL, "%s: more than %d MiB", talk->fetch->address,
                               FETCH_MAX >> 20);
        if (!buffer_reserve(answer, CHUNK))
            return fail(talk, ENOMEM, why);
        ssize_t got = recv(talk->fd, answer->bytes + answer->length, CHUNK, 0);
        if (got == 0)
            return 0;
        if (got > 0)
            answer->length += (size_t)got;
        else if (errno != EAGAIN && errno != EINTR)
            return fail(talk, errno, why);
    }
}

/* The value of Content-Length among the header's lines; -1: none. */
static long long find_length(const char *head, const char *end)
{
    static const char name[] = "\ncontent-length:";
    for (const char *at = head; at < end; at++)
        if (strncasecmp(at, name, sizeof name - 1) == 0)
            return strtoll(at + sizeof name - 1, NULL, 10);
    return -1;
}

/* Leaves of the answer what stands behind its header. */
static int unwrap(const struct talk *talk, struct buffer *answer, struct failure *why)
{
    char shown[64];
    buffer_add(answer, "", 1);
    if (answer->failed)
        return fail(talk, ENOMEM, why);
    answer->length--;
    char *end = strstr(answer->bytes, "\r\n\r\n");
    if (end == NULL || strncmp(answer->bytes, "HTTP/1.", 7) != 0)
        return failure_set(why, EX_PROTOCOL, "%s: not the answer of a status service",
                           talk->fetch->address);
    if (strncmp(answer->bytes + 8, " 200 ", 5) != 0) {
        size_t line = strcspn(answer->bytes, "\r\n");
        return failure_set(why, EX_UNAVAILABLE, "%s: %s", talk->fetch->address,
                           text_escape(answer->bytes, line, shown, sizeof shown));
    }
    size_t head = (size_t)(end - answer->bytes) + 4;
    long long length = find_length(answer->bytes, end);
    if (length >= 0 && (size_t)length != answer->length - head)
        return failure_set(why, EX_PROTOCOL, "%s: the answer is not whole", talk->fetch->address);
    answer->length -= head;
    memmove(answer->bytes, answer->bytes + head, answer->length + 1);
    return 0;
}

int fetch_page(const struct fetch *fetch, const char *target, struct buffer *body,
               struct failure *why)
{
    struct talk talk = { .fetch = fetch,
                         .deadline_ms = fetch->timeout_ms ? clock_ms() + fetch->timeout_ms : 0,
                         .fd = -1 };
    int result = reach(&talk, why);
    if (result == 0)
        result = ask(&talk, target, why);
    if (result == 0)
        result = hear(&talk, body, why);
    if (result == 0)
        result = unwrap(&talk, body, why);
    if (talk.fd >= 0)
        close(talk.fd);
    return result;
}
