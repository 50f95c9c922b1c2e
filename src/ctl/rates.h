/* Bytes a second, from one look to the next. */
#pragma once

#include "ctl/document.h"

/* Sets the rates of the sessions that were there before, by the daemon's own clock: the bytes since
 * then by what their age has grown. The others keep the mean of their lives, which is what a
 * document has when it was read; and so do all without memory. */
void rates_measure(const struct document *before, struct document *now);
