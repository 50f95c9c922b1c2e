#include "sys/notify.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un manager;
static socklen_t manager_size;

bool notify_open(const char *address)
{
    size_t size = strlen(address);

    manager_size = 0;
    if ((*address != '/' && *address != '@') || size < 2 || size >= sizeof manager.sun_path)
        return false;
    manager = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(manager.sun_path, address, size);
    if (*address == '@')
        manager.sun_path[0] = '\0'; /* an abstract name ends with its length, not with a NUL */
    else
        size++;
    manager_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return true;
}

bool notify_is_open(void)
{
    return manager_size > 0;
}

static int send_message(int socket, const char *text, int fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof fd)];
    } control = { .room = { 0 } };
    struct iovec body = { .iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text) };
    struct msghdr message = { .msg_iov = &body, .msg_iovlen = 1 };

    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
        passed->cmsg_level = SOL_SOCKET;
        passed->cmsg_type = SCM_RIGHTS;
        passed->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(passed), &fd, sizeof fd);
    }
    return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int notify_send(const char *text, int fd, int wait_ms)
{
    if (!notify_is_open())
        return -ENOTCONN;
    /* A socket a message: none has to live through the daemonizer, or a restart of the manager. */
    int out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out < 0)
        return -errno;
    int result = connect(out, (const struct sockaddr *)&manager, manager_size) < 0 ? -errno : 0;
    if (!result)
        result = send_message(out, text, fd);
    if ((result == -EAGAIN || result == -EINTR) && wait_ms > 0) {
        struct pollfd room = { .fd = out, .events = POLLOUT };
        if (poll(&room, 1, wait_ms) == 1)
            result = send_message(out, text, fd);
    }
    close(out);
    return result;
}
