/*
 * What the handler `status` shows: the board, as a page for people, as JSON and as OpenMetrics
 * text. Reads the board and changes nothing.
 */
#pragma once

#include "board/board.h"
#include "service/http.h"

/* `/`, `/status.json` and `/metrics` of this board; what is elsewhere is not found. */
void status_answer(const struct board *board, const struct http_request *request,
                   struct http_answer *answer);
