/* Listening sockets: made, adopted, set up, named. Every one is non-blocking and close-on-exec. */
#pragma once

#include <stdbool.h>

#include "base/address.h"
#include "base/failure.h"

/* What a listening socket needs before bind(2). Plain values; the caller takes them from a service.
 */
struct socket_settings {
    unsigned int backlog;
    bool freebind;
    const char *bind_to_device; /* "" for none */
    unsigned int socket_mode;   /* Unix sockets: fchmod-ed before bind, whatever the umask */
    const char *socket_user;    /* "" for none; chowned before listen */
    const char *socket_group;
};

/* Binds and listens. SO_REUSEADDR always, IPV6_V6ONLY always; a stale Unix socket (one that refuses
 * a connection) is replaced, a live one or a file of another kind is a failure, and nothing is
 * touched. *address gets the port that the kernel chose where it was 0. Returns the descriptor or
 * -1. */
int sockets_listen(struct address *address, const struct socket_settings *settings,
                   struct failure *why);

/* Gives an open listening socket the settings that can still change: backlog, device, mode, owner.
 * Returns 0 or -1. */
int sockets_adjust(int fd, const struct address *address, const struct socket_settings *settings,
                   struct failure *why);

/* Checks that fd is a listening stream socket of a family we serve, sets it non-blocking and
 * close-on-exec, and reads its address. Returns 0 or -1. */
int sockets_adopt(int fd, struct address *address, struct failure *why);

/* Removes the file of a Unix socket, if it is still the socket that fd is bound to. */
void sockets_unlink(int fd, const struct address *address);

/* Options that accepted TCP connections inherit from the listening socket, so that a session needs
 * no system call for them (tcp(7), socket(7)). All times are milliseconds, 0 is off. */
struct stream_settings {
    bool tcp_nodelay, keepalive;
    uint64_t keepalive_time, keepalive_interval;
    unsigned int keepalive_probes;
    uint64_t tcp_user_timeout, defer_accept, idle_timeout, write_timeout;
};
void sockets_prepare_streams(int fd, const struct stream_settings *settings);
