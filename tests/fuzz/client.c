#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TAKEN_AT_ONCE = 65536 };

static struct client *present; /* NULL: nobody is served */
static int server_end = -1, client_end = -1;
static struct fuzz_part piece; /* what is left of the one being sent */
static struct fuzz_part script;
static bool half_closed;

ssize_t __real_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

static void leave(void)
{
    close(client_end);
    client_end = -1;
    present->gone = true;
}

/* Takes what has come. At the end of all, or where it has had enough, it is gone. */
static void take(void)
{
    static unsigned char bytes[TAKEN_AT_ONCE];
    ssize_t count;
    while (client_end >= 0 &&
           (count = __real_recv(client_end, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        present->got = realloc(present->got, present->got_size + (size_t)count);
        memcpy(present->got + present->got_size, bytes, (size_t)count);
        present->got_size += (size_t)count;
        if (present->takes > 0 && present->got_size >= present->takes)
            leave();
    }
}

static void send_more(void)
{
    int unread = 0;
    if (half_closed || ioctl(server_end, FIONREAD, &unread) < 0 || unread > 0)
        return;
    while (piece.size == 0 && fuzz_cut(&script, CLIENT_PIECE_END, &piece))
        if (present->drops && piece.size > 0 && piece.bytes[0] == CLIENT_DROPS) {
            leave();
            return;
        }
    if (piece.size > 0) {
        ssize_t sent = send(client_end, piece.bytes, piece.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        HOLDS(sent > 0);
        piece.bytes += sent;
        piece.size -= (size_t)sent;
    } else {
        shutdown(client_end, SHUT_WR);
        half_closed = true;
    }
}

static void act(int fd)
{
    if (present == NULL || fd != server_end)
        return;
    if (client_end >= 0)
        take();
    if (client_end >= 0)
        send_more();
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    act(fd);
    return __real_recv(fd, buffer, size, flags);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (count > 0)
        act(fds[0].fd);
    return __real_poll(fds, count, timeout);
}

void client_run(struct client *client, const struct service *service)
{
    const struct address address = { .kind = ADDRESS_SOCKET,
                                     .socket.any.sa_family = client->over_tcp ? AF_INET : AF_UNIX };
    struct board_session row;
    struct session_plan plan;
    int ends[2];

    HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    memset(&row, 0, sizeof(row));
    server_end = ends[0];
    client_end = ends[1];
    script = client->script;
    piece = (struct fuzz_part){ NULL, 0 };
    half_closed = false;
    present = client;
    session_plan(&plan, service, client->board);
    client->end = session_serve(ends[0], &address, &plan, &row, &client->counts);
    server_end = -1;
    if (client_end >= 0) {
        take();
        close(client_end);
    }
    present = NULL;
    HOLDS((unsigned int)client->end < SESSION_END_COUNT);
    HOLDS(row.activity == SESSION_CLOSING && row.bytes_in == client->counts.bytes_in &&
          row.bytes_out == client->counts.bytes_out && row.turns == client->counts.turns);
    HOLDS(client->gone || client->got_size == client->counts.bytes_out);
}
