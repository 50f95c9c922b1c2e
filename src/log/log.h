/*
 * The log: one entry point, three sinks (journal by its native protocol, syslog, stderr). Nothing
 * here ever blocks: what a sink does not take at once waits in a queue of 256 KiB, what has no room
 * there is dropped and counted, and the count is
 * logged when the sink takes lines again. errno survives every call. Only the master (and the
 * one-client mode) logs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

enum log_event {
#define EVENT(name, level, words, id, subject, text) EVENT_##name,
#include "log/events.def"
#undef EVENT
    EVENT_COUNT
};

enum log_sink { LOG_SINK_STDERR, LOG_SINK_SYSLOG, LOG_SINK_JOURNAL };

struct log_settings {
    enum log_sink sink;
    int level;    /* the least important that is written: LOG_CRIT … LOG_DEBUG */
    int facility; /* LOG_DAEMON … */
};

/* What the line is about: journal fields FORKECHOD_SERVICE= FORKECHOD_CLIENT= … (one list in
 * log.c). Texts may be NULL, numbers negative: then the field is left out. */
struct log_details {
    const char *service;
    const char *client;
    const char *reason;
    int64_t pid; /* of the listener or session meant */
    int64_t bytes_in, bytes_out, turns;
    int64_t duration_us;
    int64_t count;
    const char *file; /* position of a mistake in the configuration */
    int64_t line;
};

#define LOG_DETAILS_NONE                                                                           \
    {                                                                                              \
        .pid = -1, .bytes_in = -1, .bytes_out = -1, .turns = -1, .duration_us = -1, .count = -1,   \
        .line = -1                                                                                 \
    }

/* Chooses the sink; may be called again at any time (reload): one that stays the same keeps the
 * lines that wait for it. Opens nothing that could block. */
void log_open(const struct log_settings *wanted);
void log_close(void);

/* One line: the event's words, `: `, the formatted text. Bytes that came from outside are escaped,
 * the line is cut at 1 KiB. `details` may be NULL. The first %-text should name the service. */
void log_event(enum log_event event, const struct log_details *details, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Call once a second: reconnects a lost sink (at most once a second), reports drops. */
void log_tick(uint64_t now_ms);

/* How many lines wait for a sink that was busy: then call log_tick again soon. */
size_t log_waits(void);

/* Lines dropped since the start. */
uint64_t log_dropped(void);

/* Lines that were dropped and that the log has not been told of yet; more of them, from before an
 * upgrade. */
uint64_t log_untold(void);
void log_add_untold(uint64_t lines);

/* Sockets the sinks hold (at most 2), to be spared when everything else is closed. */
size_t log_descriptors(int out[2]);

/* True where systemd-journald is there to be spoken to. */
int log_journal_exists(void);
