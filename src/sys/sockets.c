#include "sys/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "sys/explain.h"
#include "sys/socketfile.h"

static bool is_inet(const struct address *address)
{
    sa_family_t family = address->socket.any.sa_family;
    return family == AF_INET || family == AF_INET6;
}

static int refuse(const struct address *address, int error, struct failure *why)
{
    static const struct {
        int error;
        const char *inet, *local;
    } hints[] = {
        { EADDRINUSE, "another program has it: see ss -ltnp",
          "another program has it: see ss -lxp" },
        { EACCES, "ports below 1024 need root or CAP_NET_BIND_SERVICE", NULL },
        { EADDRNOTAVAIL,
          "no interface has this address; with freebind = yes it need not be there yet", NULL },
        { EAFNOSUPPORT,
          "this kernel lacks the address family, or RestrictAddressFamilies= of the unit forbids "
          "it",
          "this kernel lacks the address family" },
    };
    char text[ADDRESS_TEXT_MAX];
    const char *hint = NULL;

    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (hints[i].error == error)
            hint = is_inet(address) ? hints[i].inet : hints[i].local;
    return explain(why, error, hint, "cannot listen on %s",
                   address_format(address, text, sizeof text));
}

static int set_flag(int fd, int level, int name)
{
    int on = 1;
    return setsockopt(fd, level, name, &on, sizeof on);
}

void sockets_share(int fd, bool yes)
{
    int on = yes;
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
}

static int set_device(int fd, const char *device)
{
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device));
}

/* What has to be said before bind(2). */
static int prepare(int fd, const struct address *address, const struct socket_settings *settings,
                   struct failure *why)
{
    if (!is_inet(address))
        return 0;
    if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
        (address->socket.any.sa_family == AF_INET6 &&
         set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0) ||
        (settings->freebind && set_flag(fd, IPPROTO_IP, IP_FREEBIND) < 0))
        return refuse(address, errno, why);
    if (settings->shared)
        sockets_share(fd, true);
    if (*settings->bind_to_device && set_device(fd, settings->bind_to_device) < 0)
        return explain(why, errno, errno == ENODEV ? "see ip link" : NULL, "bind_to_device %s",
                       settings->bind_to_device);
    return 0;
}

static int bind_and_listen(int fd, const struct address *address,
                           const struct socket_settings *settings, struct failure *why)
{
    if (socketfile_is_one(address))
        return socketfile_listen(fd, address, settings, why);
    if (bind(fd, &address->socket.any, address->length) < 0 ||
        listen(fd, (int)settings->backlog) < 0)
        return refuse(address, errno, why);
    return 0;
}

/* 0 or -errno. */
static int read_name(int fd, struct address *address)
{
    struct address name = { .kind = ADDRESS_SOCKET };
    socklen_t length = sizeof name.socket;

    if (getsockname(fd, &name.socket.any, &length) < 0)
        return -errno;
    name.length = length < sizeof name.socket ? length : sizeof name.socket;
    *address = name;
    return 0;
}

static int set_up(int fd, struct address *address, const struct socket_settings *settings,
                  struct failure *why)
{
    if (prepare(fd, address, settings, why) < 0 || bind_and_listen(fd, address, settings, why) < 0)
        return -1;
    /* Only a port can be another than the one asked for. */
    int result = is_inet(address) ? read_name(fd, address) : 0;
    return result < 0 ? refuse(address, -result, why) : fd;
}

int sockets_listen(struct address *address, const struct socket_settings *settings,
                   struct failure *why)
{
    char text[ADDRESS_TEXT_MAX];

    if (address->kind != ADDRESS_SOCKET)
        return failure_set(why, EX_CONFIG, "cannot listen on %s: it is systemd that makes it",
                           address_format(address, text, sizeof text));
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return refuse(address, errno, why);
    if (set_up(fd, address, settings, why) == fd)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Setting the device that is set already would need CAP_NET_RAW; so would changing it. */
static int adjust_device(int fd, const char *wanted, struct failure *why)
{
    char device[IFNAMSIZ] = "";
    socklen_t size = sizeof device;

    if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size) < 0)
        return explain(why, errno, NULL, "cannot read the device of a socket");
    if (!strncmp(device, wanted, sizeof device) || !set_device(fd, wanted))
        return 0;
    return explain(why, errno, errno == EPERM ? "restart the daemon to have it" : NULL,
                   "cannot change bind_to_device from \"%s\" to \"%s\"", device, wanted);
}

int sockets_adjust(int fd, const struct address *address, const struct socket_settings *settings,
                   struct failure *why)
{
    if (is_inet(address) && adjust_device(fd, settings->bind_to_device, why) < 0)
        return -1;
    if (socketfile_is_one(address) && socketfile_adjust(fd, address, settings, why) < 0)
        return -1;
    return listen(fd, (int)settings->backlog) < 0 ? refuse(address, errno, why) : 0;
}

bool sockets_is_lost(const struct address *address)
{
    struct stat file;
    return socketfile_is_one(address) && lstat(address->socket.local.sun_path, &file) < 0 &&
           errno == ENOENT;
}

/* Every kind of number that a socket has to show: SO_TYPE, SO_DOMAIN, SO_ACCEPTCONN. */
static int get_number(int fd, int name)
{
    int number = -1;
    socklen_t size = sizeof number;
    return getsockopt(fd, SOL_SOCKET, name, &number, &size) < 0 ? -1 : number;
}

int sockets_adopt(int fd, struct address *address, struct failure *why)
{
    int domain = get_number(fd, SO_DOMAIN), result = -1;

    if ((domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX) ||
        get_number(fd, SO_TYPE) != SOCK_STREAM || get_number(fd, SO_ACCEPTCONN) != 1)
        return failure_set(why, EX_CONFIG, "descriptor %d is not a listening stream socket", fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || (result = read_name(fd, address)) < 0)
        return explain(why, result == -1 ? errno : -result, NULL, "cannot take over descriptor %d",
                       fd);
    if (socketfile_is_one(address)) {
        if (address->length > offsetof(struct sockaddr_un, sun_path) +
                                  sizeof address->socket.local.sun_path - 1 &&
            address->socket.local.sun_path[sizeof address->socket.local.sun_path - 1])
            return failure_set(why, EX_CONFIG, "the path of descriptor %d is longer than 107 bytes",
                               fd);
        (void)socketfile_remember(fd, address); /* else the file stays when the socket goes */
    }
    return 0;
}

int sockets_unlink(int fd, const struct address *address)
{
    return socketfile_is_one(address) ? socketfile_remove(fd, address) : 0;
}
