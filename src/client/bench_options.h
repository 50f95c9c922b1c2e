/* The command line of `forkecho bench`. */
#pragma once

#include "client/load.h"
#include "client/options.h"

struct bench_options {
    struct options
        common; /* mode: MODE_TALK, MODE_HELP or MODE_VERSION; host, port, family, timeout_us */
    struct load_plan plan; /* without the server's address */
    bool json;
};

/* In the order of enum load_mode. */
extern const char *const bench_mode_names[LOAD_MODE_COUNT];

/* argv[0] is the word `bench`. Returns 0, or -1 with the mistake in `why`. */
int bench_options_parse(int argc, char **argv, struct bench_options *out, struct failure *why);
/* Writes the usage to standard output. */
void bench_options_help(void);
