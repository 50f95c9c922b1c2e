#include "conf/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static char no_memory[] = "out of memory while the configuration was read";
static char *no_memory_lines[] = { no_memory };

struct shown show(const char *bytes, size_t length)
{
    struct shown shown;

    text_escape(bytes, length, shown.text, sizeof(shown.text));
    return shown;
}

/* `FILE:LINE: [section] key: ` in front of the message, in one new text. */
static char *compose(const struct conf_place *place, const char *message)
{
    char file[1024], line[16] = "", about[2 * SHOWN_MAX] = "", *text = NULL;

    if (place->file)
        text_escape(place->file, strlen(place->file), file, sizeof(file));
    else
        snprintf(file, sizeof(file), "command line");
    if (place->line)
        snprintf(line, sizeof(line), ":%u", place->line);
    if (place->section)
        snprintf(about, sizeof(about),
                 "[%s]%s%s: ", show(place->section, strlen(place->section)).text,
                 place->key ? " " : "", place->key ? place->key : "");
    if (asprintf(&text, "%s%s: %s%s", file, line, about, message) < 0)
        return NULL;
    return text;
}

static bool is_known(const struct findings *findings, const struct conf_place *place,
                     const char *text)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->all[i].source == place->source && !strcmp(findings->all[i].text, text))
            return true;
    return false;
}

static void add(struct findings *findings, const struct conf_place *place, bool warning,
                const char *message)
{
    char *text = compose(place, message);

    if (text && is_known(findings, place, text)) {
        free(text);
        return;
    }
    findings->errors += !warning;
    if (text && findings->count == FINDINGS_MAX) {
        findings->left_out++;
        free(text);
        return;
    }
    struct finding *more =
        text ? reallocarray(findings->all, findings->count + 1, sizeof(*more)) : NULL;
    if (!more) {
        free(text);
        findings->out_of_memory = true;
        return;
    }
    findings->all = more;
    more[findings->count] = (struct finding){ .text = text,
                                              .source = place->source,
                                              .order = place->order,
                                              .sequence = (unsigned int)findings->count,
                                              .warning = warning };
    findings->count++;
}

void findings_error(struct findings *findings, const struct conf_place *place, const char *format,
                    ...)
{
    char message[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    add(findings, place, false, message);
}

void findings_warning(struct findings *findings, const struct conf_place *place, const char *format,
                      ...)
{
    char message[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    add(findings, place, true, message);
}

bool findings_good(const struct findings *findings)
{
    return !findings->errors && !findings->out_of_memory;
}

static int compare(const void *a, const void *b)
{
    const struct finding *left = a, *right = b;

    if (left->warning != right->warning)
        return left->warning ? 1 : -1;
    if (left->source != right->source)
        return left->source < right->source ? -1 : 1;
    if (left->order != right->order)
        return left->order < right->order ? -1 : 1;
    return left->sequence < right->sequence ? -1 : 1;
}

static void clear(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        free(findings->all[i].text);
    free(findings->all);
    *findings = (struct findings){ 0 };
}

/* The texts as lines of their own array. False without memory. */
static bool hand_over(struct findings *findings, struct conf_mistakes *mistakes)
{
    char *rest = NULL;
    size_t count = findings->count + (findings->left_out > 0);

    if (findings->out_of_memory)
        return false;
    if (!count)
        return true;
    char **lines = calloc(count, sizeof(*lines));
    if (!lines)
        return false;
    if (findings->left_out && asprintf(&rest, "and %zu more mistakes", findings->left_out) < 0) {
        free(lines);
        return false;
    }
    qsort(findings->all, findings->count, sizeof(*findings->all), compare);
    for (size_t i = 0; i < findings->count; i++) {
        lines[i + (rest && findings->all[i].warning)] = findings->all[i].text;
        mistakes->warnings += findings->all[i].warning;
    }
    if (rest)
        lines[findings->count - mistakes->warnings] = rest;
    mistakes->lines = lines;
    mistakes->count = count;
    findings->count = 0;
    return true;
}

void findings_finish(struct findings *findings, struct conf_mistakes *mistakes)
{
    *mistakes = (struct conf_mistakes){ 0 };
    if (!hand_over(findings, mistakes)) {
        findings->out_of_memory = true;
        *mistakes = (struct conf_mistakes){ .lines = no_memory_lines, .count = 1 };
    }
    bool out_of_memory = findings->out_of_memory;
    size_t errors = findings->errors;
    clear(findings);
    findings->out_of_memory = out_of_memory;
    findings->errors = errors;
}

void conf_mistakes_free(struct conf_mistakes *mistakes)
{
    if (mistakes->lines != no_memory_lines) {
        for (size_t i = 0; i < mistakes->count; i++)
            free(mistakes->lines[i]);
        free(mistakes->lines);
    }
    *mistakes = (struct conf_mistakes){ 0 };
}
