/*
 * Text that grows as it is written. Appending never fails in the caller's face: what finds no
 * memory sets `failed`, and is looked at once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is an empty one. */
struct buffer {
    char *bytes; /* not terminated */
    size_t length, room;
    bool failed; /* something is missing: there was no memory for it */
};

/* Frees it, and leaves an empty one. */
void buffer_free(struct buffer *buffer);
/* Makes room for so many more bytes. False (and `failed`) without memory. */
bool buffer_reserve(struct buffer *buffer, size_t more);

void buffer_add(struct buffer *buffer, const void *bytes, size_t size);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_number(struct buffer *buffer, uint64_t number);
/* Seconds with so many of the six digits behind the point; cut, not rounded. */
void buffer_seconds(struct buffer *buffer, uint64_t microseconds, unsigned int digits);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
