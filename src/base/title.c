#include "base/title.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PREPARED_MAX = 256 };

static struct {
    char *text;
    size_t room; /* 0 until title_init has worked */
    size_t used; /* bytes from the start that may not be zero */
    char prepared[PREPARED_MAX];
} title;

/* The strings lie one behind the other: argv, then the environment (execve(2)). */
static size_t extend(char *start, size_t size, char *const *strings)
{
    for (; *strings; strings++)
        if (*strings == start + size)
            size += strlen(*strings) + 1;
    return size;
}

/* A copy of the array and of each string. Never freed: whoever took a pointer may keep it. */
static char **copy_strings(char *const *strings)
{
    size_t count = 0;
    while (strings[count])
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(strings[i]);
        if (!copy[i]) {
            while (i)
                free(copy[--i]);
            free(copy);
            return NULL;
        }
    }
    return copy;
}

static void free_strings(char **strings)
{
    for (char **string = strings; string && *string; string++)
        free(*string);
    free(strings);
}

void title_init(int argc, char **argv)
{
    prctl(PR_SET_NAME, "forkechod");
    if (argc < 1 || title.room)
        return;
    char *start = argv[0];
    size_t size = extend(start, extend(start, 0, argv), environ);
    char **arguments = copy_strings(argv), **environment = copy_strings(environ);
    if (!arguments || !environment) {
        free_strings(arguments);
        free_strings(environment);
        return;
    }
    environ = environment;
    /* Options are still read after the first title, and messages name the program. */
    memcpy(argv, arguments, (size_t)argc * sizeof *argv);
    free(arguments);
    program_invocation_name = argv[0];
    char *slash = strrchr(argv[0], '/');
    program_invocation_short_name = slash ? slash + 1 : argv[0];
    title.text = start;
    title.room = title.used = size;
}

/* Whatever the last title left behind its end goes. */
static void end_at(size_t end)
{
    while (title.used > end)
        title.text[--title.used] = '\0';
    title.used = end;
}

void title_set(const char *format, ...)
{
    va_list arguments;

    if (title.room < 2)
        return;
    va_start(arguments, format);
    int length = vsnprintf(title.text, title.room, format, arguments);
    va_end(arguments);
    size_t end = length < 0 ? 0 : (size_t)length;
    end_at(end < title.room ? end : title.room - 1);
}

void title_prepare(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(title.prepared, sizeof title.prepared, format, arguments);
    va_end(arguments);
}

bool title_show(void)
{
    size_t end = 0;

    if (!*title.prepared)
        return false;
    for (; end + 1 < title.room && title.prepared[end]; end++)
        title.text[end] = title.prepared[end];
    if (title.room > 1)
        end_at(end);
    return true;
}
