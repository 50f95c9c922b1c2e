/*
 * Where log lines go, one sink at a time, and never waiting for it. Internal to log/; tests name
 * sockets of their own here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/log.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSLOG_SOCKET  "/dev/log"

struct sink {
    enum log_sink kind;
    const char *path;  /* of the datagram socket; NULL for stderr */
    int fd;            /* -1 while the sink is lost */
    uint64_t retry_ms; /* not before this does it try to connect again */
    bool told;         /* stderr has been told that the sink is lost */
    bool torn;         /* stderr took the begin of a line and not its end */
};

/* Makes and connects the sink. One that cannot be reached is lost for now, which is no error.
 * `path` is kept, not copied. */
void sink_open(struct sink *sink, enum log_sink kind, const char *path);
void sink_close(struct sink *sink);

/* Hands over one line or record, whole. Returns 0, or -errno when the sink did not take it. A lost
 * sink is connected again first, at most once a second. */
int sink_write(struct sink *sink, const char *bytes, size_t size, uint64_t now_ms);

/* Connects a lost sink again when it is time to. */
void sink_retry(struct sink *sink, uint64_t now_ms);

/* log_open, with the socket's path. */
void log_open_at(const struct log_settings *wanted, const char *path);
