/*
 * One page of the daemon's status service, over HTTP/1.1 (RFC 9112): one request, one answer, and
 * the connection is over.
 */
#pragma once

#include <stdint.h>

#include "base/buffer.h"
#include "base/failure.h"

struct fetch {
    const char *address; /* 127.0.0.1:8080, [::1]:8080, unix:/path, unix:@name */
    uint64_t timeout_ms; /* for all of it; 0: for ever */
};

enum { FETCH_MAX = 64 << 20 };

/* Appends the page's text to `body` and terminates it; the terminator is not counted. Returns 0, or
 * -1 when it could not be had whole, or was not a page. */
int fetch_page(const struct fetch *fetch, const char *target, struct buffer *body,
               struct failure *why);
