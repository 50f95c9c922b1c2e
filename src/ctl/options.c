#include "ctl/options.h"

#include <err.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* The preset of control_socket in conf/options.def; tests/checks/documents.sh compares them. */
#define CONTROL_SOCKET "/run/forkechod/control"
#define STATUS_ADDRESS "unix:/run/forkechod/status"

enum { TIMEOUT_MS = 60000, INTERVAL_MS = 1000, TIMEOUT_LIMIT_MS = 24 * 3600 * 1000 };

enum kind { TEXT, TIME, FLAG, HELP, VERSION_ };

#define AT(member) offsetof(struct call, member)

/* Every option once. Those that not every command takes are asked for by their letters in the table
 * of commands. */
static const struct {
    int letter;
    const char *name;
    const char *argument; /* NULL: none */
    const char *help;
    bool everywhere;
    enum kind kind;
    size_t at;
} table[] = {
    { 's', "socket", "PATH", "the control socket (" CONTROL_SOCKET ")", true, TEXT,
      AT(control.path) },
    { 'W', "timeout", "TIME", "wait so long for an answer (1min; 0: for ever)", true, TIME,
      AT(control.timeout_ms) },
    { 'j', "json", NULL, "print JSON", false, FLAG, AT(json) },
    { 'S', "status", "ADDRESS", "the status service (" STATUS_ADDRESS ")", false, TEXT,
      AT(status) },
    { 'c', "client", "ADDRESS", "only sessions of this client: with port, without, or a network",
      false, TEXT, AT(client) },
    { 'n', "service", "NAME", "only sessions of this service", false, TEXT, AT(service) },
    { 'k', "sort", "KEY", "age idle in out in/s out/s turns pid id service client state", false,
      TEXT, AT(sort) },
    { 'H', "no-header", NULL, "without the line of titles", false, FLAG, AT(no_header) },
    { 'i', "interval", "TIME", "look again after so long (1s)", false, TIME, AT(interval_ms) },
    { '1', "once", NULL, "print one screen as text, and end", false, FLAG, AT(once) },
    { 'h', "help", NULL, "show this text and end", true, HELP, 0 },
    { 'V', "version", NULL, "show the version and end", true, VERSION_, 0 },
};

enum { TABLE = sizeof table / sizeof *table };

static void show_help(void)
{
    char left[32];

    printf("Usage: forkechoctl [OPTION]... COMMAND [ARGUMENT]...\n"
           "\n"
           "Looks at a running forkechod, and tells it what to do.\n"
           "\n"
           "Commands:\n");
    for (size_t i = 0; i < command_count; i++) {
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].arguments);
        printf("  %-21s %s\n", left, commands[i].help);
    }
    printf("\nOptions:\n");
    for (size_t i = 0; i < TABLE; i++) {
        snprintf(left, sizeof left, "-%c, --%s %s", table[i].letter, table[i].name,
                 table[i].argument ? table[i].argument : "");
        printf("  %-21s %s\n", left, table[i].help);
    }
    printf("\nExit status: 0 done, 1 refused, 2 no daemon or a wrong command line.\n");
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

    if (strncmp(given, "--", 2) != 0)
        given = name;
    refuse(letter == ':' ? "a value is missing behind" : "no such option:", given, NULL);
}

/* What getopt_long(3) wants to be told, from the table. */
static void describe(char letters[2 * TABLE + 2], struct option words[TABLE + 1])
{
    *letters++ = ':';
    for (size_t i = 0; i < TABLE; i++) {
        words[i] = (struct option){ .name = table[i].name,
                                    .has_arg = table[i].argument ? required_argument : no_argument,
                                    .val = table[i].letter };
        *letters++ = (char)table[i].letter;
        if (table[i].argument)
            *letters++ = ':';
    }
    words[TABLE] = (struct option){ 0 };
    *letters = '\0';
}

static void take(size_t option, struct call *out)
{
    char *member = (char *)out + table[option].at;
    const char *hint;

    switch (table[option].kind) {
    case TEXT:
        memcpy(member, &optarg, sizeof optarg);
        break;
    case TIME:
        if (text_parse_duration(optarg, 0, TIMEOUT_LIMIT_MS, (uint64_t *)(void *)member, &hint))
            refuse("wrong time", optarg, hint);
        break;
    case FLAG:
        *(bool *)member = true;
        break;
    case HELP:
        show_help();
        break;
    case VERSION_:
        printf("forkechoctl %s\n", PACKAGE_VERSION);
        break;
    }
}

/* Takes them wherever they stand. given[i] tells that the table's i-th was there. */
static void take_options(int argc, char **argv, bool given[TABLE], struct call *out)
{
    struct option words[TABLE + 1];
    char letters[2 * TABLE + 2];
    int letter;

    describe(letters, words);
    opterr = 0;
    while ((letter = getopt_long(argc, argv, letters, words, NULL)) != -1) {
        size_t i = 0;
        while (i < TABLE && table[i].letter != letter)
            i++;
        if (i == TABLE)
            refuse_option(letter, argv);
        take(i, out);
        given[i] = true;
        if (table[i].kind == HELP || table[i].kind == VERSION_)
            return;
    }
}

static const struct command *find(const char *word)
{
    const struct command *command = word ? command_find(word) : NULL;
    char hint[64];

    if (!word)
        errx(EXIT_UNREACHABLE, "no command given\nTry `forkechoctl --help`.");
    if (command)
        return command;
    const char *near = command_nearest(word);
    snprintf(hint, sizeof hint, "did you mean \"%s\"?", near ? near : "");
    refuse("no such command:", word, near ? hint : NULL);
}

void options_read(int argc, char **argv, struct call *out)
{
    bool given[TABLE] = { false };

    *out = (struct call){ .control = { .path = CONTROL_SOCKET, .timeout_ms = TIMEOUT_MS },
                          .status = STATUS_ADDRESS,
                          .interval_ms = INTERVAL_MS };
    take_options(argc, argv, given, out);
    for (size_t i = 0; i < TABLE; i++)
        if (given[i] && (table[i].kind == HELP || table[i].kind == VERSION_))
            return;
    const struct command *command = find(argv[optind]);
    for (size_t i = 0; i < TABLE; i++)
        if (given[i] && !table[i].everywhere && !strchr(command->options, table[i].letter))
            errx(EXIT_UNREACHABLE, "%s takes no --%s\nTry `forkechoctl --help`.", command->name,
                 table[i].name);
    out->command = command;
    out->arguments = argv + optind + 1;
    while (out->arguments[out->count])
        out->count++;
    if (out->count > command->most)
        refuse("one argument too many:", out->arguments[command->most], NULL);
    if (out->count < command->least)
        refuse("an argument is missing behind", command->name, command->arguments);
}
