#include "log/sinks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

enum { RETRY_MS = 1000 };

/* Writes what poll(2) says there is room for: a pipe that can be written takes at least PIPE_BUF
 * bytes at once, which is more than a line. */
static int write_stderr(struct sink *sink, int fd, const char *bytes, size_t size)
{
    struct pollfd ready = { .fd = fd, .events = POLLOUT };
    struct iovec parts[] = {
        { .iov_base = (char[]){ '\n' }, .iov_len = sink->torn },
        { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size },
    };

    if (poll(&ready, 1, 0) != 1)
        return -EAGAIN;
    if (ready.revents != POLLOUT) /* nobody reads any more: writing would raise SIGPIPE */
        return -EPIPE;
    ssize_t count = writev(fd, parts, 2);
    if (count < 0)
        return -errno;
    bool whole = (size_t)count == size + sink->torn;
    if (count)
        sink->torn = !whole;
    return whole ? 0 : -ENOSPC;
}

/* A terminal can have room for one byte only, and a write of a line would wait for the rest. A
 * description of our own can be non-blocking; the shared one belongs to the shell too. */
static int open_stderr(void)
{
    int fd = isatty(STDERR_FILENO)
                 ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
                 : -1;
    return fd < 0 ? STDERR_FILENO : fd;
}

static int connect_socket(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd, error;

    if (strlen(path) >= sizeof name.sun_path)
        return -ENAMETOOLONG;
    memcpy(name.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (!connect(fd, (const struct sockaddr *)&name, sizeof name))
        return fd;
    error = errno;
    close(fd);
    return -error;
}

static void tell_lost(struct sink *sink, int error)
{
    char text[256];
    int size = snprintf(text, sizeof text,
                        "forkechod: warning: cannot reach the log at %s: %s (lines wait until it "
                        "is back; those without room are counted)\n",
                        sink->path, strerror(error));

    if (!sink->told && size > 0 && (size_t)size < sizeof text)
        sink->told = !write_stderr(sink, STDERR_FILENO, text, (size_t)size);
}

void sink_retry(struct sink *sink, uint64_t now_ms)
{
    if (sink->fd >= 0 || now_ms < sink->retry_ms)
        return;
    int fd = connect_socket(sink->path);
    if (fd < 0) {
        sink->retry_ms = now_ms + RETRY_MS;
        tell_lost(sink, -fd);
        return;
    }
    sink->fd = fd;
    sink->told = false;
}

void sink_open(struct sink *sink, enum log_sink kind, const char *path)
{
    *sink = (struct sink){ .kind = kind, .path = path, .fd = -1 };
    if (kind == LOG_SINK_STDERR)
        sink->fd = open_stderr();
    else
        sink_retry(sink, clock_ms());
}

void sink_close(struct sink *sink)
{
    if (sink->fd > STDERR_FILENO)
        close(sink->fd);
    sink->fd = -1;
}

static int send_datagram(struct sink *sink, const char *bytes, size_t size)
{
    if (sink->fd < 0)
        return -ENOTCONN;
    return send(sink->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int sink_write(struct sink *sink, const char *bytes, size_t size, uint64_t now_ms)
{
    if (sink->kind == LOG_SINK_STDERR)
        return write_stderr(sink, sink->fd, bytes, size);
    sink_retry(sink, now_ms);
    int result = send_datagram(sink, bytes, size);
    if (!result || result == -EAGAIN || result == -EINTR || result == -ENOBUFS ||
        result == -ENOMEM || result == -EMSGSIZE)
        return result;
    /* The log daemon is gone, or was replaced: then this line need not be lost. */
    sink_close(sink);
    sink_retry(sink, now_ms);
    return send_datagram(sink, bytes, size);
}
