/* Numbers as people read them, short enough for a column. All return `text`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { FORMAT_MAX = 32 };

/* 0, 999, 1.5K, 12K, 3.4M … of 1000. */
const char *format_count(double count, char text[FORMAT_MAX]);
/* 0, 999B, 1.5K, 12K … of 1024. */
const char *format_bytes(double bytes, char text[FORMAT_MAX]);
/* 0.4s, 12s, 5m06s, 3h20m, 2d04h. */
const char *format_seconds(double seconds, char text[FORMAT_MAX]);
