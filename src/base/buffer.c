#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_LEAST = 4096, DIGITS_MAX = 20, FRACTION = 6 };

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){ 0 };
}

bool buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->room - buffer->length >= more)
        return true;
    size_t room = buffer->room < ROOM_LEAST ? ROOM_LEAST : buffer->room;
    while (room - buffer->length < more && room <= SIZE_MAX / 2)
        room *= 2;
    char *bytes = room - buffer->length < more ? NULL : realloc(buffer->bytes, room);
    if (bytes == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = bytes;
    buffer->room = room;
    return true;
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0 || !buffer_reserve(buffer, size))
        return;
    memcpy(buffer->bytes + buffer->length, bytes, size);
    buffer->length += size;
}

void buffer_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_number(struct buffer *buffer, uint64_t number)
{
    char digits[DIGITS_MAX], *first = digits + sizeof digits;
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buffer_add(buffer, first, (size_t)(digits + sizeof digits - first));
}

void buffer_seconds(struct buffer *buffer, uint64_t microseconds, unsigned int digits)
{
    char fraction[FRACTION];
    uint64_t rest = microseconds % 1000000;
    for (int i = FRACTION - 1; i >= 0; i--, rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    buffer_number(buffer, microseconds / 1000000);
    buffer_text(buffer, ".");
    buffer_add(buffer, fraction, digits < FRACTION ? digits : FRACTION);
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    char text[512];

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text)
        buffer->failed = true; /* longer than whoever wrote the format thought */
    else
        buffer_add(buffer, text, (size_t)length);
}
