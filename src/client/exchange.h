/* One message and its echo, compared byte by byte while it comes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum exchange_end {
    EXCHANGE_EQUAL,
    EXCHANGE_DIFFERENT,   /* whole, but not what was sent; or more than was sent */
    EXCHANGE_LATE,        /* not whole in time */
    EXCHANGE_CLOSED,      /* the server closed before the answer was whole */
    EXCHANGE_FAILED,      /* `error` says why */
    EXCHANGE_INTERRUPTED, /* by SIGINT */
};

struct exchange {
    size_t received;
    size_t differs_at;          /* EXCHANGE_DIFFERENT: the first byte that is not equal, from 0 */
    unsigned char wanted, came; /* that byte; where differs_at is the size, nothing was wanted */
    uint64_t took_us;           /* from the first byte sent to the last one received */
    int error;                  /* EXCHANGE_FAILED: an errno value */
};

/* Sends `size` bytes over the non-blocking socket `fd` and reads as many, both at once, so that a
 * message may be larger than all buffers on the way. */
enum exchange_end exchange_run(int fd, const unsigned char *message, size_t size,
                               uint64_t timeout_us, struct exchange *out);
