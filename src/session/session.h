/*
 * A session: from the moment its process is forked to its exit status. Also the whole of the
 * one-client mode (forkechod -i).
 */
#pragma once

#include "base/address.h"
#include "board/board.h"
#include "conf/service.h"
#include "service/stream.h"

/* Gives a TCP socket the service's time limits and options: a listening one, whose connections
 * inherit them, or a client's. A Unix socket gets the time limits alone, and hands none on. */
void session_prepare_socket(int fd, const struct service *service);

/* What a listener does before it forks, so that the child has less to do: prepares the title. */
void session_prepare_title(const struct address *client, const struct service *service);

/* The board, mapped for reading, as far as the service's handler may see it (enum handler_sight).
 * Never called: /readyz says yes, and nothing can be shown. It stays the caller's. */
void session_prepare_board(const struct board *board);

/* Serves the client on `fd` and closes it: socket options that were not inherited from the
 * listening socket (a Unix socket's), handler, lingering close, hold_process. Returns why it ended.
 * `row` is the session's half of its slot, or NULL; `counts` gets the stream's final numbers, may
 * be NULL. session_timeout is an alarm(2)-like timer whose SIGALRM ends the process: whoever reaps
 * it reads that as LIFETIME. */
enum session_end session_serve(int fd, const struct address *client, const struct service *service,
                               struct board_session *row, struct stream *counts);

/* One-client mode: serves whoever is on descriptor 0 where that is a socket (inetd), else reads
 * descriptor 0 and writes descriptor 1, without time limits but session_timeout, of which the
 * process just dies. Nothing was prepared for it, so all is set here; SIGPIPE is ignored. */
enum session_end session_serve_standard(const struct service *service, struct stream *counts);

/* The forked child's whole life, given its connection and nothing else it may keep: moves the
 * connection to descriptor 3, closes everything above, sets the title, resets signals (TERM ends
 * it; HUP INT QUIT USR1 USR2 ignored), serves, exits with its session_end as status. Calls no exit
 * handler, touches few pages. */
_Noreturn void session_main(int fd, const struct address *client, const struct service *service,
                            struct board_session *row);
