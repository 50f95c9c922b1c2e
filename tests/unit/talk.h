/* What the cases of service and session share: somebody who serves in a process of his own, and his
 * client in this one. */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <sys/types.h>

#include "service/handlers.h"

/* One conversation. `end` and `counts` are written by the serving process. */
struct talk {
    int client; /* this side's descriptor */
    int server;
    pid_t pid;
    uint64_t linger_ms;    /* of the server's close: LONG_MS, before a case says otherwise */
    struct stream *counts; /* shared: valid once talk_end has returned */
};

/* A limit that nothing reaches by being slow, and that is still below libcheck's for a case:
 * whatever takes longer does not happen at all. */
enum { LONG_MS = 20000 };

static const struct manners plain = { .delay = 0 };

/* Connected sockets: TCP over the loopback, or Unix. Nothing runs yet; options may be set. */
struct talk talk_tcp(void);
struct talk talk_unix(void);
/* Starts the handler, in a process that holds the server's end alone; this one holds the client's.
 */
void talk_serve(struct talk *talk, const char *handler, const struct manners *manners);
/* The same with any function for a handler. */
void talk_run(struct talk *talk, enum session_end (*serve)(struct stream *, const struct manners *),
              const struct manners *manners);
/* Closes the client's half, waits for the server's end; it has to have exited, not died. Then
 * closes the client. */
enum session_end talk_end(struct talk *talk);

/* What the serving process has open, each a bit (proc(5)); none may be above 63. */
uint64_t talk_descriptors(const struct talk *talk);

/* What `measure` returns for a talk is a time from `least` on and below `limit`. Of some tries, one
 * has to come out right: whoever takes the processor away spoils one of them, also by making the
 * kernel's own clock jump, and a program that is wrong spoils all. */
void expect_time(struct talk (*make)(void), uint64_t (*measure)(struct talk *talk), uint64_t least,
                 uint64_t limit);

/* Sends one byte to this echo, which waits for `limit_ms` at most, has it back, and is silent until
 * the server ends it for that. Returns how long all this took in milliseconds: for expect_time. */
uint64_t talk_silence(struct talk *talk,
                      enum session_end (*serve)(struct stream *, const struct manners *),
                      int limit_ms);

/* SO_RCVTIMEO, SO_SNDTIMEO of a descriptor in milliseconds. */
void limit_time(int fd, int option, int milliseconds);

void say(int fd, const void *bytes, size_t size);
/* Reads exactly these bytes. */
void expect(int fd, const void *bytes, size_t size);
/* End of stream, and not a reset. */
void expect_end(int fd);

/* Bytes that look like no pattern, the same for the same place. */
void fill(unsigned char *bytes, size_t size);
