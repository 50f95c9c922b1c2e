/* Names of states, as JSON, metrics and the page have them. Private to src/status/. */
#pragma once

#include "base/buffer.h"
#include "board/board.h"

const char *word_of_life(uint32_t life);              /* enum board_life */
const char *word_of_service(uint32_t state);          /* enum board_service_state */
const char *word_of_log_level(uint32_t level);        /* as in syslog(3) */
const char *word_of_row(const struct board_row *row); /* what the session does */
/* The name of a session_end in lower case. */
void word_of_end(struct buffer *out, enum session_end end);
