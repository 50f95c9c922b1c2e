/* One look of an audit: what it found, and which processes there have to be. Private to the files
 * audit*.c. */
#pragma once

#include "master/state.h"

enum { FINDINGS_MAX = 64, FINDING_ROOM = 160 };

/* The same thing has the same text in every look. */
struct findings {
    char text[FINDINGS_MAX][FINDING_ROOM];
    unsigned int count;
};

/* A process that has to be there. */
struct member {
    pid_t pid, group;
    bool seen;
};

struct look {
    struct master *master;
    struct findings found;
    struct member *members;
    size_t count, room;
    unsigned int sessions, descriptors;
    unsigned int nameless[BOARD_BLOCKS]; /* slots whose listener did not live to note a process */
    bool blind;                          /* not every process can be seen */
};

void look_find(struct look *look, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* audit_processes.c: a process that has to be in this group; whether others are there, or are the
 * daemon's anyway. */
void look_expect(struct look *look, pid_t pid, pid_t group);
void look_at_processes(struct look *look);

/* audit_descriptors.c */
void look_at_descriptors(struct look *look);
