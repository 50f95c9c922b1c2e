/*
 * Lines that the sink did not take at once, in their order, until it does. Of a fixed size: a
 * burst, or a log daemon that restarts, costs nothing, and one that hangs costs lines and no
 * memory. Internal to log/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { QUEUE_BYTES = 256 * 1024 };

/* Takes a copy. False when there is no room. */
bool queue_put(const char *bytes, size_t size);

/* The oldest: copied into out[LINE_ROOM]. Returns its size; 0 when there is none. */
size_t queue_first(char *out);
void queue_drop_first(void);

/* Forgets all. Returns how many there were. */
size_t queue_clear(void);
size_t queue_count(void);
