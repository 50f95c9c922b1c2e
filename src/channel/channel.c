#include "channel/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/exitcode.h"

enum { ROOM = 4096 * (int)sizeof(struct record) };

void record_set_text(struct record *record, const char *text)
{
    size_t length = strnlen(text, sizeof(record->text) - 1);
    memcpy(record->text, text, length);
    record->text[length] = '\0';
}

int channel_pair(int out[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out) < 0)
        return -errno;
    /* What the kernel does not grant is no failure: the queue and the drop count remain. */
    for (int i = 0; i < 2; i++)
        if (setsockopt(out[i], SOL_SOCKET, SO_SNDBUFFORCE, &(int){ ROOM }, sizeof(int)) < 0)
            (void)setsockopt(out[i], SOL_SOCKET, SO_SNDBUF, &(int){ ROOM }, sizeof(int));
    return 0;
}

void channel_open(struct channel *channel, int fd)
{
    *channel = (struct channel){ .fd = fd };
}

void channel_close(struct channel *channel)
{
    if (channel->fd >= 0)
        close(channel->fd);
    free(channel->queue);
    *channel = (struct channel){ .fd = -1 };
}

static int send_now(struct channel *channel, const struct record *record)
{
    ssize_t sent;
    do
        sent = send(channel->fd, record, sizeof(*record), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    return errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -errno;
}

static int queue(struct channel *channel, const struct record *record, bool must)
{
    unsigned int room = must ? CHANNEL_QUEUE_MAX : CHANNEL_QUEUE_MAX - CHANNEL_RESERVED;
    if (channel->queue == NULL)
        channel->queue = calloc(CHANNEL_QUEUE_MAX, sizeof(*channel->queue));
    if (channel->queue == NULL || channel->queued >= room)
        return -EAGAIN;
    channel->queue[(channel->first + channel->queued++) % CHANNEL_QUEUE_MAX] = *record;
    return 0;
}

int channel_send(struct channel *channel, struct record *record, bool must)
{
    record->version = CHANNEL_VERSION;
    /* What waits goes first, so that records arrive in their order. */
    int left = channel_flush(channel);
    if (left < 0)
        return left;
    int result = left == 0 ? send_now(channel, record) : -EAGAIN;
    return result == -EAGAIN ? queue(channel, record, must) : result;
}

int channel_flush(struct channel *channel)
{
    while (channel->queued > 0) {
        int result = send_now(channel, &channel->queue[channel->first]);
        if (result == -EAGAIN)
            return (int)channel->queued;
        if (result < 0)
            return result;
        channel->first = (channel->first + 1) % CHANNEL_QUEUE_MAX;
        channel->queued--;
    }
    /* Memory that stays would be one more thing for each session's fork to copy the tables of. */
    free(channel->queue);
    channel->queue = NULL;
    return 0;
}

int channel_receive(struct channel *channel, struct record *record)
{
    ssize_t got;
    do
        got = recv(channel->fd, record, sizeof(*record), MSG_DONTWAIT | MSG_TRUNC);
    /* With ECONNRESET the kernel tells, once, that the peer went without having read everything.
     * What it said last is still there behind that. */
    while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    if (got < 0)
        return errno == EAGAIN || errno == ENOMEM ? 0 : -errno;
    if (got == 0)
        return -EPIPE;
    if (got != (ssize_t)sizeof(*record) || record->version != CHANNEL_VERSION ||
        record->end >= SESSION_END_COUNT)
        return -EPROTO;
    record->text[sizeof(record->text) - 1] = '\0';
    return 1;
}
