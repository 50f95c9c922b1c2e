/*
 * A small HTTP/1.1 server on a stream: what the handlers http and status have in common. GET and
 * HEAD, keep-alive, pipelining; everything else is refused as RFC 9110 says. Every answer carries
 * its length and is not to be stored.
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "service/http_parse.h"

/* What is said to one request. */
struct http_answer {
    enum http_status status;
    const char *type;    /* media type; constant text */
    const char *fields;  /* further header fields, each ended by CR LF; may be NULL */
    struct buffer *body; /* to append to */
};

/* Where pages come from that a handler does not have itself. */
struct http_pages {
    /* Whether new clients are welcome: the answer to /readyz. NULL: always. */
    bool (*ready)(const void *context);
    /* Answers a GET or HEAD (whose body is not sent). */
    void (*answer)(const void *context, const struct http_request *request,
                   struct http_answer *answer);
    const void *context;
};
