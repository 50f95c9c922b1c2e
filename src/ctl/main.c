/* forkechoctl: speaks with a running forkechod. */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/control.h"

/* The preset of control_socket in conf/options.def; tests/checks/documents.sh compares them. */
#define CONTROL_SOCKET "/run/forkechod/control"

enum { TIMEOUT_MS = 60000, TIMEOUT_LIMIT_MS = 24 * 3600 * 1000 };

static const struct option options[] = {
    { "socket", required_argument, NULL, 's' },
    { "timeout", required_argument, NULL, 'W' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

static void show_help(void)
{
    printf("Usage: forkechoctl [OPTION]... COMMAND\n"
           "\n"
           "Speaks with a running forkechod over its control socket.\n"
           "\n"
           "Commands:\n");
    for (size_t i = 0; i < command_count; i++)
        printf("  %s%s%-15s %s\n", commands[i].name, *commands[i].arguments ? " " : "",
               commands[i].arguments, commands[i].help);
    printf("\n"
           "Options:\n"
           "  -s, --socket PATH   the control socket (" CONTROL_SOCKET ")\n"
           "  -W, --timeout TIME  wait so long for an answer (1min; 0: for ever)\n"
           "  -h, --help          show this text and end\n"
           "  -V, --version       show the version and end\n"
           "\n"
           "Exit status: 0 done, 1 refused, 2 no daemon or a wrong command line.\n");
}

static _Noreturn void refuse(const char *what, const char *value, const char *hint)
{
    char shown[64];

    text_escape(value, strlen(value), shown, sizeof shown);
    errx(EXIT_UNREACHABLE, "%s \"%s\"%s%s%s\nTry `forkechoctl --help`.", what, shown,
         hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
}

/* What getopt_long(3) calls `?` and `:`. */
static _Noreturn void refuse_option(int letter, char **argv)
{
    const char *given = argv[optind - 1];
    char name[] = { '-', (char)optopt, '\0' };

    if (strncmp(given, "--", 2))
        given = name;
    refuse(letter == ':' ? "a value is missing behind" : "no such option:", given, NULL);
}

/* Returns the command with its arguments, or NULL when there is nothing left to do. */
static char **take_options(int argc, char **argv, struct control *control)
{
    const char *hint;
    int letter;

    while ((letter = getopt_long(argc, argv, "+:s:W:hV", options, NULL)) != -1) {
        switch (letter) {
        case 's':
            control->path = optarg;
            break;
        case 'W':
            if (text_parse_duration(optarg, 0, TIMEOUT_LIMIT_MS, &control->timeout_ms, &hint))
                refuse("wrong time", optarg, hint);
            break;
        case 'h':
            show_help();
            return NULL;
        case 'V':
            printf("forkechoctl %s\n", PACKAGE_VERSION);
            return NULL;
        default:
            refuse_option(letter, argv);
        }
    }
    return argv + optind;
}

static int run(const struct control *control, char **words)
{
    char hint[64];

    if (!words[0])
        errx(EXIT_UNREACHABLE, "no command given\nTry `forkechoctl --help`.");
    const struct command *command = command_find(words[0]);
    if (!command) {
        const char *near = command_nearest(words[0]);
        snprintf(hint, sizeof hint, "did you mean \"%s\"?", near ? near : "");
        refuse("no such command:", words[0], near ? hint : NULL);
    }
    int count = 0;
    while (words[count + 1])
        count++;
    if (count > command->argument_count)
        refuse("one argument too many:", words[command->argument_count + 1], NULL);
    if (count < command->argument_count)
        refuse("an argument is missing behind", command->name, command->arguments);
    return command->run(command, control, words + 1);
}

int main(int argc, char **argv)
{
    struct control control = { .path = CONTROL_SOCKET, .timeout_ms = TIMEOUT_MS };

    io_repair_standard();
    opterr = 0;
    char **words = take_options(argc, argv, &control);
    int status = words ? run(&control, words) : 0;
    if (fflush(stdout) || ferror(stdout)) {
        warn("standard output");
        status = status ? status : 1;
    }
    return status;
}
