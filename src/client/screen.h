/*
 * Answers on standard output. Into a file or a pipe they go as they are. On a terminal, what could
 * steer it (control bytes) and what is no text in the user's character set becomes \xHH.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct screen {
    bool terminal;
    bool within_line;         /* the last line has no end yet */
    char pending[MB_LEN_MAX]; /* the beginning of a character */
    size_t pending_count;
};

void screen_init(struct screen *screen);
/* Writes these bytes. Returns 0 or -errno. */
int screen_write(struct screen *screen, const char *bytes, size_t size);
/* On a terminal, ends a line that the answer left open. Returns 0 or -errno. */
int screen_end(struct screen *screen);
