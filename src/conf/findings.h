/* What is found wrong while a configuration is read: collected, then told in the order of files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

/* Where something stands. `source` and `order` sort what is told: the files in the order of
 * reading, the command line last. They differ from `file` and `line` inside a list's own file. */
struct conf_place {
    unsigned int source, order;
    const char *file;    /* NULL: the command line */
    unsigned int line;   /* 0: the file as a whole */
    const char *section; /* as written; NULL: none */
    const char *key;     /* NULL: none */
};

enum { FINDINGS_MAX = 500 }; /* beyond that they are only counted */

struct finding {
    char *text;
    unsigned int source, order, sequence;
    bool warning;
};

struct findings {
    struct finding *all;
    size_t count, left_out;
    size_t errors; /* those left out as well */
    bool out_of_memory;
};

/* Adds `FILE:LINE: [section] key: …`. What was said of a place already is not said twice. */
void findings_error(struct findings *findings, const struct conf_place *place, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));
/* The same for a remark that refuses nothing. */
void findings_warning(struct findings *findings, const struct conf_place *place, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));

/* True when nothing refuses the configuration. */
bool findings_good(const struct findings *findings);

/* Moves everything to `mistakes`, sorted, warnings last. Without memory, that is all it says. */
void findings_finish(struct findings *findings, struct conf_mistakes *mistakes);

enum { SHOWN_MAX = 160 };
/* A foreign text, escaped and cut so that a message can hold it. */
struct shown {
    char text[SHOWN_MAX];
};
struct shown show(const char *bytes, size_t length);
