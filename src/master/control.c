#include "master/state.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "log/log.h"

/* The protocol: the client sends one line, gets lines, and the connection closes. The first line of
 * the answer is `ok`, `rejected` or `error: why`. */

enum { REQUEST_LIMIT_MS = 2000, REST_MS = 1000, BACKLOG = 16, ANSWER_ROOM = 1 << 20 };

void control_init(struct master *master)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        master->control.clients[i].fd = -1;
    master->control.fd = -1;
}

int control_open(struct master *master, const char *path, struct failure *why)
{
    struct socket_settings settings = { .backlog = BACKLOG,
                                        .socket_mode = 0600,
                                        .bind_to_device = "",
                                        .socket_user = "",
                                        .socket_group = "" };
    char text[OPTION_TEXT_MAX + sizeof("unix:")];
    struct address addresses[2];
    const char *hint;

    if (path[0] == '\0')
        return 0;
    snprintf(text, sizeof(text), "unix:%s", path);
    if (address_parse(text, addresses, &hint) < 0)
        return failure_set(why, EX_CONFIG, "control_socket %s: %s", path, hint);
    master->control.fd = sockets_listen(&addresses[0], &settings, why);
    master->control.address = addresses[0];
    return master->control.fd < 0 ? -1 : 0;
}

void control_hang_up(struct control_client *client)
{
    close(client->fd);
    *client = (struct control_client){ .fd = -1 };
}

void control_close(struct master *master)
{
    struct control *control = &master->control;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->clients[i].fd >= 0)
            control_hang_up(&control->clients[i]);
    if (control->fd < 0)
        return;
    store_remove_file(control->fd, &control->address);
    close(control->fd);
    control->fd = -1;
}

size_t control_collect(const struct master *master, struct pollfd *fds)
{
    const struct control *control = &master->control;
    size_t count = 0;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct control_client *client = &control->clients[i];
        /* Of one that has asked, only its end is of interest. */
        if (client->fd >= 0)
            fds[count++] = (struct pollfd){ .fd = client->fd,
                                            .events = client->waits == WAIT_REQUEST ? POLLIN : 0 };
    }
    /* Without a place the next client waits in the queue. */
    if (control->fd >= 0 && count < CONTROL_CLIENTS_MAX && master->now_ms >= control->rest_until_ms)
        fds[count++] = (struct pollfd){ .fd = control->fd, .events = POLLIN };
    return count;
}

void control_say(const struct control_client *client, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    size_t size = (size_t)length < sizeof(line) - 1 ? (size_t)length : sizeof(line) - 2;
    line[size++] = '\n';
    (void)!send(client->fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Answers all who wait for this, up to the one of that number. */
static void answer(struct master *master, enum control_wait what, uint64_t number, bool accepted,
                   const struct conf_mistakes *mistakes, const char *reason)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &master->control.clients[i];
        if (client->fd < 0 || client->waits != what || client->number > number)
            continue;
        control_say(client, accepted ? "ok" : "rejected");
        if (reason != NULL)
            control_say(client, "%s", reason);
        for (size_t j = 0; j < mistakes->count; j++)
            if (reason == NULL || strcmp(reason, mistakes->lines[j]) != 0)
                control_say(client, "%s", mistakes->lines[j]);
        control_hang_up(client);
    }
}

void control_answer(struct master *master, bool accepted, const struct conf_mistakes *mistakes,
                    const char *reason)
{
    answer(master, WAIT_RELOAD, master->reload.number, accepted, mistakes, reason);
}

void control_refuse_upgrade(struct master *master, const struct conf_mistakes *lines,
                            const char *reason)
{
    answer(master, WAIT_UPGRADE, master->upgrade.number, false, lines, reason);
}

static void obey(struct master *master, struct control_client *client)
{
    client->waits = requests_obey(master, client);
    if (client->waits == WAIT_NOTHING)
        control_hang_up(client);
}

static void log_request(const struct control_client *client)
{
    struct log_details details = LOG_DETAILS_NONE;
    char shown[128];
    details.pid = client->peer.pid;
    log_event(EVENT_CONTROL, &details, "%s",
              text_escape(client->line, client->length, shown, sizeof(shown)));
}

static void read_request(struct master *master, struct control_client *client)
{
    size_t room = sizeof(client->line) - client->length;
    ssize_t got = recv(client->fd, client->line + client->length, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        control_hang_up(client);
        return;
    }
    client->length += (size_t)got;
    char *end = memchr(client->line, '\n', client->length);
    if (end != NULL) {
        *end = '\0';
        client->length = (size_t)(end - client->line);
        log_request(client);
        obey(master, client);
    } else if (client->length == sizeof(client->line)) {
        control_say(client, "error: the request is longer than %zu bytes",
                    sizeof(client->line) - 1);
        control_hang_up(client);
    }
}

static bool may_ask(struct control_client *client)
{
    socklen_t size = sizeof(client->peer);
    return getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &size) == 0 &&
           (client->peer.uid == 0 || client->peer.uid == geteuid());
}

static void accept_client(struct master *master)
{
    struct control_client *place = NULL;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (master->control.clients[i].fd < 0)
            place = &master->control.clients[i];
    if (place == NULL)
        return;
    int fd = accept4(master->control.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) { /* out of descriptors, most likely: poll(2) would come back at once, for ever */
        master->control.rest_until_ms = master->now_ms + REST_MS;
        return;
    }
    /* So that a long list of mistakes finds room at once. */
    int room = ANSWER_ROOM;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    *place = (struct control_client){ .fd = fd, .deadline_ms = master->now_ms + REQUEST_LIMIT_MS };
    if (!may_ask(place)) {
        control_say(place, "error: only root and the daemon's own user may ask");
        control_hang_up(place);
    }
}

static bool is_ready(const struct pollfd *fds, size_t count, int fd)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i].fd == fd)
            return fds[i].revents != 0;
    return false;
}

void control_dispatch(struct master *master, const struct pollfd *fds, size_t count)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &master->control.clients[i];
        if (!is_ready(fds, count, client->fd))
            continue;
        if (client->waits == WAIT_REQUEST)
            read_request(master, client);
        else
            control_hang_up(client);
    }
    if (is_ready(fds, count, master->control.fd))
        accept_client(master);
}

void control_expire(struct master *master)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &master->control.clients[i];
        if (client->fd < 0 || client->waits != WAIT_REQUEST || master->now_ms < client->deadline_ms)
            continue;
        control_say(client, "error: no request within %d s", REQUEST_LIMIT_MS / 1000);
        control_hang_up(client);
    }
}

bool control_is_waiting(const struct master *master)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (master->control.clients[i].fd >= 0 && master->control.clients[i].waits == WAIT_TURN)
            return true;
    return false;
}

void control_go_on(struct master *master)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &master->control.clients[i];
        if (client->fd >= 0 && client->waits == WAIT_TURN)
            obey(master, client);
    }
}

bool control_is_quiet(const struct control *control)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct control_client *client = &control->clients[i];
        if (client->fd >= 0 && (client->waits == WAIT_TURN || client->waits == WAIT_AUDIT ||
                                (client->waits == WAIT_REQUEST && client->length > 0)))
            return false;
    }
    return true;
}

void control_leave(const struct control *control, struct heritage *heritage)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct control_client *client = &control->clients[i];
        int64_t number = (int64_t)client->number;
        if (client->fd >= 0)
            heritage->clients[heritage->client_count++] =
                (struct heritage_client){ .fd = client->fd,
                                          .reload = client->waits == WAIT_RELOAD ? number : 0,
                                          .upgrade = client->waits == WAIT_UPGRADE ? number : 0 };
    }
}

/* A client of the program before this one. */
static void take_client(struct master *master, struct control_client *to,
                        const struct heritage_client *from, int64_t upgrades)
{
    *to = (struct control_client){ .fd = (int)from->fd,
                                   .deadline_ms = master->now_ms + REQUEST_LIMIT_MS };
    if (from->upgrade > upgrades) {
        to->waits = WAIT_UPGRADE;
        to->number = (uint64_t)from->upgrade;
    } else if (from->upgrade > 0) {
        /* This program is what it waited for, and its first reload the last step. */
        to->waits = WAIT_RELOAD;
        to->number = master->reload.number + 1;
    } else if (from->reload > 0) {
        to->waits = WAIT_RELOAD;
        to->number = (uint64_t)from->reload;
    }
    if (!may_ask(to))
        control_hang_up(to);
}

int control_take(struct master *master, const struct heritage *heritage, struct failure *why)
{
    struct control *control = &master->control;
    control->fd = (int)heritage->process.control_socket;
    if (control->fd >= 0 && sockets_adopt(control->fd, &control->address, why) < 0)
        return -1;
    /* More than there can be have to ask again. */
    for (size_t i = 0; i < heritage->client_count && i < CONTROL_CLIENTS_MAX; i++)
        take_client(master, &control->clients[i], &heritage->clients[i],
                    heritage->process.upgrades);
    return 0;
}
