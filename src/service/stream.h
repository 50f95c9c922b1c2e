/*
 * A client's byte stream as a handler sees it: blocking reads and writes whose time limits are the
 * socket's own (SO_RCVTIMEO, SO_SNDTIMEO), so that they cost no system call of their own. EINTR is
 * retried, SIGPIPE never happens (MSG_NOSIGNAL).
 *
 * System calls of everything below, for whoever writes a sandbox: recvfrom, sendto, poll, ioctl
 * (SIOCOUTQ), getsockopt (SO_SNDTIMEO, SO_RCVTIMEO), pipe2, splice, fcntl (F_GETFL, F_SETFL),
 * shutdown, close; read and write for what is no socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/exitcode.h"

enum { MESSAGE_MAX = 8192, STREAM_CHUNK = 65536, STREAM_LINGER_BYTES = 65536 };

/* What goes on: who is waited for, if anybody. */
enum stream_state { STREAM_READS, STREAM_WORKS, STREAM_WRITES, STREAM_DELAYS };

/* Whoever makes one sets the descriptors, is_socket and progress; the rest starts as zero. */
struct stream {
    int in, out;    /* one socket; or, in one-client mode, perhaps a pipe or terminal each */
    bool is_socket; /* false: read(2) and write(2), without time limits */
    bool discards;  /* set by a handler: stream_discard is to be called while a write waits */
    bool at_end;    /* the client has sent everything it will ever send */
    bool over;      /* nothing can be read or written any more; `end` says why */
    int pipe[2];    /* see stream_use_pipe; 0: none */
    enum stream_state state;
    enum session_end end;                    /* why reading or writing stopped */
    uint64_t bytes_in, bytes_out, turns;     /* a turn is one whole stream_write */
    void (*progress)(struct stream *stream); /* when one of these has changed; may be NULL */
    void *context;                           /* for progress */
};

/* Returns the bytes read (at least 1), or 0 when the session is over; then stream->end says why:
 * CLOSED at end of file, IDLE, RESET, VANISHED, SYSTEM. After CLOSED, writing is still possible: a
 * client may close its half and wait for the rest. An expired SO_RCVTIMEO is idle only if our bytes
 * have stopped leaving too (SIOCOUTQ): a byte in either direction counts. */
size_t stream_read(struct stream *stream, void *buffer, size_t size) __attribute__((hot));
/* Waits until stream_read would not, or for the moment `deadline_ms` (base/clock.h). False when
 * that came first, or the session is over. */
bool stream_wait(struct stream *stream, uint64_t deadline_ms);
/* Reads what has come so far, at most STREAM_CHUNK bytes, and throws it away. Does not wait. */
void stream_discard(struct stream *stream);
/* Writes all. Returns false when the session is over: STALLED, RESET, VANISHED, SYSTEM. STALLED
 * only when not one byte was taken for the whole SO_SNDTIMEO, and at most a sixteenth later. */
bool stream_write(struct stream *stream, const void *bytes, size_t size) __attribute__((hot));

/* For streams in bulk: from now on a buffer of NULL stands for a pipe that the bytes go through by
 * splice(2), without ever being copied, which takes half the processor time of reading and writing.
 * What was read must be written before the next read. Makes the socket non-blocking; all else stays
 * as it was. False when there is no socket or no pipe to be had: go on with buffers. */
bool stream_use_pipe(struct stream *stream);

/* Lingering close: shutdown(2) for writing, then drain until end of file, `linger_ms` or
 * STREAM_LINGER_BYTES, so that unread input does not turn the last answer into a reset; then
 * close(2). At once after end of file, and after STALLED. */
void stream_close(struct stream *stream, uint64_t linger_ms) __attribute__((hot));

/* The handler waits on purpose, for so long. */
void stream_delay(struct stream *stream, uint64_t milliseconds);

/* Sleeps for so long, whatever signals are handled meanwhile. */
void stream_pause(uint64_t milliseconds);
