/*
 * What can be asked for over the control socket. Each function does what it was asked, says so in
 * the first line (`ok`, `rejected` or `error: why`) and lines behind it, and returns what the
 * client waits for now.
 */
#pragma once

#include "log/log.h"
#include "master/state.h"

struct asked {
    struct master *master;
    struct control_client *client;
    struct service_state *service; /* that the first argument names, where one does */
    char *const *arguments;
    size_t count;
};

/* Logs the event of a change, with who asked for it behind the text. */
void requests_log(const struct asked *asked, enum log_event event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* switches.c */
enum control_wait request_pause(const struct asked *asked);
enum control_wait request_resume(const struct asked *asked);
enum control_wait request_drain(const struct asked *asked);
enum control_wait request_scale(const struct asked *asked);
enum control_wait request_log(const struct asked *asked);

/* kill.c */
enum control_wait request_kill(const struct asked *asked);
enum control_wait request_kill_client(const struct asked *asked);

/* check.c */
enum control_wait request_check(const struct asked *asked);
