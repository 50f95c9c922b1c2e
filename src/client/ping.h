/* A series of messages, reported as ping(8) does. */
#pragma once

#include "client/connect.h"
#include "client/options.h"

/* Sends options->count messages over `fd`, which it takes over, and prints each answer and the
 * statistics. A connection that lost or changed a message is given up, and the next message gets a
 * new one. Returns the exit status: 0 when all were answered and equal, else 1. */
int ping_run(const struct options *options, const struct peer *peer, int fd);
