/*
 * A client's byte stream as a handler sees it: blocking reads and writes whose time limits are the
 * socket's own (SO_RCVTIMEO, SO_SNDTIMEO), so that they cost no system call of their own. EINTR is
 * retried, SIGPIPE never happens (MSG_NOSIGNAL).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/exitcode.h"

enum { MESSAGE_MAX = 8192, STREAM_CHUNK = 65536 };

struct stream {
    int fd;
    bool is_socket; /* false: a pipe or terminal in one-client mode; then read(2) and write(2) */
    enum session_end end;                    /* why reading or writing stopped */
    uint64_t bytes_in, bytes_out, turns;     /* a turn is one answer */
    void (*progress)(struct stream *stream); /* after each read and write; may be NULL */
    void *context;                           /* for progress */
};

/* Returns the bytes read (at least 1), or 0 when the session is over; then stream->end says why:
 * CLOSED at end of file, IDLE, RESET, VANISHED, SYSTEM. An expired SO_RCVTIMEO is idle only if our
 * bytes have stopped leaving too (SIOCOUTQ): a byte in either direction counts. */
size_t stream_read(struct stream *stream, void *buffer, size_t size);
/* The same without waiting: 0 with end untouched when nothing is there. */
size_t stream_read_waiting(struct stream *stream, void *buffer, size_t size);
/* Writes all. Returns false when the session is over: STALLED, RESET, VANISHED, SYSTEM. STALLED
 * only when not one byte was taken for the whole SO_SNDTIMEO. */
bool stream_write(struct stream *stream, const void *bytes, size_t size);

/* Lingering close: shutdown(2) for writing, then drain until end of file, `linger_ms` or 64 KiB, so
 * that unread input does not turn the last answer into a reset; then close(2). */
void stream_close(struct stream *stream, uint64_t linger_ms);
