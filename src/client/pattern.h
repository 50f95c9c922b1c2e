/* What a load sends: bytes that say by their value which connection and which position they are of,
 * so that an answer can be checked wherever it is cut. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { PATTERN_CHUNK = 65536 }; /* bytes that can always be had in one piece */

/* To be called once, before the others. */
void pattern_init(void);
/* The bytes of this connection from this position on: at least PATTERN_CHUNK of them. */
const unsigned char *pattern_at(uint64_t connection, uint64_t position);
