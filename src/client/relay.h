/* Bytes to the server and answers back, as they come: a pipe's lines, or one message. */
#pragma once

#include "client/connect.h"
#include "client/options.h"

/* Each takes over `fd`, tells the server when everything was sent, and prints every answer until
 * the server closes. Returns the exit status: 0, or 1 with a line on standard error. */
int relay_input(const struct options *options, const struct peer *peer, int fd);
int relay_message(const struct options *options, const struct peer *peer, int fd);
