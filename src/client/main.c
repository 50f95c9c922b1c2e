/* forkecho: talks with an echo service. This file says what the command line asks for. */
#include <err.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "client/bench.h"
#include "client/connect.h"
#include "client/options.h"
#include "client/ping.h"
#include "client/relay.h"
#include "client/talk.h"

/* 0: all answered and equal; 1: an answer was missing or differed. */
enum { EXIT_NO_SERVICE = 2 /* no connection, or a wrong command line */ };

static int talk_or_relay(const struct options *options, const struct peer *peer, int fd)
{
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

    return terminal ? talk_run(options, peer, fd) : relay_input(options, peer, fd);
}

static int show_help(const struct options *options)
{
    if (options->mode == MODE_HELP)
        options_help();
    else
        printf("forkecho %s\n", PACKAGE_VERSION);
    if (fflush(stdout))
        err(EXIT_NO_SERVICE, "standard output");
    return 0;
}

int main(int argc, char **argv)
{
    static int (*const runs[])(const struct options *, const struct peer *, int) = {
        [MODE_TALK] = talk_or_relay,
        [MODE_MESSAGE] = relay_message,
        [MODE_PING] = ping_run,
    };
    struct options options;
    struct failure why;
    struct peer peer;

    setlocale(LC_CTYPE, "");
    io_repair_standard();
    if (argc > 1 && !strcmp(argv[1], "bench"))
        return bench_run(argc - 1, argv + 1);
    if (options_parse(argc, argv, &options, &why))
        errx(EXIT_NO_SERVICE, "%s\nTry `forkecho --help`.", why.text);
    if (options.mode == MODE_HELP || options.mode == MODE_VERSION)
        return show_help(&options);
    int fd = connect_host(&options, &peer, &why);
    if (fd < 0)
        errx(EXIT_NO_SERVICE, "%s", why.text);
    return runs[options.mode](&options, &peer, fd);
}
