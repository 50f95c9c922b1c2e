#include "service/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    SLICES = 16,      /* looks at the send queue during a write's time limit */
    SHORTAGE_MS = 10, /* see stream_write */
    RESCUED = 1024
};

static enum session_end end_of(int error)
{
    switch (error) {
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case EIO: /* a terminal that was hung up */
        return SESSION_RESET;
    /* An expired keep-alive or TCP_USER_TIMEOUT, told by its cause where ICMP gave one (tcp(7)). */
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
        return SESSION_VANISHED;
    default:
        return SESSION_SYSTEM;
    }
}

static void finish(struct stream *stream, enum session_end end)
{
    stream->over = true;
    stream->end = end;
}

static void tell(struct stream *stream)
{
    if (stream->progress)
        stream->progress(stream);
}

/* Bytes that we have sent and the client's side has not yet taken; 0 where that is not known. */
static int unsent(const struct stream *stream)
{
    int count;
    return ioctl(stream->out, SIOCOUTQ, &count) < 0 ? 0 : count;
}

/* The socket's SO_RCVTIMEO or SO_SNDTIMEO in milliseconds; 0: none. */
static uint64_t time_limit(int fd, int option)
{
    struct timeval limit;
    socklen_t size = sizeof limit;

    if (getsockopt(fd, SOL_SOCKET, option, &limit, &size) < 0)
        return 0;
    return (uint64_t)limit.tv_sec * 1000 + (uint64_t)limit.tv_usec / 1000;
}

/* Waits as recv(2) does on a socket that blocks. */
static bool has_input(const struct stream *stream)
{
    struct pollfd input = { .fd = stream->in, .events = POLLIN };
    uint64_t limit = time_limit(stream->in, SO_RCVTIMEO);

    return poll(&input, 1, limit > 0 && limit < INT_MAX ? (int)limit : -1) > 0;
}

/* At the end of file, but also before a byte that was sent urgently, splice(2) moves nothing, and
 * goes on to do so: then recv(2) knows. */
static ssize_t receive_by_pipe(const struct stream *stream, size_t size)
{
    unsigned char bytes[RESCUED];

    for (;;) {
        ssize_t count = splice(stream->in, NULL, stream->pipe[1], NULL, size, 0);
        if (count > 0 || (count < 0 && errno != EAGAIN))
            return count;
        count = recv(stream->in, bytes, sizeof bytes, MSG_DONTWAIT);
        if (count > 0)
            return write(stream->pipe[1], bytes, (size_t)count);
        if (count == 0 || errno != EAGAIN || !has_input(stream))
            return count;
    }
}

__attribute__((hot)) static ssize_t receive(const struct stream *stream, void *buffer, size_t size,
                                            bool wait)
{
    struct pollfd input = { .fd = stream->in, .events = POLLIN };

    if (buffer == NULL)
        return receive_by_pipe(stream, size);

    if (stream->is_socket)
        return recv(stream->in, buffer, size, wait ? 0 : MSG_DONTWAIT);
    if (!wait && poll(&input, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return read(stream->in, buffer, size);
}

/* What both ways of reading do with what receive() returned, but for EINTR and EAGAIN. */
__attribute__((hot)) static size_t received(struct stream *stream, ssize_t count)
{
    if (count > 0) {
        stream->state = STREAM_WORKS;
        stream->bytes_in += (uint64_t)count;
        tell(stream);
        return (size_t)count;
    }
    if (count < 0) {
        finish(stream, end_of(errno));
    } else {
        stream->at_end = true;
        stream->end = SESSION_CLOSED;
    }
    return 0;
}

size_t stream_read(struct stream *stream, void *buffer, size_t size)
{
    int left = 0;

    if (stream->state != STREAM_READS) {
        stream->state = STREAM_READS;
        tell(stream);
    }
    while (!stream->over) {
        ssize_t count = receive(stream, buffer, size, true);
        if (count >= 0 || (errno != EINTR && errno != EAGAIN))
            return received(stream, count);
        if (errno == EINTR)
            continue;
        /* Bytes that wait to leave get one more period to do so. */
        int before = left;
        left = unsent(stream);
        if (left == before)
            finish(stream, SESSION_IDLE);
    }
    return 0;
}

bool stream_wait(struct stream *stream, uint64_t deadline_ms)
{
    struct pollfd input = { .fd = stream->in, .events = POLLIN };
    uint64_t now = clock_ms();

    for (; !stream->over && now < deadline_ms; now = clock_ms())
        if (poll(&input, 1, clock_until(now, deadline_ms, INT_MAX)) > 0)
            return true;
    return false;
}

void stream_discard(struct stream *stream)
{
    static unsigned char waste[STREAM_CHUNK];

    if (stream->over || stream->at_end)
        return;
    ssize_t count = receive(stream, waste, sizeof waste, false);
    if (count >= 0 || (errno != EINTR && errno != EAGAIN))
        received(stream, count);
}

static ssize_t put(const struct stream *stream, const void *bytes, size_t size)
{
    if (bytes == NULL)
        return splice(stream->pipe[0], NULL, stream->out, NULL, size, 0);
    if (stream->is_socket)
        return send(stream->out, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return write(stream->out, bytes, size);
}

/*
 * Waits until there is room for more bytes. A blocking send(2) would give up after SO_SNDTIMEO even
 * though the client takes bytes, if they are too few to make room; so the send queue is looked at.
 */
static void wait_for_room(struct stream *stream)
{
    uint64_t limit = time_limit(stream->out, SO_SNDTIMEO), deadline = clock_ms() + limit;
    int slice = limit ? (int)(limit / SLICES + 1) : -1;
    int left = unsent(stream);

    while (!stream->over) {
        bool listens = stream->discards && !stream->at_end;
        struct pollfd room = { .fd = stream->out };
        room.events = (short)(POLLOUT | (listens ? POLLIN : 0));
        int ready = poll(&room, 1, slice);
        if (ready > 0 && (room.revents & ~POLLIN))
            return;
        if (ready > 0)
            stream_discard(stream);
        int before = left;
        left = unsent(stream);
        if (left != before)
            deadline = clock_ms() + limit;
        else if (limit && clock_ms() >= deadline)
            finish(stream, SESSION_STALLED);
    }
}

bool stream_write(struct stream *stream, const void *bytes, size_t size)
{
    const unsigned char *next = bytes;
    bool waited = false;

    while (size > 0 && !stream->over) {
        ssize_t count = put(stream, next, size);
        if (count > 0) {
            next = next ? next + count : NULL;
            size -= (size_t)count;
            stream->bytes_out += (uint64_t)count;
            waited = false;
        } else if (errno == EAGAIN) {
            /* No room in a socket that poll(2) had called ready: the kernel as a whole is short of
             * memory for sockets, and says so without waiting. */
            if (waited)
                stream_pause(SHORTAGE_MS);
            stream->state = STREAM_WRITES;
            waited = true;
            tell(stream);
            wait_for_room(stream);
            stream->state = STREAM_WORKS;
        } else if (errno != EINTR) {
            finish(stream, end_of(errno));
        }
    }
    stream->turns += !stream->over;
    tell(stream);
    return !stream->over;
}

bool stream_use_pipe(struct stream *stream)
{
    int flags = fcntl(stream->in, F_GETFL);

    return stream->is_socket && flags >= 0 && pipe2(stream->pipe, O_CLOEXEC) == 0 &&
           fcntl(stream->in, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* RFC 1122, 4.2.2.13: a close with input unread is answered by a reset, and a reset may overtake
 * what the client has not read yet. */
static void linger(int fd, uint64_t linger_ms)
{
    unsigned char waste[4096];
    uint64_t deadline = clock_ms() + linger_ms;
    size_t drained = 0;

    shutdown(fd, SHUT_WR);
    while (drained < STREAM_LINGER_BYTES) {
        ssize_t count = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
        if (count > 0) {
            drained += (size_t)count;
        } else if (count < 0 && errno == EAGAIN) {
            struct pollfd input = { .fd = fd, .events = POLLIN };
            if (!poll(&input, 1, clock_until(clock_ms(), deadline, INT_MAX)))
                return;
        } else if (count == 0 || errno != EINTR) {
            return;
        }
    }
}

void stream_close(struct stream *stream, uint64_t linger_ms)
{
    /* After end of file there is nothing left to read: the plain close is clean. And who takes no
     * byte has no answer to lose. */
    if (stream->is_socket && !stream->at_end && stream->end != SESSION_STALLED)
        linger(stream->in, linger_ms);
    if (stream->pipe[1] > 0) {
        close(stream->pipe[0]);
        close(stream->pipe[1]);
    }
    close(stream->in);
    if (stream->out != stream->in)
        close(stream->out);
}

void stream_pause(uint64_t milliseconds)
{
    uint64_t now = clock_ms(), end = now + milliseconds;

    for (; now < end; now = clock_ms())
        poll(NULL, 0, clock_until(now, end, INT_MAX));
}

void stream_delay(struct stream *stream, uint64_t milliseconds)
{
    stream->state = STREAM_DELAYS;
    tell(stream);
    stream_pause(milliseconds);
    stream->state = STREAM_WORKS;
    tell(stream);
}
