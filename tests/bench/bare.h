/* What the plain baselines share: a socket to accept from, and the loop of an echo. */
#pragma once

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* argv[1] is a port of 127.0.0.1. Returns the listening socket. */
static inline int bare_listen(char **argv)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons((uint16_t)atoi(argv[1]));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 511) < 0)
        err(1, "port %s", argv[1]);
    return fd;
}

/* Returns whether more may come. */
static inline int bare_echo_once(int client)
{
    static char buffer[65536];
    ssize_t count = read(client, buffer, sizeof buffer), done = 0, part;

    for (; done < count; done += part)
        if ((part = write(client, buffer + done, (size_t)(count - done))) < 0)
            return 0;
    return count > 0;
}

static inline void bare_echo(int client)
{
    while (bare_echo_once(client))
        ;
}
