#include "client/talk.h"

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/editor.h"
#include "client/screen.h"
#include "client/wait.h"

/* An answer without a newline is taken for whole when nothing came for so long. */
enum { QUIET_US = 200000, CHUNK = 65536 };

struct talk {
    const struct options *options;
    const struct peer *peer;
    int fd;
    struct editor *editor;
    struct screen screen;
    bool closed;     /* by the server, or broken */
    bool lost;       /* a line had no answer */
    size_t received; /* bytes since the last line was sent */
    bool ended_line; /* the last of them was a newline */
};

/* Prints what has come. Returns 0, or -1 when there is no more to come. */
static int print_answer(struct talk *talk)
{
    char answer[CHUNK];
    ssize_t count = recv(talk->fd, answer, sizeof answer, 0);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (count > 0) {
        talk->received += (size_t)count;
        talk->ended_line = answer[count - 1] == '\n';
        return screen_write(&talk->screen, answer, (size_t)count) ? -1 : 0;
    }
    screen_end(&talk->screen);
    talk->closed = true;
    if (count < 0)
        warn("%s", talk->peer->name);
    else
        warnx("%s: closed the connection", talk->peer->name);
    return -1;
}

/* The server speaks while the user types. */
static int interrupt_typing(void *context)
{
    struct talk *talk = context;

    editor_clear(talk->editor);
    int result = print_answer(talk);
    screen_end(&talk->screen);
    return result;
}

/* Returns 0, or -1 when the connection is lost or the user lost patience. */
static int send_line(struct talk *talk, const char *line, size_t size)
{
    uint64_t deadline = wait_deadline(talk->options->timeout_us);

    while (size) {
        struct pollfd room = { .fd = talk->fd, .events = POLLOUT };
        ssize_t count = send(talk->fd, line, size, MSG_NOSIGNAL);
        if (count >= 0) {
            line += count;
            size -= (size_t)count;
        } else if (errno != EAGAIN && errno != EINTR) {
            warn("%s", talk->peer->name);
            talk->closed = true;
            return -1;
        } else if (wait_for(&room, 1, deadline) == 0 || wait_interrupted()) {
            warnx("%s: takes no more input", talk->peer->name);
            return -1;
        }
    }
    return 0;
}

/* Prints the answer to a line of `size` bytes: until it has as many and ends with a newline, or
 * until it pauses. What comes later is printed while the user types. Returns 0 or -1 as above. */
static int await_answer(struct talk *talk, size_t size)
{
    uint64_t deadline = wait_deadline(talk->options->timeout_us);
    char time[32];

    talk->received = 0;
    talk->ended_line = false;
    while (talk->received < size || !talk->ended_line) {
        struct pollfd ready = { .fd = talk->fd, .events = POLLIN };
        int result = wait_for(&ready, 1, talk->received ? clock_us() + QUIET_US : deadline);
        if (wait_interrupted())
            return -1;
        if (result == 0)
            break;
        if (result > 0 && print_answer(talk))
            return -1;
    }
    screen_end(&talk->screen);
    if (!talk->received)
        warnx("%s: no answer within %s", talk->peer->name,
              text_format_duration(talk->options->timeout_us / 1000, time, sizeof time));
    return 0;
}

/* Until the user or the server ends it. */
static void converse(struct talk *talk)
{
    const char *line;
    size_t size;
    int result = 0;

    while (!result && !talk->closed && (line = editor_line(talk->editor, &size))) {
        if (size == 5 && !memcmp(line, "quit\n", 5))
            break;
        talk->received = 0;
        result = send_line(talk, line, size);
        if (!result)
            result = await_answer(talk, size);
        talk->lost |= !talk->received;
    }
}

int talk_run(const struct options *options, const struct peer *peer, int fd)
{
    static const int signals[] = { SIGINT, SIGWINCH, SIGCONT, 0 };
    struct talk talk = { .options = options, .peer = peer, .fd = fd };

    screen_init(&talk.screen);
    wait_record(signals);
    talk.editor = editor_open(fd, interrupt_typing, &talk);
    if (!talk.editor)
        err(1, "the line editor");
    printf("Connected to %s. `quit` or Ctrl-D ends.\n", peer->name);
    fflush(stdout);
    converse(&talk);
    editor_close(talk.editor);
    close(fd);
    return talk.lost ? 1 : 0;
}
