#include "ctl/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/text.h"

/* The lines of an answer, cut out of what the socket gives. */
struct reader {
    int fd;
    char bytes[CONTROL_LINE_MAX];
    size_t start, end; /* what was received and not yet taken */
    char line[CONTROL_LINE_MAX];
};

static const char *advice(int error)
{
    if (error == ENOENT || error == ECONNREFUSED)
        return " (is forkechod running?)";
    return error == EACCES ? " (only root and the daemon's own user may ask)" : "";
}

/* Returns the socket or -1. The kernel's timeouts suffice: every step is one call. */
static int reach(const struct control *control, struct failure *why)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_sec = (time_t)(control->timeout_ms / 1000),
                             .tv_usec = (suseconds_t)(control->timeout_ms % 1000 * 1000) };
    size_t size = strlen(control->path);

    if (size >= sizeof address.sun_path)
        return failure_set(why, EX_USAGE, "%s: the path has %zu bytes, at most %zu are possible",
                           control->path, size, sizeof address.sun_path - 1);
    memcpy(address.sun_path, control->path, size + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failure_errno(why, EX_OSERR, errno, "a socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno == EAGAIN ? ETIMEDOUT : errno;
    close(fd);
    return failure_set(why, EX_UNAVAILABLE, "%s: %s%s", control->path, strerror(error),
                       advice(error));
}

/* A daemon that turns the client away answers before it has read the request, so that a request
 * which does not arrive is told by the answer. */
static void say(int fd, const char *request)
{
    char line[CONTROL_LINE_MAX];
    int size = snprintf(line, sizeof line, "%s\n", request);

    (void)!send(fd, line, (size_t)size, MSG_NOSIGNAL);
}

/* Takes the next line, cut where it is too long, with control bytes made visible. Returns it, NULL
 * at the end with errno 0, or NULL with errno. */
static const char *next_line(struct reader *reader)
{
    size_t size = 0;
    bool any = false;

    for (;;) {
        if (reader->start == reader->end) {
            ssize_t count = recv(reader->fd, reader->bytes, sizeof reader->bytes, 0);
            if (count < 0 && errno == EINTR)
                continue;
            /* With ECONNRESET a daemon closes that left our request unread: that is the end. */
            if (count < 0 && errno != ECONNRESET)
                return NULL;
            if (count <= 0)
                break;
            reader->start = 0;
            reader->end = (size_t)count;
        }
        unsigned char byte = (unsigned char)reader->bytes[reader->start++];
        any = true;
        if (byte == '\n')
            break;
        if (size < sizeof reader->line - 1)
            reader->line[size++] = (char)(byte < ' ' || byte == 0x7f ? '?' : byte);
    }
    errno = 0;
    reader->line[size] = '\0';
    return any ? reader->line : NULL;
}

/* Returns an enum control_verdict, or -1. */
static int judge(const char *line, struct failure *why)
{
    static const char error[] = "error: ";

    if (!strcmp(line, "ok"))
        return CONTROL_OK;
    if (!strcmp(line, "rejected"))
        return CONTROL_REJECTED;
    if (strncmp(line, error, sizeof error - 1) != 0)
        return failure_set(why, EX_PROTOCOL, "not the answer of a forkechod: \"%.60s\"", line);
    failure_set(why, EX_UNAVAILABLE, "%s", line + sizeof error - 1);
    return CONTROL_ERROR;
}

/* There is no line, and errno says why. */
static int give_up(const struct control *control, struct failure *why)
{
    char time[32];

    if (errno == EAGAIN)
        return failure_set(why, EX_UNAVAILABLE, "%s: no answer within %s", control->path,
                           text_format_duration(control->timeout_ms, time, sizeof time));
    if (errno)
        return failure_errno(why, EX_UNAVAILABLE, errno, "%s", control->path);
    return failure_set(why, EX_UNAVAILABLE, "%s: closed without an answer", control->path);
}

int control_ask(const struct control *control, const char *request, control_line *line,
                void *context, struct failure *why)
{
    struct reader reader = { .fd = reach(control, why) };
    const char *text;
    int verdict;

    if (reader.fd < 0)
        return -1;
    say(reader.fd, request);
    text = next_line(&reader);
    verdict = text ? judge(text, why) : give_up(control, why);
    if (verdict == CONTROL_OK || verdict == CONTROL_REJECTED) {
        line(context, (enum control_verdict)verdict, NULL);
        while ((text = next_line(&reader)))
            line(context, (enum control_verdict)verdict, text);
        if (errno)
            verdict = give_up(control, why);
    }
    close(reader.fd);
    return verdict;
}
