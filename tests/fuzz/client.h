/*
 * A client of a handler that runs in this very process, over a socket pair. It acts when the
 * handler would wait: poll(2) and recv(2) of the server's end are wrapped (fuzz.mk). Then it takes
 * what has come, and sends its next piece once the last one was read; after its last it closes its
 * half. So nothing waits for time, and a message is what it was meant to be.
 */
#pragma once

#include "fuzz.h"

#include "session/session.h"

enum {
    CLIENT_PIECE_END = 0x1e, /* parts the pieces of a script */
    CLIENT_DROPS = 0x18      /* a piece that begins so is not sent: the client is gone */
};

struct client {
    struct fuzz_part script;   /* what it sends; may be empty */
    bool drops;                /* heeds CLIENT_DROPS */
    size_t takes;              /* bytes after which it is gone; 0: never */
    bool over_tcp;             /* what the server believes; else over a Unix socket */
    const struct board *board; /* what the handler may see; may be NULL */
    /* Set when it is over: */
    unsigned char *got; /* to be freed */
    size_t got_size;
    bool gone; /* it left before the end */
    enum session_end end;
    struct stream counts;
};

/* Serves the client as a session does. */
void client_run(struct client *client, const struct service *service);
