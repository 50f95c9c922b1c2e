/*
 * The channel between the master and one listener: a SOCK_SEQPACKET pair, one record a packet.
 * Neither end ever blocks. When the peer is behind, records wait in a queue of 4096, of which 256
 * places are kept for those that must arrive; records of sessions that find no place are dropped,
 * and the caller counts them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHANNEL_VERSION = 3,
    CHANNEL_QUEUE_MAX = 4096,
    CHANNEL_RESERVED = 256,
    CHANNEL_TEXT_MAX = 192
};

enum record_kind {
    /* master to listener */
    RECORD_GO = 1, /* start accepting. `sockets`: bits of those that are the daemon's alone: whoever
                      closes one may shut it down */
    RECORD_TELL,   /* what to report of sessions: `count` is an enum tell */
    RECORD_DRAIN,  /* accept no more; exit when the last session has ended. `sockets`: bits of those
                      to accept from until their queue was empty once, at most `duration_us` (0: as
                      long as that takes), before they are closed; the others are closed now.
                      `count`: bits as with GO */
    RECORD_STOPPING, /* the daemon stops: a session that only holds its process is ended when it
                        does */
    RECORD_END_ALL,  /* end every session now */
    RECORD_WARD, /* should the master die: end the sessions of group `pid` too, which outlived their
                    own listener; with `count` 0: no longer */
    RECORD_PAUSE,       /* take no clients, if `count` is not 0; they wait in the kernel's queue */
    RECORD_SCALE,       /* so many workers, `count`; 0: as many as it takes */
    RECORD_END_SESSION, /* end the session in `slot`, if it is that of turn `count` */
    /* listener to master */
    RECORD_READY = 32, /* set up, waiting for GO; `text`: parts of the sandbox that are missing */
    RECORD_FAILED,     /* could not set up, or cannot go on: `text` */
    RECORD_SESSION_START,
    RECORD_SESSION_END,    /* with the end SANDBOX: `count` is the system call's number + 1, or 0 */
    RECORD_REFUSED,        /* the first client of an episode, told by `cause` */
    RECORD_REFUSED_END,    /* `count` were refused in `duration_us` */
    RECORD_THROTTLE_BEGIN, /* clients have to wait: `cause` */
    RECORD_THROTTLE_END,
    RECORD_LOST,         /* a client that was accepted could not be served: `cause`, `error` */
    RECORD_WORKER_DIED,  /* a worker without a client: `signal`, or `error` is its exit status;
                            `count` as with SESSION_END */
    RECORD_WORKER_STUCK, /* a worker did nothing for worker_timeout; `text` is its client, or empty
                          */
    RECORD_BROKEN        /* nobody can be accepted at the address `text` any more: `error`. From a
                            worker to its keeper: at the port of index `count` */
};

/* What a listener tells of sessions. Errors always. */
enum tell { TELL_ERRORS, TELL_ENDS, TELL_STARTS };

/* One shape for all; what a kind does not use is zero. */
struct record {
    uint16_t version, kind;
    uint16_t cause; /* enum board_cause */
    uint16_t end;   /* enum session_end */
    int32_t pid;
    int32_t signal; /* that ended the process, or 0 */
    int32_t error;  /* errno, or 0 */
    uint32_t slot;
    uint64_t sockets;
    uint64_t bytes_in, bytes_out, turns, duration_us, count;
    char text[CHANNEL_TEXT_MAX]; /* the client's address as shown; FAILED: why */
};

/* One end. */
struct channel {
    int fd;
    struct record *queue; /* ring of CHANNEL_QUEUE_MAX, there only while something waits */
    unsigned int first, queued;
};

/* Sets the record's text, cut to its room. */
void record_set_text(struct record *record, const char *text);

/* A pair, both non-blocking and close-on-exec, with as much room as the kernel grants. 0 or -errno.
 */
int channel_pair(int out[2]);
void channel_open(struct channel *channel, int fd);
void channel_close(struct channel *channel);

/* Sends, or puts it in the queue; `must` may take the last places there. Returns 0; -EAGAIN when it
 * was dropped; -EPIPE (or what the kernel said) when the peer is gone. Sets the version itself. */
int channel_send(struct channel *channel, struct record *record, bool must);
/* Sends what waits. Returns how many are left, or -errno. */
int channel_flush(struct channel *channel);
/* Takes one record: 1, 0 when none is there, -EPIPE when the peer is gone, -EPROTO for a record of
 * another size or version, or with an end that there is not. The text is terminated whatever came.
 */
int channel_receive(struct channel *channel, struct record *record);
