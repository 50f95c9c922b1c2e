#include "client/exchange.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "client/wait.h"

enum { CHUNK = 65536 };

/* Notes the first byte of this part of the answer that is not the one expected. */
static void compare(const unsigned char *message, size_t size, const unsigned char *part,
                    size_t count, struct exchange *out)
{
    size_t comparable = out->received < size ? size - out->received : 0;

    if (comparable > count)
        comparable = count;
    if (comparable == count && !memcmp(message + out->received, part, count))
        return;
    for (size_t i = 0; i < count; i++) {
        size_t at = out->received + i;
        if (i < comparable && part[i] == message[at])
            continue;
        out->differs_at = at;
        out->wanted = at < size ? message[at] : 0;
        out->came = part[i];
        return;
    }
}

/* Reads what is there. Returns 1 while more may come, 0 at the end of the stream, or -errno. */
static int receive(int fd, const unsigned char *message, size_t size, struct exchange *out)
{
    unsigned char part[CHUNK];
    ssize_t count = recv(fd, part, sizeof part, 0);

    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -errno;
    if (count == 0)
        return 0;
    if (out->differs_at == SIZE_MAX)
        compare(message, size, part, (size_t)count, out);
    out->received += (size_t)count;
    return 1;
}

/* Sends what the socket takes. Returns 0 or -errno; a peer that reads no more is told by what can
 * still be read from it. */
static int transmit(int fd, const unsigned char *message, size_t size, size_t *sent)
{
    ssize_t count = send(fd, message + *sent, size - *sent, MSG_NOSIGNAL);

    if (count >= 0)
        *sent += (size_t)count;
    else if (errno == EPIPE)
        *sent = size;
    else if (errno != EAGAIN && errno != EINTR)
        return -errno;
    return 0;
}

static enum exchange_end fail(struct exchange *out, int error)
{
    out->error = error;
    return EXCHANGE_FAILED;
}

enum exchange_end exchange_run(int fd, const unsigned char *message, size_t size,
                               uint64_t timeout_us, struct exchange *out)
{
    uint64_t start = clock_us(), deadline = wait_deadline(timeout_us);
    size_t sent = 0;
    int result;

    *out = (struct exchange){ .differs_at = SIZE_MAX };
    while (out->received < size) {
        if (sent < size && (result = transmit(fd, message, size, &sent)))
            return fail(out, -result);
        struct pollfd ready = { .fd = fd, .events = sent < size ? POLLIN | POLLOUT : POLLIN };
        result = wait_for(&ready, 1, deadline);
        if (result == 0)
            return EXCHANGE_LATE;
        if (result == -EINTR && wait_interrupted())
            return EXCHANGE_INTERRUPTED;
        if (result < 0 && result != -EINTR)
            return fail(out, -result);
        if (result < 0 || !(ready.revents & ~POLLOUT))
            continue;
        if ((result = receive(fd, message, size, out)) < 0)
            return fail(out, -result);
        if (result == 0)
            return EXCHANGE_CLOSED;
    }
    out->took_us = clock_us() - start;
    return out->differs_at == SIZE_MAX ? EXCHANGE_EQUAL : EXCHANGE_DIFFERENT;
}
