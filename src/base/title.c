#include "base/title.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct {
    char *text;
    size_t room;                     /* 0 until title_init has worked */
    char **arguments, **environment; /* copies; not freed: whoever took a pointer may keep it */
} title;

/* The strings lie one behind the other: argv, then the environment (execve(2)). */
static size_t extend(const char *start, size_t size, char *const *strings)
{
    for (; *strings; strings++)
        if (*strings == start + size)
            size += strlen(*strings) + 1;
    return size;
}

/* The array and its strings, in one piece: an allocation, or NULL. */
static char **copy_strings(char *const *strings)
{
    size_t count = 0, size = 0;
    for (; strings[count]; count++)
        size += strlen(strings[count]) + 1;
    char **copy = malloc((count + 1) * sizeof *copy + size);
    if (!copy)
        return NULL;
    char *text = (char *)(copy + count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = text;
        text = stpcpy(text, strings[i]) + 1;
    }
    copy[count] = NULL;
    return copy;
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
        free(arguments);
        free(environment);
        return;
    }
    title.arguments = arguments;
    title.environment = environ = environment;
    /* Options are still read after the first title, and messages name the program. */
    memcpy(argv, arguments, (size_t)argc * sizeof *argv);
    program_invocation_name = argv[0];
    char *slash = strrchr(argv[0], '/');
    program_invocation_short_name = slash ? slash + 1 : argv[0];
    title.text = start;
    title.room = size;
    size_t end = strlen(start);
    memset(start + end, 0, size - end);
}

/* All is zero behind the first zero, so that this is where the last title ended. */
static size_t last_end(void)
{
    return strnlen(title.text, title.room);
}

/* Whatever the last title left behind the end of this one goes. */
static void end_at(size_t end, size_t last)
{
    if (last > end)
        memset(title.text + end, 0, last - end);
}

void title_set(const char *format, ...)
{
    va_list arguments;

    if (title.room < 2)
        return;
    size_t last = last_end();
    va_start(arguments, format);
    int length = vsnprintf(title.text, title.room, format, arguments);
    va_end(arguments);
    end_at(length < 0 ? 0 : (size_t)length, last);
}

void title_put(const char *text)
{
    size_t end = 0, last = last_end();

    for (; end + 1 < title.room && text[end]; end++)
        title.text[end] = text[end];
    end_at(end, last);
}
