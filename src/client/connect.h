/* From the host on the command line to a connection. */
#pragma once

#include <stdint.h>

#include "base/address.h"
#include "base/failure.h"
#include "client/options.h"

enum { PEER_NAME_MAX = 256 + ADDRESS_TEXT_MAX + 4 };

/* Whom we are connected to. */
struct peer {
    struct address address;
    char text[ADDRESS_TEXT_MAX]; /* 127.0.0.1:7, [::1]:7, unix:/path */
    char name[PEER_NAME_MAX]; /* localhost (127.0.0.1:7); only the text, where that says it all */
};

/* Looks the host up and tries its addresses in turn, each for options->timeout_us. Returns a
 * non-blocking, close-on-exec socket, or -1 with what every address said. */
int connect_host(const struct options *options, struct peer *out, struct failure *why);

/* One more connection to the same address. Returns the socket or -errno; -EINTR when interrupted
 * by a recorded signal (client/wait.h). */
int connect_again(const struct peer *peer, uint64_t timeout_us);
