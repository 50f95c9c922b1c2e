/* The cases of log, one group a file, and the reader that they share. */
#pragma once

#include <check.h>

#include "log/log.h"

TCase *sink_cases(void);

/* A directory for the reader's socket, made before a group's first case, removed after its last. */
void make_directory(void);
void remove_directory(void);

/* The socket's path, the same for every case. */
extern char test_path[];

/* What journald or a syslog daemon is to us: a datagram socket with a name. */
int make_reader(void);

/* The next record, terminated, which is in `got` then; or NULL when there is none. */
const char *next(int reader);
extern char got[16384];

/* The log, with the reader as its sink. */
void open_log(enum log_sink sink, int level);
