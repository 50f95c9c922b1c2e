/*
 * One question to the daemon over its control socket: a line goes there, lines come back, and the
 * daemon closes. The first line of an answer is `ok`, `rejected` or `error: why`.
 */
#pragma once

#include <stdint.h>

#include "base/failure.h"

enum control_verdict {
    CONTROL_OK,
    CONTROL_REJECTED, /* the daemon looked at it and changed nothing */
    CONTROL_ERROR,    /* the daemon would not even look; `text` says why */
};

enum { CONTROL_LINE_MAX = 4096 };

struct control {
    const char *path;    /* of the socket */
    uint64_t timeout_ms; /* for each step; 0: for ever */
};

/* What is done with the answer: first with its verdict (`line` is NULL), then with each further
 * line, which is safe to print and has no newline. */
typedef void control_line(void *context, enum control_verdict verdict, const char *line);

/* Asks `request` (a line without newline) and waits for the answer, of which `line` gets what comes
 * after `ok` or `rejected`. Returns an enum control_verdict, with the daemon's reason in `why`
 * where that is CONTROL_ERROR; or -1 when the daemon gave no whole answer. */
int control_ask(const struct control *control, const char *request, control_line *line,
                void *context, struct failure *why);
