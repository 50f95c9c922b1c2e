/*
 * Text to value and back, strictly: the whole text has to be the value. All parsers have one shape:
 * 0, or -EINVAL / -ERANGE with *hint a constant text that says what would be right. Each format
 * function writes what its parser reads back to the same value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A token bucket's size as people write it: `RATE[/s|/min|/h] [BURST]`; 0 is off. */
struct rate {
    uint32_t tokens;    /* per period; 0 = no limit */
    uint32_t period_ms; /* 1 000, 60 000 or 3 600 000 */
    uint32_t burst;     /* at least 1 where tokens is not 0; by default equal to tokens */
};

/* Decimal digits alone, no sign, no leading zero but `0` itself, min <= value <= max. */
int text_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                     const char **hint);
/* yes no true false on off 1 0, in any case. */
int text_parse_bool(const char *text, bool *out, const char **hint);
/* `250ms`, `3s`, `5min`, `1h`, a bare number is seconds; to milliseconds. */
int text_parse_duration(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                        const char **hint);
/* `64K`, `1M`, `2G` of 1024, a bare number is bytes. */
int text_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out, const char **hint);
int text_parse_rate(const char *text, struct rate *out, const char **hint);
/* An octal file mode, 0–0777. */
int text_parse_mode(const char *text, uint32_t *out, const char **hint);
/* Bytes with \r \n \t \\ \" \xHH written out; no NUL. `out` is terminated. */
int text_parse_escaped(const char *text, char *out, size_t size, const char **hint);

const char *text_format_duration(uint64_t milliseconds, char *text, size_t size);
const char *text_format_size(uint64_t bytes, char *text, size_t size);
const char *text_format_rate(const struct rate *rate, char *text, size_t size);

/* What makes a noun behind so many of them right: "" or "s". */
const char *text_plural(uint64_t count);

/* Copies foreign bytes so that they can be shown: control bytes, quotes, backslashes and what is
 * not UTF-8 become \xHH. Cut with … when too long. Always terminated. Returns `out`. */
const char *text_escape(const char *bytes, size_t length, char *out, size_t size);

/* The size of the well-formed UTF-8 character at `bytes` (RFC 3629), or 0 where there is none. */
size_t text_utf8(const char *bytes, size_t length);
/* Whether that character, of so many bytes, is a control character: U+0000 to U+001F and U+007F to
 * U+009F. A terminal may take those from U+0080 on for the beginning of a command, too. */
bool text_is_control(const char *character, size_t size);

/* The member of words[0..count-1] that looks most like `word`, or NULL when none is near. */
const char *text_nearest(const char *word, const char *const *words, size_t count);
