/*
 * Options of client connections. A connection accepted from a TCP socket has every option of the
 * listening one at the time of its handshake, so a session needs no system call for them (tcp(7),
 * socket(7)). One accepted from a Unix socket has none of them.
 *
 * This file needs libc alone: listeners and sessions use it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* All times are milliseconds, 0 is off. */
struct stream_settings {
    bool tcp_nodelay, keepalive;
    uint64_t keepalive_time, keepalive_interval;
    unsigned int keepalive_probes;
    uint64_t tcp_user_timeout, defer_accept, idle_timeout, write_timeout;
};

/* Sets them on a listening socket, whose connections inherit them if it is TCP, or on a connection
 * itself. Options in whole seconds are rounded up, and what is above the kernel's limit (keepalive
 * times: 32 767 s) becomes the limit. An option that the socket does not know is left out. */
void sockets_prepare_streams(int fd, const struct stream_settings *settings);

/* How many connections wait to be accepted from a listening socket. Of a Unix socket the kernel
 * tells only whether there are any: 1 stands for one or more. */
unsigned int sockets_waiting(int fd);
