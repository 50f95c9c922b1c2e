/*
 * The master: reads the configuration, owns the listening sockets, starts and watches one listener
 * a service, logs, talks to init. It never reads a byte that a client sent.
 */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"
#include "master/heritage.h"
#include "sys/systemd.h"

struct master_start {
    const struct conf_request *request; /* how the configuration is read again at a reload */
    struct conf *conf;                  /* taken over */
    struct conf_mistakes remarks;       /* what there was to say about it; taken over */
    struct systemd_socket *passed;
    int passed_count;
    bool foreground;
    bool print_addresses;            /* -1 */
    char *const *arguments;          /* as they were typed, for the next program */
    const struct heritage *heritage; /* what the last program left; NULL: this is a start */
};

/* From the checked configuration to the last process's end. The waiting command (sys/daemonize.h)
 * is told when every listener is ready, or why there will be none. Returns the exit status. Signals
 * must be blocked already: master_open_signals. */
int master_run(const struct master_start *start);

/* In place of another program, which left start->heritage: takes its descriptors over, and fills
 * start->conf with the configuration that is in force. 0 or -1. */
int master_arrive(struct master_start *start, struct failure *why);

/* Early, before anything is created that a signal must not leave behind: from here on signals wait
 * for the master's loop. 0 or -1. */
int master_open_signals(struct failure *why);
