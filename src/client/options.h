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

/* What the command line of `forkecho bench` shares with this one. Each sets *why like
 * options_parse, or *hint like the parsers of base/text.h. */

/* `0.25` as ping(8) takes it, besides every duration of the configuration. To microseconds. */
int options_time(const char *text, uint64_t *out, const char **hint);
/* -4, -6 or -U. Returns 0, or -1 where another was given before. */
int options_family(struct options *out, int family, struct failure *why);
/* HOST [PORT], or nothing behind -U. An IPv6 address may stand in brackets. */
int options_operands(char **operands, int count, struct options *out, struct failure *why);
/* Says in `why` what is wrong with the option that made getopt_long(3) return `letter`, a ? or a
 * colon. Returns -1. optopt is 0 for a long option that does not exist, and the letter of one that
 * has a value too many or too few. */
int options_refuse(int letter, char **argv, struct failure *why);
