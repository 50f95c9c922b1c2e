#include "ctl/commands.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* What is wrong goes to standard error, where a caller looks for the reason of a failure. */
static void tell_reload(enum control_verdict verdict, const char *line)
{
    if (line)
        fprintf(stderr, "%s\n", line);
    else if (verdict == CONTROL_OK)
        printf("reload accepted\n");
    else
        warnx("reload rejected, the old configuration stays in force");
}

static int reload(const struct command *command, const struct control *control, char **arguments)
{
    struct failure why;

    (void)arguments;
    int verdict = control_ask(control, command->name, tell_reload, &why);
    if (verdict < 0 || verdict == CONTROL_ERROR)
        warnx("%s", why.text);
    if (verdict < 0)
        return EXIT_UNREACHABLE;
    return verdict == CONTROL_OK ? 0 : 1;
}

const struct command commands[] = {
    { "reload", "", "read the configuration again, and wait for what comes of it", 0, reload },
};

enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

const size_t command_count = COMMAND_COUNT;

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

const char *command_nearest(const char *name)
{
    const char *names[COMMAND_COUNT];

    for (size_t i = 0; i < command_count; i++)
        names[i] = commands[i].name;
    return text_nearest(name, names, command_count);
}
