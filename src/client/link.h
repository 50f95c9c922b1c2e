/* One connection of a load: opened, sent to, and every byte that comes checked. Never waits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* What can go wrong with a request: identifier, name in JSON, words. */
#define LINK_TROUBLES(TROUBLE)                                                                     \
    TROUBLE(REFUSED, "refused", "refused by the system of the server")                             \
    TROUBLE(RESET, "reset", "reset")                                                               \
    TROUBLE(CLOSED, "closed", "closed before the answer was whole")                                \
    TROUBLE(LATE, "late", "not answered in time")                                                  \
    TROUBLE(WRONG, "wrong_byte", "answered with a wrong byte")                                     \
    TROUBLE(SURPLUS, "surplus", "answered with more than was sent")                                \
    TROUBLE(UNSTARTED, "unstarted", "due, and not begun in time")                                  \
    TROUBLE(OTHER, "other", "failed otherwise")

enum link_trouble {
#define TROUBLE(name, key, words) LINK_##name,
    LINK_TROUBLES(TROUBLE)
#undef TROUBLE
        LINK_TROUBLE_COUNT
};

struct link {
    int fd;          /* -1: closed */
    uint32_t events; /* what epoll(7) was asked for */
    bool connecting;
    bool busy;               /* a request is under way; for the owner */
    uint64_t number;         /* of the connection, for its pattern */
    uint64_t allowed;        /* bytes that may be sent in all */
    uint64_t sent, received; /* bytes */
    uint64_t due_ns;         /* for the owner: when the request should have begun, or begins */
    uint64_t moved_ns;       /* for the owner: when it began or last moved on */
};

/* The server, and which of our own addresses connects to it. */
struct route {
    const struct address *server;
    unsigned int sources; /* of them in turn; 0: one, until its ports have run out */
    unsigned int source;  /* 0: the system's choice; else the last byte of 127.0.0.x */
};

/* Why it failed. */
struct link_failure {
    enum link_trouble trouble;
    int error;         /* LINK_OTHER: an errno value */
    uint64_t position; /* LINK_WRONG: in all that this connection received */
    unsigned char wanted, came;
};

enum { LINK_SOURCES_MAX = 254 };

/* Whether we have more than one address to connect to the server from: its own is one of IPv4's
 * loopback. */
bool link_has_sources(const struct address *server);

/* Begins to connect, from the route's next address. Where the ports of one of our loopback
 * addresses have run out it goes on to the next. Returns 0 or -errno: -EADDRNOTAVAIL when no
 * address has a port left, -EAGAIN when the queue of a Unix socket is full and it should be tried
 * again. */
int link_open(struct link *link, struct route *route, uint64_t number);
void link_close(struct link *link);

/* Sees whether a connect is done, sends what is allowed and takes what has come. Returns the count
 * of bytes that came, or -1 with the reason in `why`. The end of the stream is LINK_CLOSED. */
int64_t link_move(struct link *link, struct link_failure *why);
/* What epoll(7) should report now, EPOLLIN and EPOLLOUT. */
uint32_t link_wants(const struct link *link);
