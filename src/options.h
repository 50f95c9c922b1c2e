/* The command line of forkechod(8), as one table from which parsing and --help come. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum mode { MODE_SERVE, MODE_CHECK, MODE_DUMP, MODE_ONE_CLIENT, MODE_HELP, MODE_VERSION };

struct options {
    enum mode mode;
    bool foreground;
    bool print_addresses;
    char *file;          /* absolute; NULL with --listen and -i */
    const char *listen;  /* --listen */
    const char *handler; /* --handler */
    char **overrides;    /* -o, and what --listen and --handler come to */
    size_t override_count;
    char **arguments; /* all of them as they were typed, and a NULL behind them */
};

/* Reads the arguments. Returns 0, or a sysexits(3) status after it has said on stderr what is
 * wrong. */
int options_parse(int argc, char **argv, struct options *options);
void options_print_help(void);
void options_free(struct options *options);
