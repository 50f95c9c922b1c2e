/*
 * The syntax of forkechod.conf: bytes to (section, key, value), each with its line. Strict where
 * iniparser is lenient: what the two could read differently is refused here.
 */
#pragma once

#include "conf/textfile.h"

/* One line that says something. A section's header has no key. */
struct setting {
    struct conf_place place;
    const char *value; /* unquoted; NULL for a header */
};

struct scan {
    struct textfile file;
    struct setting *settings;
    size_t count;
    char *texts; /* what the settings point to */
};

enum { SCAN_SETTINGS_MAX = 4096, SCAN_NAME_MAX = 64 };

/* Reads the file at `path` as the `source`-th one. False when it cannot be read at all; mistakes of
 * single lines are told, and the other lines are there. scan_free in both cases. */
bool scan_file(struct findings *findings, unsigned int source, const char *path, struct scan *out);

/* Reads `SECTION.KEY=VALUE` of -o as if it were a file of two lines, with `service NAME` for a
 * SECTION that is only a NAME; *bare tells that it was. False when it is none of that. */
bool scan_override(struct findings *findings, unsigned int source, const char *text,
                   struct scan *out, bool *bare);
void scan_free(struct scan *scan);
