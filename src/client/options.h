/* The command line of forkecho(1). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

enum mode { MODE_TALK, MODE_MESSAGE, MODE_PING, MODE_HELP, MODE_VERSION };

/* The texts belong to argv. */
struct options {
    enum mode mode;
    int family;          /* AF_UNSPEC, AF_INET, AF_INET6; AF_UNIX: `host` is a path or @name */
    const char *host;    /* a name or an address without brackets */
    const char *port;    /* a number or a service's name */
    const char *message; /* MODE_MESSAGE: never empty */
    uint64_t count;      /* MODE_PING: messages to send; 0: until interrupted */
    uint64_t interval_us;
    size_t size;         /* bytes of one message, at least 1 */
    uint64_t timeout_us; /* for each connection and each answer; 0: never */
    bool quiet;
};

/* Reads the command line. Returns 0, or -1 with the mistake in `why`. */
int options_parse(int argc, char **argv, struct options *out, struct failure *why);

/* Writes the usage to standard output. */
void options_help(void);
