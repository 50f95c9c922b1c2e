/* Figures as people read them, in HTML; private to src/status/. */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"

void figure_number(struct buffer *out, uint64_t number);         /* 12 345 */
void figure_bytes(struct buffer *out, uint64_t bytes);           /* 1.2 MiB */
void figure_duration(struct buffer *out, uint64_t microseconds); /* 1 h 02 min */
void figure_rate(struct buffer *out, uint64_t thousandths);      /* 1.5 */
void figure_date(struct buffer *out, uint64_t seconds);          /* 21 Nov 2026, 08:15:00 UTC */
/* A state, as a word on a ground that tells whether all is well. */
void figure_state(struct buffer *out, const char *word, bool good);
