/*
 * What the handler `status` shows: the board as a page for people, as JSON and as metrics. It reads
 * the board and changes nothing; everything it shows was written by others and is escaped.
 *
 *   answer.c    which page a request gets
 *   collect.c   a snapshot of the board, taken once a request
 *   rates.c     what the board's samples say about the last minutes
 *   escape.c    foreign text in JSON, HTML and metrics
 *   words.c     names of states
 *   json.c      /status.json
 *   metrics.c   /metrics
 *   page.c      /; page.css and page.js go into it
 *   card.c      a service on that page
 *   figures.c   figures as people read them
 */
#pragma once

#include <stdbool.h>

#include "board/board.h"
#include "service/http.h"

/* What status_answer works on. */
struct status_view {
    const struct board *board;
    /* A request has to name this machine by number or as localhost: else a page from elsewhere, in
     * a browser that runs here, could read the answer under a name of its own (DNS rebinding). */
    bool local_names;
};

/* For struct http_pages; `context` is a struct status_view. */
void status_answer(const void *context, const struct http_request *request,
                   struct http_answer *answer);
