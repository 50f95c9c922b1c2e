#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* The first is what a bare number means; the rest from the smallest up. */
static const struct unit durations[] = { { "", 1000 },     { "ms", 1 },      { "s", 1000 },
                                         { "min", 60000 }, { "h", 3600000 }, { NULL, 0 } };
static const struct unit sizes[] = { { "", 1 },
                                     { "K", UINT64_C(1) << 10 },
                                     { "M", UINT64_C(1) << 20 },
                                     { "G", UINT64_C(1) << 30 },
                                     { NULL, 0 } };
static const struct unit periods[] = {
    { "", 1000 }, { "/s", 1000 }, { "/min", 60000 }, { "/h", 3600000 }, { NULL, 0 }
};

enum { RATE_MAX = 1000000 };

/* Reads digits and moves the cursor behind them. */
static int digits(const char **cursor, uint64_t *out, const char **hint)
{
    const char *text = *cursor;
    uint64_t value = 0;

    *hint = "a number in decimal digits";
    if (*text < '0' || *text > '9')
        return -EINVAL;
    if (text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
        *hint = "a number without leading zeros";
        return -EINVAL;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value)) {
            *hint = "a smaller number";
            return -ERANGE;
        }
    }
    *cursor = text;
    *out = value;
    return 0;
}

static int in_range(uint64_t value, uint64_t min, uint64_t max, const char **hint)
{
    *hint = value < min ? "a larger value" : "a smaller value";
    return value < min || value > max ? -ERANGE : 0;
}

static const struct unit *find_unit(const char *suffix, const struct unit *units)
{
    for (; units->suffix; units++)
        if (!strcmp(suffix, units->suffix))
            return units;
    return NULL;
}

static int parse_scaled(const char *text, const struct unit *units, const char *units_hint,
                        uint64_t *out, const char **hint)
{
    uint64_t value;
    int result = digits(&text, &value, hint);

    if (result == -EINVAL && *text != '0')
        *hint = units_hint;
    if (result)
        return result;
    const struct unit *unit = find_unit(text, units);
    if (!unit) {
        *hint = units_hint;
        return -EINVAL;
    }
    if (__builtin_mul_overflow(value, unit->factor, out)) {
        *hint = "a smaller value";
        return -ERANGE;
    }
    return 0;
}

int text_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out, const char **hint)
{
    uint64_t value;
    int result = digits(&text, &value, hint);

    if (result)
        return result;
    if (*text) {
        *hint = "a number in decimal digits, nothing behind it";
        return -EINVAL;
    }
    *out = value;
    return in_range(value, min, max, hint);
}

int text_parse_bool(const char *text, bool *out, const char **hint)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strcasecmp(text, words[i])) {
            *out = i % 2 == 1;
            return 0;
        }
    }
    *hint = "yes or no";
    return -EINVAL;
}

int text_parse_duration(const char *text, uint64_t min, uint64_t max, uint64_t *out,
                        const char **hint)
{
    int result = parse_scaled(text, durations, "a time as 250ms, 30s, 5min or 1h", out, hint);
    return result ? result : in_range(*out, min, max, hint);
}

int text_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out, const char **hint)
{
    int result = parse_scaled(text, sizes, "bytes, or a size as 64K, 1M or 2G", out, hint);
    return result ? result : in_range(*out, min, max, hint);
}

int text_parse_rate(const char *text, struct rate *out, const char **hint)
{
    static const char right[] = "RATE[/s|/min|/h] [BURST], as 50/s 100, or 0";
    uint64_t tokens, burst;
    char suffix[8];
    int result = digits(&text, &tokens, hint);

    if (result)
        return result;
    size_t length = strcspn(text, " \t");
    *hint = right;
    if (length >= sizeof suffix)
        return -EINVAL;
    memcpy(suffix, text, length);
    suffix[length] = '\0';
    const struct unit *period = find_unit(suffix, periods);
    if (!period)
        return -EINVAL;
    text += length + strspn(text + length, " \t");
    burst = tokens;
    if (*text && (!tokens || digits(&text, &burst, hint) || *text || !burst)) {
        *hint = right;
        return -EINVAL;
    }
    if (tokens > RATE_MAX || burst > RATE_MAX) {
        *hint = "at most 1000000";
        return -ERANGE;
    }
    *out = (struct rate){ (uint32_t)tokens, tokens ? (uint32_t)period->factor : 1000,
                          (uint32_t)burst };
    return 0;
}

int text_parse_mode(const char *text, uint32_t *out, const char **hint)
{
    uint32_t mode = 0;
    size_t length = strspn(text, "01234567");

    *hint = "an octal mode from 0000 to 0777";
    if (!length || length > 4 || text[length])
        return -EINVAL;
    for (; *text; text++)
        mode = mode << 3 | (uint32_t)(*text - '0');
    *out = mode;
    return mode > 0777 ? -ERANGE : 0;
}

static int hex_digit(char digit)
{
    static const char all[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = digit ? strchr(all, digit) : NULL;
    return found ? (int)((found - all) % 16) : -1;
}

/* One character behind a backslash; moves the cursor behind it. 0 where it is none. */
static char unescape(const char **cursor)
{
    static const char names[] = "rnt\\\"", bytes[] = "\r\n\t\\\"";
    const char *text = *cursor, *name = *text ? strchr(names, *text) : NULL;

    if (name) {
        *cursor = text + 1;
        return bytes[name - names];
    }
    int high = *text == 'x' ? hex_digit(text[1]) : -1;
    int low = high < 0 ? -1 : hex_digit(text[2]);
    if (low < 0)
        return '\0';
    *cursor = text + 3;
    return (char)(high << 4 | low);
}

int text_parse_escaped(const char *text, char *out, size_t size, const char **hint)
{
    size_t used = 0;

    while (*text) {
        char byte = *text++;
        if (byte == '\\' && !(byte = unescape(&text))) {
            *hint = "r, n, t, a backslash, or x01 to xFF behind a backslash";
            return -EINVAL;
        }
        if (used + 1 >= size) {
            *hint = "a shorter text";
            return -ERANGE;
        }
        out[used++] = byte;
    }
    if (size)
        out[used] = '\0';
    return 0;
}

static const char *format_scaled(uint64_t value, const struct unit *units, char *text, size_t size)
{
    const struct unit *best = units + 1;

    for (const struct unit *unit = best; value && unit->suffix; unit++)
        if (value % unit->factor == 0)
            best = unit;
    snprintf(text, size, "%" PRIu64 "%s", value / best->factor, value ? best->suffix : "");
    return text;
}

const char *text_format_duration(uint64_t milliseconds, char *text, size_t size)
{
    return format_scaled(milliseconds, durations, text, size);
}

const char *text_format_size(uint64_t bytes, char *text, size_t size)
{
    if (bytes % 1024) {
        snprintf(text, size, "%" PRIu64, bytes);
        return text;
    }
    return format_scaled(bytes, sizes, text, size);
}

const char *text_format_rate(const struct rate *rate, char *text, size_t size)
{
    const struct unit *period = periods + 1;

    while (period[1].suffix && period->factor != rate->period_ms)
        period++;
    if (!rate->tokens)
        snprintf(text, size, "0");
    else
        snprintf(text, size, "%" PRIu32 "%s %" PRIu32, rate->tokens, period->suffix, rate->burst);
    return text;
}

const char *text_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}
