/*
 * A session: from the moment its process is forked to its exit status. Also the whole of the
 * one-client mode (forkechod -i).
 */
#pragma once

#include "base/address.h"
#include "board/board.h"
#include "conf/service.h"
#include "service/handlers.h"
#include "service/stream.h"

/* Gives a TCP socket the service's time limits and options: a listening one, whose connections
 * inherit them, or a client's. A Unix socket gets the time limits alone, and hands none on. */
void session_prepare_socket(int fd, const struct service *service);

/* The meaning that signals have in a session, set beforehand by whoever forks it: TERM, ALRM and
 * CHLD their own; HUP INT QUIT USR1 USR2 PIPE are ignored, for people send them to everything that
 * is called forkechod. */
void session_prepare_signals(void);

enum { SESSION_TITLE_MAX = 192 };

/* What all sessions of a service have in common, worked out before the first is forked: in the
 * parent's ordinary memory, of which a child has the pages at once. */
struct session_plan {
    struct service service; /* its lists are not there */
    const struct handler *handler;
    const struct board *board;
    char title[SESSION_TITLE_MAX]; /* of its sessions, up to the client's name */
    size_t title_length;
};

/* `board`, mapped for reading, as far as the service's handler may see it (enum handler_sight), or
 * NULL: then /readyz says yes, and nothing can be shown. It stays the caller's. */
void session_plan(struct session_plan *plan, const struct service *service,
                  const struct board *board);

/* Writes the title of a session, in SESSION_TITLE_MAX bytes; `client` as address_format_peer has
 * it. */
void session_title(const struct session_plan *plan, const char *client, char *title);

/* Serves the client on `fd` and closes it: socket options that were not inherited from the
 * listening socket (a Unix socket's), handler, lingering close, hold_process. Returns why it ended.
 * `row` is the session's half of its slot, or NULL; `counts` gets the stream's final numbers, may
 * be NULL. session_timeout is an alarm(2)-like timer whose SIGALRM ends the process: whoever reaps
 * it reads that as LIFETIME. */
enum session_end session_serve(int fd, const struct address *client,
                               const struct session_plan *plan, struct board_session *row,
                               struct stream *counts) __attribute__((hot));

/* One-client mode: serves whoever is on descriptor 0 where that is a socket (inetd), else reads
 * descriptor 0 and writes descriptor 1, without time limits but session_timeout, of which the
 * process just dies. Nothing was prepared for it, so all is set here; SIGPIPE is ignored. */
enum session_end session_serve_standard(const struct session_plan *plan, struct stream *counts);

/* What runs in every session is marked hot, here and in the layers below: the compiler puts it
 * together, so that a child faults in few pages of the program. */

/* The forked child's whole life, given its connection and nothing else it may keep: moves the
 * connection to descriptor 3, closes everything above, sets the title, unblocks all
 * signals, serves, exits with its session_end as status. Calls no exit
 * handler, touches few pages. */
_Noreturn void session_main(int fd, const struct address *client, const struct session_plan *plan,
                            const char *title, struct board_session *row) __attribute__((hot));
