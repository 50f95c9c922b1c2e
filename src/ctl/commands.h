/* What forkechoctl can do: one row a command. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ctl/control.h"

/* 0: done; 1: refused. */
enum { EXIT_UNREACHABLE = 2 /* no daemon, no whole answer, or a wrong command line */ };

/* The command line, read (options.c). */
struct call {
    const struct command *command; /* NULL: there is nothing left to do */
    char *const *arguments;        /* as many as the command takes; a NULL behind them */
    size_t count;
    struct control control;
    bool json;
    const char *client; /* --client; NULL: not given, as with the options below */
    const char *service, *sort;
    const char *status;   /* where the status service is */
    uint64_t interval_ms; /* between two looks */
    bool no_header, once;
};

struct command {
    const char *name;
    const char *arguments; /* as the usage shows them; "": none */
    const char *help;
    const char *options; /* letters of those that it takes besides the ones all take */
    size_t least, most;  /* arguments */
    /* Returns the exit status. */
    int (*run)(const struct call *call);
    const char *done;    /* an acting command: said when it was done; NULL: what the daemon said */
    const char *refused; /* said when it was rejected, in front of what the daemon said */
};

extern const struct command commands[];
extern const size_t command_count;

/* The command of that name, or NULL. */
const struct command *command_find(const char *name);
/* The name that looks most like it, or NULL. */
const char *command_nearest(const char *name);

struct document;

/* look.c: at most so many of the document's sessions as a table. */
void look_print_sessions(const struct document *document, bool header, size_t most, FILE *out);
/* status and list; top.c: the same live. */
int look_status(const struct call *call);
int look_list(const struct call *call);
int top_run(const struct call *call);
/* act.c: the acting commands. They ask what they are called with, word by word. */
int act_run(const struct call *call);
int act_kill(const struct call *call);
