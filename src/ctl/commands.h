/* What forkechoctl can do: one row a command. */
#pragma once

#include <stddef.h>

#include "ctl/control.h"

/* 0: done; 1: refused. */
enum { EXIT_UNREACHABLE = 2 /* no daemon, no whole answer, or a wrong command line */ };

struct command {
    const char *name;
    const char *arguments; /* as the usage shows them; "": none */
    const char *help;
    int argument_count;
    /* Returns the exit status. The arguments are as many as argument_count says. */
    int (*run)(const struct command *command, const struct control *control, char **arguments);
};

extern const struct command commands[];
extern const size_t command_count;

/* The command of that name, or NULL. */
const struct command *command_find(const char *name);
/* The name that looks most like it, or NULL. */
const char *command_nearest(const char *name);
