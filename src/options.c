#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "service/handlers.h"

enum { OPTION_LISTEN = 256, OPTION_HANDLER, OPTION_HELP, OPTION_VERSION };

static const struct {
    int letter; /* above 255: none */
    const char *name;
    const char *argument;
    const char *help;
} table[] = {
    { 'c', "config", "FILE", "read FILE instead of " SYSCONFDIR "/forkechod.conf" },
    { 'F', "foreground", NULL, "do not detach; the log goes to stderr unless told otherwise" },
    { 't', "check", NULL, "check the configuration, say all that is wrong with it, and exit" },
    { 'T', "dump", NULL, "print the effective configuration and exit" },
    { 'o', "option", "SECTION.KEY=VALUE", "set one key, over the file; may be repeated" },
    { '1', "addresses", NULL, "print `SERVICE ADDRESS` for each address once all are listening" },
    { OPTION_LISTEN, "listen", "ADDRESS", "serve on ADDRESS, without a configuration file" },
    { OPTION_HANDLER, "handler", "NAME", "with --listen or -i: the handler (echo)" },
    { 'i', "inetd", NULL, "serve the one client on descriptor 0 and exit" },
    { OPTION_HELP, "help", NULL, "print this and exit" },
    { OPTION_VERSION, "version", NULL, "print the version and exit" },
};
enum { TABLE = sizeof(table) / sizeof(table[0]) };

static void print_handlers(void)
{
    const char *const *names;
    size_t count = handler_names(&names);
    puts("\nHandlers:");
    for (size_t i = 0; i < count; i++)
        printf("  %-10s %s\n", names[i], handler_find(names[i])->summary);
}

void options_print_help(void)
{
    puts("usage: forkechod [-c FILE] [-F] [-t | -T] [-o SECTION.KEY=VALUE]... [-1]\n"
         "       forkechod [-F] [-1] --listen ADDRESS [--handler NAME]\n"
         "       forkechod -i [--handler NAME]\n");
    for (size_t i = 0; i < TABLE; i++) {
        char letter[4] = "   ", word[40];
        if (table[i].letter < 256)
            snprintf(letter, sizeof(letter), "-%c,", table[i].letter);
        snprintf(word, sizeof(word), "--%s%s%s", table[i].name, table[i].argument ? " " : "",
                 table[i].argument ? table[i].argument : "");
        printf("  %s %-28s %s\n", letter, word, table[i].help);
    }
    print_handlers();
    puts("\nSee forkechod(8) and forkechod.conf(5).");
}

/* What getopt_long(3) wants to be told, from the table. */
static void describe(char letters[2 * TABLE + 1], struct option words[TABLE + 1])
{
    for (size_t i = 0; i < TABLE; i++) {
        words[i] = (struct option){ .name = table[i].name,
                                    .has_arg = table[i].argument ? required_argument : no_argument,
                                    .val = table[i].letter };
        if (table[i].letter > 255)
            continue;
        *letters++ = (char)table[i].letter;
        if (table[i].argument)
            *letters++ = ':';
    }
    words[TABLE] = (struct option){ 0 };
    *letters = '\0';
}

static int complain(int status, const char *what, const char *why)
{
    fprintf(stderr, "forkechod: %s: %s\n", what, why);
    return status;
}

/* The daemon goes to /, and a reload reads the file again: so it is named from there. */
static int set_file(struct options *options, const char *path)
{
    char here[PATH_MAX];
    free(options->file);
    options->file = NULL;
    if (path[0] == '/')
        options->file = strdup(path);
    else if (getcwd(here, sizeof(here)) == NULL)
        return complain(EX_OSERR, "the working directory", strerror(errno));
    else if (asprintf(&options->file, "%s/%s", here, path) < 0)
        options->file = NULL;
    return options->file == NULL ? complain(EX_OSERR, path, strerror(ENOMEM)) : 0;
}

/* Takes over `text`, an allocation or NULL. */
static int add_override(struct options *options, char *text)
{
    char **more = reallocarray(options->overrides, options->override_count + 1, sizeof(*more));
    if (more != NULL)
        options->overrides = more;
    if (text == NULL || more == NULL) {
        free(text);
        return complain(EX_OSERR, "the command line", strerror(ENOMEM));
    }
    more[options->override_count++] = text;
    return 0;
}

static int add_setting(struct options *options, const char *section, const char *key,
                       const char *value)
{
    char *text = NULL;
    if (asprintf(&text, "%s.%s=%s", section, key, value) < 0)
        text = NULL;
    return add_override(options, text);
}

/* Without a file there is no place for a pid file or a control socket that is nobody else's. They
 * come first, so that -o has the last word. */
static int set_fileless(struct options *options)
{
    const char *handler = options->handler ? options->handler : "echo";
    const char *name = handler_find(handler) ? handler : "echo"; /* what is none will be told */
    char **given = options->overrides;
    size_t count = options->override_count;
    int status;

    options->overrides = NULL;
    options->override_count = 0;
    status = add_setting(options, "daemon", "pid_file", "");
    if (status == 0)
        status = add_setting(options, "daemon", "control_socket", "");
    if (status == 0)
        status = add_setting(options, name, "handler", handler);
    if (status == 0)
        status =
            add_setting(options, name, "listen", options->listen ? options->listen : "127.0.0.1:0");
    for (size_t i = 0; i < count; i++)
        if (status == 0)
            status = add_override(options, given[i]);
        else
            free(given[i]);
    free(given);
    return status;
}

static int take(struct options *options, int letter, const char *argument)
{
    switch (letter) {
    case 'c':
        return set_file(options, argument);
    case 'F':
        options->foreground = true;
        return 0;
    case 't':
        options->mode = MODE_CHECK;
        return 0;
    case 'T':
        options->mode = MODE_DUMP;
        return 0;
    case 'o':
        /* A copy: the title will be written over the arguments. */
        return add_override(options, strdup(argument));
    case '1':
        options->print_addresses = true;
        return 0;
    case 'i':
        options->mode = MODE_ONE_CLIENT;
        return 0;
    case OPTION_LISTEN:
        options->listen = argument;
        return 0;
    case OPTION_HANDLER:
        options->handler = argument;
        return 0;
    case OPTION_HELP:
        options->mode = MODE_HELP;
        return 0;
    case OPTION_VERSION:
        options->mode = MODE_VERSION;
        return 0;
    default: /* getopt has said what is wrong */
        fputs("forkechod: see forkechod --help\n", stderr);
        return EX_USAGE;
    }
}

static int check_together(const struct options *options)
{
    bool fileless = options->listen != NULL || options->mode == MODE_ONE_CLIENT;
    if (options->listen != NULL && options->mode == MODE_ONE_CLIENT)
        return complain(EX_USAGE, "-i", "goes without --listen: its client is there already");
    if (fileless && options->file != NULL)
        return complain(EX_USAGE, "-c", "goes without --listen and -i: those need no file");
    if (options->handler != NULL && !fileless)
        return complain(EX_USAGE, "--handler", "goes with --listen or -i");
    return 0;
}

/* Copies: the title will be written over the arguments, and getopt sorts them. */
static int keep_arguments(struct options *options, int argc, char **argv)
{
    options->arguments = calloc((size_t)argc + 1, sizeof(*options->arguments));
    for (int i = 0; options->arguments != NULL && i < argc; i++)
        if ((options->arguments[i] = strdup(argv[i])) == NULL)
            return -1;
    return options->arguments == NULL ? -1 : 0;
}

int options_parse(int argc, char **argv, struct options *options)
{
    char letters[2 * TABLE + 1];
    struct option words[TABLE + 1];
    int letter, status;

    *options = (struct options){ .mode = MODE_SERVE };
    if (keep_arguments(options, argc, argv) < 0)
        return complain(EX_OSERR, "the command line", strerror(ENOMEM));
    describe(letters, words);
    while ((letter = getopt_long(argc, argv, letters, words, NULL)) != -1)
        if ((status = take(options, letter, optarg)) != 0)
            return status;
    if (optind < argc)
        return complain(EX_USAGE, argv[optind], "forkechod takes options alone (see --help)");
    if ((status = check_together(options)) != 0)
        return status;
    if (options->listen != NULL || options->mode == MODE_ONE_CLIENT)
        return set_fileless(options);
    return options->file == NULL ? set_file(options, SYSCONFDIR "/forkechod.conf") : 0;
}

void options_free(struct options *options)
{
    for (size_t i = 0; i < options->override_count; i++)
        free(options->overrides[i]);
    for (size_t i = 0; options->arguments != NULL && options->arguments[i] != NULL; i++)
        free(options->arguments[i]);
    free(options->arguments);
    free(options->overrides);
    free(options->file);
    *options = (struct options){ 0 };
}
