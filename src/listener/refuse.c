#include "listener/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void release(struct listener *listener, unsigned int index)
{
    close(listener->refused[index].fd);
    listener->refused[index] = listener->refused[--listener->refused_count];
}

void refuse_client(struct listener *listener, int fd, const struct address *client,
                   enum board_cause cause)
{
    const struct service *service = listener->service;
    char text[ADDRESS_TEXT_MAX];

    board_count(listener->block, COUNT_REFUSED + cause, 1);
    address_format_peer(client, service->log_address, text, sizeof(text));
    episode_note(listener, cause, true, text, 0);

    refuse_say(listener, fd, cause == CAUSE_NO_ACCESS ? "" : service->busy_message);
}

void refuse_say(struct listener *listener, int fd, const char *message)
{
    size_t length = strlen(message);
    if (length == 0 || send(fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ||
        shutdown(fd, SHUT_WR) < 0 || listener->refused_count == REFUSED_MAX) {
        close(fd);
        return;
    }
    /* Closed at once, what the client still sends would turn the message into a reset. */
    listener->refused[listener->refused_count++] =
        (struct refused){ .fd = fd, .deadline_ms = listener->now_ms + REFUSED_LINGER_MS };
}

void refuse_drain(struct listener *listener, unsigned int index)
{
    char waste[4096]; /* which TCP leaves as it is: tcp(7), MSG_TRUNC */
    ssize_t got = recv(listener->refused[index].fd, waste, sizeof(waste), MSG_DONTWAIT | MSG_TRUNC);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        release(listener, index);
}

void refuse_expire(struct listener *listener, bool all)
{
    for (unsigned int i = listener->refused_count; i > 0; i--)
        if (all || listener->now_ms >= listener->refused[i - 1].deadline_ms)
            release(listener, i - 1);
}
