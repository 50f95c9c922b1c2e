/* Any lines to the control socket: each is a client of its own, which sends it in pieces. It gets
 * an answer, or waits for something that will be; and what it gets is lines that can be shown. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "household.h"

enum { PIECE_END = 0x1e, ANSWER_MAX = 1 << 20 };

/* Requests, and how many arguments each has. */
static const struct {
    const char *name;
    size_t least, most;
} requests[] = {
    { "reload", 0, 0 }, { "upgrade", 0, 0 },     { "pause", 1, 1 },       { "resume", 1, 1 },
    { "drain", 0, 1 },  { "scale", 2, 2 },       { "kill", 1, SIZE_MAX }, { "log", 1, 1 },
    { "check", 0, 0 },  { "kill-client", 1, 1 },
};

/* Whether it can be anything but an error. */
static bool is_request(struct fuzz_part line)
{
    char text[CONTROL_REQUEST_MAX], *rest = NULL;
    size_t length = 0, arguments = 0;
    for (size_t i = 0; i < line.size && length < sizeof(text) - 1; i++)
        if (line.bytes[i] != PIECE_END)
            text[length++] = (char)line.bytes[i];
    text[length] = '\0';
    const char *name = strtok_r(text, " ", &rest);
    while (strtok_r(NULL, " ", &rest) != NULL)
        arguments++;
    for (size_t i = 0; name != NULL && i < sizeof(requests) / sizeof(requests[0]); i++)
        if (strcmp(requests[i].name, name) == 0)
            return arguments >= requests[i].least && arguments <= requests[i].most;
    return false;
}

static void check_answer(const char *answer, size_t size)
{
    static const char *const first[] = { "ok\n", "rejected\n", "error: " };
    bool known = false;
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        known |= strncmp(answer, first[i], strlen(first[i])) == 0;
    HOLDS(known && answer[size - 1] == '\n');
    for (size_t i = 0, step; i < size; i += step) {
        step = text_utf8(answer + i, size - i);
        HOLDS(step > 0 && ((unsigned char)answer[i] >= ' ' || answer[i] == '\n'));
    }
}

/* Whether it waits for what it may wait for, with nothing said yet. */
static void check_waiting(const struct master *master, const struct control_client *client,
                          size_t size)
{
    HOLDS(size == 0);
    switch (client->waits) {
    case WAIT_TURN:
    case WAIT_AUDIT:
        return;
    case WAIT_RELOAD:
        HOLDS(master->reload.wanted);
        return;
    case WAIT_UPGRADE:
        HOLDS(master->upgrade.wanted);
        return;
    default:
        HOLDS(client->waits == WAIT_REQUEST);
    }
}

static void dispatch(struct master *master, const struct control_client *client)
{
    struct pollfd fd = { .fd = client->fd, .revents = POLLIN };
    control_dispatch(master, &fd, 1);
}

static void ask(struct master *master, struct fuzz_part line, bool whole)
{
    static char answer[ANSWER_MAX + 1];
    struct control_client *client = &master->control.clients[0];
    struct fuzz_part asked = line, piece;
    int ends[2];

    HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    *client = (struct control_client){ .fd = ends[0], .deadline_ms = master->now_ms };
    while (client->fd >= 0 && fuzz_cut(&line, PIECE_END, &piece)) {
        if (send(ends[1], piece.bytes, piece.size, MSG_NOSIGNAL) > 0)
            dispatch(master, client);
    }
    if (client->fd >= 0 && whole && send(ends[1], "\n", 1, MSG_NOSIGNAL) > 0)
        while (client->fd >= 0 && client->waits == WAIT_REQUEST)
            dispatch(master, client);
    ssize_t size = recv(ends[1], answer, ANSWER_MAX, 0);
    size = size < 0 ? 0 : size;
    answer[size] = '\0';
    if (size > 0)
        check_answer(answer, (size_t)size);
    HOLDS(!whole || is_request(asked) || strncmp(answer, "error: ", 7) == 0);
    HOLDS(client->fd >= 0 || size > 0);
    if (client->fd >= 0) {
        HOLDS(!whole || client->waits != WAIT_REQUEST);
        check_waiting(master, client, (size_t)size);
        control_hang_up(client);
    }
    close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_part rest = { bytes, size }, line;
    struct house house;

    house_build(&house);
    while (fuzz_cut(&rest, '\n', &line)) {
        ask(house.master, line, line.bytes + line.size < bytes + size);
        house.master->now_ms += 10;
    }
    house_end(&house);
    return 0;
}
