/* A text file read whole, with distrust: a regular file of bounded size, and lines of UTF-8. */
#pragma once

#include "conf/findings.h"

enum { TEXTFILE_MAX = 256 * 1024, TEXTFILE_LINE_MAX = 1000 };

struct textfile {
    char *path;
    char *bytes; /* a byte order mark left out; a NUL behind them */
    size_t size;
};

struct textline {
    const char *text; /* not terminated; neither LF nor CR LF */
    size_t length;
    unsigned int number;
};

/* Reads `path`. What is wrong is told of `place`, whose file becomes `path`. False when there is
 * nothing to go on with; else textfile_free has to be called. */
bool textfile_read(struct findings *findings, struct conf_place place, const char *path,
                   struct textfile *out);
void textfile_free(struct textfile *file);

/* Steps to the next line; a zeroed `line` is in front of the first. False after the last. */
bool textfile_next(const struct textfile *file, struct textline *line);

/* Says what hinders any line from being read: its length, control characters, not UTF-8. */
bool textline_check(struct findings *findings, const struct conf_place *place,
                    const struct textline *line);
