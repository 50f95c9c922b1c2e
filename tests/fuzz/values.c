/* Any text as a value: every parser of base/text.h and every type of option. What is read is
 * written, and that is read back to the same; a time and a size are also read in another way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/options.h"
#include "fuzz.h"

enum { WRITTEN_MAX = 4 * OPTION_TEXT_MAX };

struct unit {
    const char *suffix;
    uint64_t factor;
};
static const struct unit times[] = {
    { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 }
};
static const struct unit sizes[] = {
    { "", 1 }, { "K", 1024 }, { "M", 1024 * 1024 }, { "G", 1024 * 1024 * 1024 }
};

/* A number and its unit, by comparing with every text there is for that number. False: it is none,
 * or more than 64 bits have room for. */
static bool read_slowly(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
    char *end, again[32];
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    int length = snprintf(again, sizeof(again), "%llu", (unsigned long long)number);

    if (errno != 0 || end - text != length || memcmp(again, text, (size_t)length) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        unsigned __int128 value = (unsigned __int128)number * units[i].factor;
        *out = (uint64_t)value;
        if (strcmp(end, units[i].suffix) == 0)
            return value <= UINT64_MAX;
    }
    return false;
}

typedef int parser(const char *text, uint64_t min, uint64_t max, uint64_t *out, const char **hint);
typedef const char *formatter(uint64_t value, char *text, size_t size);

static void try_scaled(const char *text, parser *parse, formatter *format, const struct unit *units,
                       size_t count)
{
    uint64_t value = 0, again = 0, slowly = 0;
    const char *hint = NULL;
    char written[64];
    int result = parse(text, 0, UINT64_MAX, &value, &hint);

    HOLDS(result == 0 || ((result == -EINVAL || result == -ERANGE) && hint != NULL));
    HOLDS((result == 0) == read_slowly(text, units, count, &slowly));
    if (result != 0)
        return;
    HOLDS(value == slowly);
    HOLDS(parse(format(value, written, sizeof(written)), value, value, &again, &hint) == 0);
    HOLDS(again == value);
    HOLDS(value == 0 || parse(text, 0, value - 1, &again, &hint) == -ERANGE);
    HOLDS(value == UINT64_MAX || parse(text, value + 1, UINT64_MAX, &again, &hint) == -ERANGE);
}

static void try_rate(const char *text)
{
    struct rate rate, again;
    const char *hint;
    char written[64];

    if (text_parse_rate(text, &rate, &hint) != 0)
        return;
    HOLDS(rate.tokens == 0 || rate.burst > 0);
    HOLDS(text_parse_rate(text_format_rate(&rate, written, sizeof(written)), &again, &hint) == 0);
    HOLDS(memcmp(&rate, &again, sizeof(rate)) == 0);
}

static void try_option(const struct conf_option *option, const char *text)
{
    static union {
        struct conf_daemon daemon;
        struct service service;
    } first, second;
    struct option_mistake mistake = { .what = NULL };
    char written[WRITTEN_MAX];

    memset(&first, 0, sizeof(first));
    memset(&second, 0, sizeof(second));
    if (!option_read(option, text, &first, &mistake)) {
        HOLDS(mistake.what != NULL && memchr(mistake.right, '\0', sizeof(mistake.right)) != NULL);
        return;
    }
    option_format(option, &first, written, sizeof(written));
    HOLDS(option_read(option, written, &second, &mistake));
    HOLDS(memcmp(&first, &second, sizeof(first)) == 0);
}

/* What is shown has no byte that could do something, and is terminated in time. */
static void try_escape(const uint8_t *bytes, size_t size)
{
    char *shown = malloc(size + 1);
    text_escape((const char *)bytes, size, shown, size + 1);
    size_t length = strnlen(shown, size + 1);
    HOLDS(length <= size);
    for (size_t i = 0, step; i < length; i += step) {
        step = text_utf8(shown + i, length - i);
        HOLDS(step > 0);
        HOLDS((unsigned char)shown[i] >= ' ' && shown[i] != 0x7f && shown[i] != '"');
    }
    free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const words[] = { "reload", "pause", "resume", "drain", "" };
    char *text = fuzz_text(bytes, size);
    bool flag;
    const char *hint;

    try_scaled(text, text_parse_duration, text_format_duration, times, 5);
    try_scaled(text, text_parse_size, text_format_size, sizes, 4);
    try_rate(text);
    text_parse_bool(text, &flag, &hint);
    for (int i = 0; i < OPTIONS; i++)
        try_option(&conf_options[i], text);
    if (size > 0)
        try_escape(bytes, size);
    text_nearest(text, words, sizeof(words) / sizeof(words[0]));
    free(text);
    return 0;
}
