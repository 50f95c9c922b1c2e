#include "client/relay.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/text.h"
#include "client/screen.h"
#include "client/wait.h"

enum { CHUNK = 65536 };

struct relay {
    const struct options *options;
    const struct peer *peer;
    int fd;
    int input;           /* -1 once it has ended */
    const char *pending; /* read and not yet sent */
    size_t pending_size;
    bool told_end;  /* the server knows that nothing more comes */
    bool cut;       /* the server took no more, or sent its end, before everything was sent */
    bool taken_any; /* something was sent */
    bool answered;  /* something came back */
    struct failure why;
    struct screen screen;
    char buffer[CHUNK];
};

/* Each step returns 0 to go on, 1 at a good end, -1 with `why` at a bad one. */
static int read_input(struct relay *relay)
{
    ssize_t count = read(relay->input, relay->buffer, sizeof relay->buffer);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (count < 0)
        return failure_errno(&relay->why, EX_IOERR, errno, "standard input");
    if (count == 0)
        relay->input = -1;
    relay->pending = relay->buffer;
    relay->pending_size = (size_t)count;
    return 0;
}

static int send_pending(struct relay *relay)
{
    ssize_t count = send(relay->fd, relay->pending, relay->pending_size, MSG_NOSIGNAL);

    if (count >= 0) {
        relay->pending += count;
        relay->pending_size -= (size_t)count;
        relay->taken_any = true;
        return 0;
    }
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    if (errno != EPIPE && errno != ECONNRESET)
        return failure_errno(&relay->why, EX_IOERR, errno, "%s", relay->peer->name);
    /* What the server said before it left is still to be read. */
    relay->cut = true;
    relay->pending_size = 0;
    relay->input = -1;
    return 0;
}

/* The server has closed: true when there is input that it did not wait for. */
static bool has_more(struct relay *relay)
{
    struct pollfd ready = { .fd = relay->input, .events = POLLIN };

    if (relay->pending_size)
        return true;
    if (relay->input < 0 || poll(&ready, 1, 0) <= 0)
        return false;
    return read(relay->input, relay->buffer, sizeof relay->buffer) > 0;
}

static int time_out(struct relay *relay)
{
    const char *name = relay->peer->name;
    char time[32];

    text_format_duration(relay->options->timeout_us / 1000, time, sizeof time);
    if (!relay->answered)
        return failure_set(&relay->why, EX_IOERR, "%s: no answer within %s", name, time);
    if (relay->pending_size)
        return failure_set(&relay->why, EX_IOERR, "%s: took no more input for %s", name, time);
    if (relay->options->mode != MODE_MESSAGE)
        return failure_set(&relay->why, EX_IOERR, "%s: no end of the answers within %s", name,
                           time);
    return 1; /* one message and its answer: a server need not close behind it */
}

/* The server has closed. Returns 1 when it had answered what there was, else -1. */
static int judge(struct relay *relay)
{
    const char *name = relay->peer->name;

    if (relay->cut || has_more(relay))
        return failure_set(&relay->why, EX_IOERR,
                           "%s: closed the connection before everything was sent", name);
    if (relay->taken_any && !relay->answered)
        return failure_set(&relay->why, EX_IOERR, "%s: closed the connection without an answer",
                           name);
    return 1;
}

static int read_answer(struct relay *relay)
{
    char answer[CHUNK];
    ssize_t count = recv(relay->fd, answer, sizeof answer, 0);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (count < 0)
        return failure_errno(&relay->why, EX_IOERR, errno, "%s", relay->peer->name);
    if (count == 0)
        return judge(relay);
    relay->answered = true;
    int result = screen_write(&relay->screen, answer, (size_t)count);
    if (result < 0)
        return failure_errno(&relay->why, EX_IOERR, -result, "standard output");
    return 0;
}

/* Waits for whatever can go on, and does it. */
static int step(struct relay *relay)
{
    bool sending = relay->pending_size > 0;
    struct pollfd fds[] = {
        { .fd = relay->fd, .events = sending ? POLLIN | POLLOUT : POLLIN },
        { .fd = sending ? -1 : relay->input, .events = POLLIN },
    };
    /* Whoever writes into the pipe may take all the time he wants; the server may not. */
    uint64_t deadline = sending || relay->input < 0 ? wait_deadline(relay->options->timeout_us) : 0;

    if (!sending && relay->input < 0 && !relay->told_end) {
        shutdown(relay->fd, SHUT_WR);
        relay->told_end = true;
    }
    int result = wait_for(fds, 2, deadline);
    if (result == 0)
        return time_out(relay);
    result = 0;
    if (fds[0].revents & POLLOUT)
        result = send_pending(relay);
    if (!result && fds[1].revents)
        result = read_input(relay);
    if (!result && fds[0].revents & ~POLLOUT)
        result = read_answer(relay);
    return result;
}

/* Returns the exit status. */
static int run(struct relay *relay)
{
    int result;

    screen_init(&relay->screen);
    do
        result = step(relay);
    while (result == 0);
    screen_end(&relay->screen);
    if (result < 0)
        warnx("%s", relay->why.text);
    close(relay->fd);
    return result < 0 ? 1 : 0;
}

int relay_input(const struct options *options, const struct peer *peer, int fd)
{
    struct relay relay = { .options = options, .peer = peer, .fd = fd, .input = STDIN_FILENO };

    return run(&relay);
}

int relay_message(const struct options *options, const struct peer *peer, int fd)
{
    struct relay relay = {
        .options = options,
        .peer = peer,
        .fd = fd,
        .input = -1,
        .pending = options->message,
        .pending_size = strlen(options->message),
    };

    return run(&relay);
}
