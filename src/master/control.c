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
    sockets_unlink(control->fd, &control->address);
    close(control->fd);
    control->fd = -1;
}

static bool awaits_request(const struct control_client *client)
{
    return client->reload == 0 && client->upgrade == 0 && client->audits == 0;
}

size_t control_collect(const struct master *master, struct pollfd *fds)
{
    const struct control *control = &master->control;
    size_t count = 0;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct control_client *client = &control->clients[i];
        /* Of one that has asked, only its end is of interest. */
        if (client->fd >= 0)
            fds[count++] =
                (struct pollfd){ .fd = client->fd, .events = awaits_request(client) ? POLLIN : 0 };
    }
    /* Without a place the next client waits in the queue. */
    if (control->fd >= 0 && count < CONTROL_CLIENTS_MAX && master->now_ms >= control->rest_until_ms)
        fds[count++] = (struct pollfd){ .fd = control->fd, .events = POLLIN };
    return count;
}

void control_say(struct control_client *client, const char *format, ...)
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

static void answer(struct control_client *client, bool accepted,
                   const struct conf_mistakes *mistakes, const char *reason)
{
    control_say(client, accepted ? "ok" : "rejected");
    if (reason != NULL)
        control_say(client, "%s", reason);
    for (size_t i = 0; i < mistakes->count; i++)
        if (reason == NULL || strcmp(reason, mistakes->lines[i]) != 0)
            control_say(client, "%s", mistakes->lines[i]);
    control_hang_up(client);
}

void control_refuse_upgrade(struct master *master, const struct conf_mistakes *lines,
                            const char *reason)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &master->control.clients[i];
        if (client->fd >= 0 && client->upgrade != 0 && client->upgrade <= master->upgrade.number)
            answer(client, false, lines, reason);
    }
}

void control_answer(struct master *master, bool accepted, const struct conf_mistakes *mistakes,
                    const char *reason)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &master->control.clients[i];
        if (client->fd >= 0 && client->reload != 0 && client->reload <= master->reload.number)
            answer(client, accepted, mistakes, reason);
    }
}

/* Who asked for what. */
static void log_request(const struct control_client *client)
{
    struct log_details details = LOG_DETAILS_NONE;
    struct ucred peer = { 0 };
    socklen_t size = sizeof(peer);
    char shown[128];
    getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    text_escape(client->line, strlen(client->line), shown, sizeof(shown));
    details.pid = peer.pid;
    log_event(EVENT_CONTROL, &details, "%s", shown);
}

static void read_request(struct master *master, struct control_client *client)
{
    size_t room = sizeof(client->line) - 1 - client->length;
    ssize_t got = recv(client->fd, client->line + client->length, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        control_hang_up(client);
        return;
    }
    client->length += (size_t)got;
    client->line[client->length] = '\0';
    char *end = strchr(client->line, '\n');
    if (end != NULL) {
        *end = '\0';
        log_request(client);
        requests_obey(master, client);
    } else if (client->length == sizeof(client->line) - 1) {
        control_say(client, "error: the request is longer than %zu bytes",
                    sizeof(client->line) - 1);
        control_hang_up(client);
    }
}

static bool may_ask(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
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
    if (!may_ask(fd)) {
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
        if (awaits_request(client))
            read_request(master, client);
        else
            control_hang_up(client);
    }
    if (is_ready(fds, count, master->control.fd))
        accept_client(master);
}

uint64_t control_next_ms(const struct master *master)
{
    uint64_t next = 0;
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct control_client *client = &master->control.clients[i];
        if (client->fd >= 0 && client->audits > 0 && (next == 0 || client->audit_ms < next))
            next = client->audit_ms;
    }
    return next;
}

void control_expire(struct master *master)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &master->control.clients[i];
        if (client->fd >= 0)
            audit_due(master, client);
        if (client->fd < 0 || client->deadline_ms == 0 || master->now_ms < client->deadline_ms)
            continue;
        control_say(client, "error: no request within %d s", REQUEST_LIMIT_MS / 1000);
        control_hang_up(client);
    }
}

bool control_is_quiet(const struct control *control)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->clients[i].fd >= 0 &&
            (control->clients[i].audits > 0 ||
             (awaits_request(&control->clients[i]) && control->clients[i].length > 0)))
            return false;
    return true;
}

void control_leave(const struct control *control, struct heritage *heritage)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct control_client *client = &control->clients[i];
        if (client->fd >= 0)
            heritage->clients[heritage->client_count++] =
                (struct heritage_client){ .fd = client->fd,
                                          .reload = (int64_t)client->reload,
                                          .upgrade = (int64_t)client->upgrade };
    }
}

int control_take(struct master *master, const struct heritage *heritage, struct failure *why)
{
    struct control *control = &master->control;
    control->fd = (int)heritage->process.control_socket;
    if (control->fd >= 0 && sockets_adopt(control->fd, &control->address, why) < 0)
        return -1;
    for (size_t i = 0; i < heritage->client_count; i++) {
        const struct heritage_client *from = &heritage->clients[i];
        struct control_client *to = &control->clients[i % CONTROL_CLIENTS_MAX];
        if (to->fd >= 0)
            continue; /* more than there can be: they have to ask again */
        *to = (struct control_client){ .fd = (int)from->fd,
                                       .reload = (uint64_t)from->reload,
                                       .upgrade = (uint64_t)from->upgrade };
        /* This program is the upgrade that it waited for, and its first reload the last step. */
        if (to->upgrade != 0 && from->upgrade <= heritage->process.upgrades) {
            to->upgrade = 0;
            to->reload = master->reload.number + 1;
        }
        if (awaits_request(to))
            to->deadline_ms = master->now_ms + REQUEST_LIMIT_MS;
    }
    return 0;
}
