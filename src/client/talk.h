/* Line by line on a terminal, with line editing and history. */
#pragma once

#include "client/connect.h"
#include "client/options.h"

/* Takes over `fd`. Ends at `quit`, Ctrl-D, Ctrl-C, or when the server closes. Returns the exit
 * status: 0 when every line was answered, else 1. */
int talk_run(const struct options *options, const struct peer *peer, int fd);
