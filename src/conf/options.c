#include "conf/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OFFSET_DAEMON(name)  offsetof(struct conf_daemon, name)
#define OFFSET_SERVICE(name) offsetof(struct service, name)
#define OFFSET_ONLY(name)    offsetof(struct service, name)
enum { RELOAD, RESTART };

const struct conf_option conf_options[OPTIONS] = {
#define THEME(title)
#define OPTION(scope, type, name, low, high, preset, words, reload, help)                          \
    [scope##_##                                                                                    \
        name] = { OPTION_IN_##scope,   OPTION_##type,       #name, low, high, preset, words,       \
                  (reload) == RESTART, OFFSET_##scope(name) },
#include "conf/options.def"
#undef OPTION
#undef THEME
};

/* What to call a text that is no value of its type. */
static const char *const wrong[] = {
    [OPTION_BOOL] = "neither yes nor no",
    [OPTION_COUNT] = "not a number",
    [OPTION_DURATION] = "not a time",
    [OPTION_SIZE] = "not a size",
    [OPTION_RATE] = "not a rate",
    [OPTION_MODE] = "not a file mode",
    [OPTION_CHOICE] = "none of the words",
    [OPTION_TEXT] = "not a text",
    [OPTION_NAME] = "not a name",
    [OPTION_PATH] = "not a path",
    [OPTION_HANDLER] = "not a handler",
    [OPTION_ADDRESSES] = "not an address",
    [OPTION_NETWORKS] = "not an address or a network",
};

bool option_fits(const struct conf_option *option, enum option_scope section)
{
    return option->scope == section ||
           (option->scope == OPTION_IN_SERVICE && section == OPTION_IN_ONLY);
}

int option_find(const char *name, enum option_scope section)
{
    for (int i = 0; i < OPTIONS; i++)
        if (option_fits(&conf_options[i], section) && !strcmp(conf_options[i].name, name))
            return i;
    return -1;
}

static int read_count(const struct conf_option *option, const char *text, uint32_t *out,
                      const char **hint)
{
    uint64_t value = 0;
    if (*option->words && !strcmp(text, option->words)) {
        *out = 0;
        return 0;
    }
    int result = text_parse_count(text, option->low, option->high, &value, hint);

    *out = (uint32_t)value;
    return result;
}

static int read_choice(const char *words, const char *text, uint32_t *out)
{
    size_t length = strlen(text);

    for (*out = 0;; ++*out) {
        size_t size = strcspn(words, "|");
        if (size == length && !memcmp(words, text, size))
            return 0;
        if (!words[size])
            return -EINVAL;
        words += size + 1;
    }
}

/* What users, groups, devices and handlers may be called. */
static int read_name(const char *text, char out[OPTION_NAME_MAX], const char **hint)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._@:+-";
    size_t length = strlen(text);

    *hint = "letters, digits and . _ @ : + -, with no - in front";
    if (text[strspn(text, allowed)] || *text == '-')
        return -EINVAL;
    if (length >= OPTION_NAME_MAX)
        return -ERANGE;
    memcpy(out, text, length + 1);
    return 0;
}

static int read_path(const char *text, char out[OPTION_TEXT_MAX], const char **hint)
{
    size_t length = strlen(text);

    *hint = "one that begins with /, or nothing";
    if (*text && *text != '/')
        return -EINVAL;
    if (length >= OPTION_TEXT_MAX)
        return -ERANGE;
    memcpy(out, text, length + 1);
    return 0;
}

static int read_member(const struct conf_option *option, const char *text, void *member,
                       const char **hint)
{
    switch (option->type) {
    case OPTION_BOOL:
        return text_parse_bool(text, member, hint);
    case OPTION_COUNT:
        return read_count(option, text, member, hint);
    case OPTION_DURATION:
        return text_parse_duration(text, option->low, option->high, member, hint);
    case OPTION_SIZE:
        return text_parse_size(text, option->low, option->high, member, hint);
    case OPTION_RATE:
        return text_parse_rate(text, member, hint);
    case OPTION_MODE:
        return text_parse_mode(text, member, hint);
    case OPTION_CHOICE:
        return read_choice(option->words, text, member);
    case OPTION_TEXT:
        return text_parse_escaped(text, member, OPTION_TEXT_MAX, hint);
    case OPTION_NAME:
    case OPTION_HANDLER:
        return read_name(text, member, hint);
    case OPTION_PATH:
        return read_path(text, member, hint);
    case OPTION_ADDRESSES:
    case OPTION_NETWORKS:
        break;
    }
    return -EINVAL;
}

/* The words of a choice, as a sentence has them. */
static void list_words(const char *words, char *out, size_t size)
{
    size_t used = 0;

    for (; *words && used + 3 < size; words++) {
        if (*words == '|')
            out[used++] = ',';
        out[used++] = *words == '|' ? ' ' : *words;
    }
    out[used] = '\0';
}

/* What would be in range. */
static void tell_range(const struct conf_option *option, const char *hint, char *out, size_t size)
{
    char low[32], high[32];

    if (option->type == OPTION_TEXT || option->type == OPTION_PATH)
        snprintf(out, size, "at most %d bytes", OPTION_TEXT_MAX - 1);
    else if (option->type == OPTION_NAME || option->type == OPTION_HANDLER)
        snprintf(out, size, "at most %d bytes", OPTION_NAME_MAX - 1);
    else if (option->type == OPTION_COUNT)
        snprintf(out, size, "%" PRIu64 " to %" PRIu64, option->low, option->high);
    else if (option->type == OPTION_DURATION)
        snprintf(out, size, "%s to %s", text_format_duration(option->low, low, sizeof(low)),
                 text_format_duration(option->high, high, sizeof(high)));
    else if (option->type == OPTION_SIZE)
        snprintf(out, size, "%s to %s", text_format_size(option->low, low, sizeof(low)),
                 text_format_size(option->high, high, sizeof(high)));
    else
        snprintf(out, size, "%s", hint);
}

bool option_read(const struct conf_option *option, const char *text, void *object,
                 struct option_mistake *mistake)
{
    const char *hint = "";
    int result = read_member(option, text, (char *)object + option->offset, &hint);

    if (!result)
        return true;
    mistake->what = result == -ERANGE ? "out of range" : wrong[option->type];
    if (result == -ERANGE)
        tell_range(option, hint, mistake->right, sizeof(mistake->right));
    else if (option->type == OPTION_CHOICE)
        list_words(option->words, mistake->right, sizeof(mistake->right));
    else
        snprintf(mistake->right, sizeof(mistake->right), "%s", hint);
    return false;
}

/* As it would be typed: what has a short escape gets that. */
static void format_text(const char *bytes, char *text, size_t size)
{
    static const char bare[] = "\r\n\t\\", named[] = "rnt\\";
    size_t used = 0, length = strlen(bytes);

    while (length) {
        size_t taken = text_utf8(bytes, length) ? text_utf8(bytes, length) : 1;
        const char *found = strchr(bare, *bytes);
        if (found)
            snprintf(text + used, size - used, "\\%c", named[found - bare]);
        else
            text_escape(bytes, taken, text + used, size - used);
        used += strlen(text + used);
        bytes += taken;
        length -= taken;
    }
}

static void format_choice(const char *words, uint32_t index, char *text, size_t size)
{
    while (index-- && *words)
        words += strcspn(words, "|") + 1;
    snprintf(text, size, "%.*s", (int)strcspn(words, "|"), words);
}

const char *option_format(const struct conf_option *option, const void *object, char *text,
                          size_t size)
{
    const void *member = (const char *)object + option->offset;

    *text = '\0';
    switch (option->type) {
    case OPTION_BOOL:
        snprintf(text, size, "%s", *(const bool *)member ? "yes" : "no");
        break;
    case OPTION_COUNT:
        if (*option->words && *(const uint32_t *)member == 0)
            snprintf(text, size, "%s", option->words);
        else
            snprintf(text, size, "%" PRIu32, *(const uint32_t *)member);
        break;
    case OPTION_DURATION:
        return text_format_duration(*(const uint64_t *)member, text, size);
    case OPTION_SIZE:
        return text_format_size(*(const uint64_t *)member, text, size);
    case OPTION_RATE:
        return text_format_rate(member, text, size);
    case OPTION_MODE:
        snprintf(text, size, "%04" PRIo32, *(const uint32_t *)member);
        break;
    case OPTION_CHOICE:
        format_choice(option->words, *(const uint32_t *)member, text, size);
        break;
    case OPTION_TEXT:
        format_text(member, text, size);
        break;
    case OPTION_NAME:
    case OPTION_HANDLER:
    case OPTION_PATH:
        snprintf(text, size, "%s", (const char *)member);
        break;
    case OPTION_ADDRESSES:
    case OPTION_NETWORKS:
        break;
    }
    return text;
}
