/* What one log line looks like in each sink. Pure, no I/O. Internal to log/. */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "log/log.h"

enum {
    LINE_MAX_BYTES = 1024, /* of the text, as people read it */
    LINE_ROOM = 8192       /* of the longest record */
};

struct line {
    int level, facility;
    const char *words, *id; /* the event's */
    const char *text;       /* words and message: one line, clean, at most LINE_MAX_BYTES */
    const struct log_details *details; /* may be NULL */
    pid_t pid;
    time_t when;
};

/* Copies text into out[LINE_MAX_BYTES + 1], made fit to be shown: control bytes and what is not
 * UTF-8 become \xHH, a text that is too long is cut with `…`. Quotes and backslashes stay: they are
 * the message's own, and foreign text that goes into it has been through text_escape. */
void line_clean(const char *text, char *out);

/* Each writes into out[LINE_ROOM] and returns the size. */
size_t line_stderr(const struct line *line, char *out);
/* RFC 3164 as the local socket has it: no host name. */
size_t line_syslog(const struct line *line, char *out);
/* The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). */
size_t line_journal(const struct line *line, char *out);
