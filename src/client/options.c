#include "client/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "base/text.h"

enum { SIZE_LIMIT = 1 << 20, TIME_LIMIT_MS = 24 * 3600 * 1000, SHORT_MAX = 64 };

/* Every option once: letter, name, argument (or ""), help. */
#define OPTIONS(OPTION)                                                                            \
    OPTION('4', "ipv4", "", "use IPv4 only")                                                       \
    OPTION('6', "ipv6", "", "use IPv6 only")                                                       \
    OPTION('U', "unix", "PATH", "connect to the Unix socket PATH, or to the abstract one @NAME")   \
    OPTION('m', "message", "TEXT", "send TEXT, print the answer, end")                             \
    OPTION('c', "count", "N", "send N messages and compare and time their echoes")                 \
    OPTION('i', "interval", "TIME", "the time from one message to the next (1s)")                  \
    OPTION('s', "size", "SIZE", "bytes in each message (56)")                                      \
    OPTION('q', "quiet", "", "no line for each message, only the statistics")                      \
    OPTION('W', "timeout", "TIME", "wait so long for a connection or an answer (5s; 0: for ever)") \
    OPTION('h', "help", "", "show this text and end")                                              \
    OPTION('V', "version", "", "show the version and end")

static const struct option longs[] = {
#define OPTION(letter, name, argument, help)                                                       \
    { name, sizeof argument > 1 ? required_argument : no_argument, NULL, letter },
    OPTIONS(OPTION)
#undef OPTION
        { NULL, 0, NULL, 0 }
};

enum { OPTION_COUNT = sizeof longs / sizeof *longs - 1 };

static const char *const arguments[] = {
#define OPTION(letter, name, argument, help) argument,
    OPTIONS(OPTION)
#undef OPTION
};

static const char *const helps[] = {
#define OPTION(letter, name, argument, help) help,
    OPTIONS(OPTION)
#undef OPTION
};

void options_help(void)
{
    printf("Usage: forkecho [OPTION]... HOST [PORT]\n"
           "       forkecho [OPTION]... -U PATH\n"
           "\n"
           "Talks with an echo service line by line. On a terminal, lines can be edited and\n"
           "recalled, and `quit` ends; from a pipe, everything is sent and every answer printed.\n"
           "With -c, -i or -s it sends messages of its own and reports as ping does.\n"
           "PORT is 7 unless given. `forkecho bench --help` shows how to measure under load.\n"
           "\n");
    for (int i = 0; i < OPTION_COUNT; i++) {
        char left[32];
        snprintf(left, sizeof left, "-%c, --%s %s", longs[i].val, longs[i].name, arguments[i]);
        printf("  %-21s %s\n", left, helps[i]);
    }
    printf("\nTIME is 250ms, 0.2, 3s or 1min; SIZE is 56 or 64K. Exit status: 0 all answered (and\n"
           "equal), 1 an answer was missing or differed, 2 no connection or a wrong option.\n");
}

/* getopt's letters, made of the long options; a colon in front asks it to tell what is missing. */
static void make_shorts(char shorts[SHORT_MAX])
{
    char *end = shorts;

    *end++ = ':';
    for (int i = 0; i < OPTION_COUNT; i++) {
        *end++ = (char)longs[i].val;
        if (longs[i].has_arg)
            *end++ = ':';
    }
    *end = '\0';
}

int options_time(const char *text, uint64_t *out, const char **hint)
{
    uint64_t whole = 0, unit = 1000;
    char seconds[16];
    size_t dot = strcspn(text, ".");
    int result = 0;

    if (!text[dot]) {
        result = text_parse_duration(text, 0, TIME_LIMIT_MS, &whole, hint);
        *out = whole * 1000;
        return result;
    }
    const char *digits = text + dot + 1;
    size_t length = strlen(digits);
    *hint = "a time as 250ms, 0.25, 3s or 1min";
    if (dot >= sizeof seconds || !length || length > 3 || strspn(digits, "0123456789") != length)
        return -EINVAL;
    snprintf(seconds, sizeof seconds, "%.*s", (int)dot, text);
    if (dot)
        result = text_parse_count(seconds, 0, TIME_LIMIT_MS / 1000, &whole, hint);
    for (whole *= 1000; *digits; digits++)
        whole += (uint64_t)(*digits - '0') * (unit /= 10);
    *out = whole * 1000;
    return result;
}

static int parse_size(const char *text, size_t *out, const char **hint)
{
    uint64_t size;
    int result = text_parse_size(text, 1, SIZE_LIMIT, &size, hint);

    *out = result ? 0 : (size_t)size;
    return result;
}

static int set_mode(struct options *out, enum mode mode, struct failure *why)
{
    if (out->mode != MODE_TALK && out->mode != mode)
        return failure_set(why, EX_USAGE, "-m cannot be together with -c, -i and -s");
    out->mode = mode;
    return 0;
}

int options_family(struct options *out, int family, struct failure *why)
{
    if (out->family != AF_UNSPEC && out->family != family)
        return failure_set(why, EX_USAGE, "only one of -4, -6 and -U can be given");
    out->family = family;
    return 0;
}

static int take_option(int letter, const char *value, struct options *out, struct failure *why)
{
    const char *hint = NULL;
    char shown[64];
    int wrong = 0;

    switch (letter) {
    case '4':
        return options_family(out, AF_INET, why);
    case '6':
        return options_family(out, AF_INET6, why);
    case 'U':
        out->host = value;
        return options_family(out, AF_UNIX, why);
    case 'm':
        if (!*value)
            return failure_set(why, EX_USAGE, "-m: the message is empty");
        out->message = value;
        return set_mode(out, MODE_MESSAGE, why);
    case 'c':
        wrong = text_parse_count(value, 1, UINT32_MAX, &out->count, &hint);
        break;
    case 'i':
        wrong = options_time(value, &out->interval_us, &hint);
        break;
    case 's':
        wrong = parse_size(value, &out->size, &hint);
        break;
    case 'q':
        out->quiet = true;
        return 0;
    case 'W':
        wrong = options_time(value, &out->timeout_us, &hint);
        break;
    }
    if (wrong)
        return failure_set(why, EX_USAGE, "-%c: wrong value \"%s\" (%s)", letter,
                           text_escape(value, strlen(value), shown, sizeof shown), hint);
    return letter == 'W' ? 0 : set_mode(out, MODE_PING, why);
}

int options_refuse(int letter, char **argv, struct failure *why)
{
    const char *given = argv[optind - 1];
    char name[3] = { '-', (char)optopt, '\0' }, shown[64];

    if (strncmp(given, "--", 2) != 0)
        given = name;
    text_escape(given, strlen(given), shown, sizeof shown);
    if (letter == ':')
        return failure_set(why, EX_USAGE, "%s: its value is missing", shown);
    return failure_set(why, EX_USAGE,
                       given != name && optopt ? "%s: it takes no value" : "%s: no such option",
                       shown);
}

int options_operands(char **operands, int count, struct options *out, struct failure *why)
{
    const char *hint;
    uint64_t number;

    if (count > (out->family == AF_UNIX ? 0 : 2))
        return failure_set(why, EX_USAGE, "too many arguments");
    if (out->family == AF_UNIX)
        return *out->host ? 0 : failure_set(why, EX_USAGE, "-U: the path is empty");
    if (count == 0 || !*operands[0])
        return failure_set(why, EX_USAGE, "no host given");
    char *host = operands[0];
    size_t length = strlen(host);
    if (*host == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        host++;
    }
    out->host = host;
    if (count == 2)
        out->port = operands[1];
    if (out->port[strspn(out->port, "0123456789")] == '\0' &&
        text_parse_count(out->port, 1, UINT16_MAX, &number, &hint))
        return failure_set(why, EX_USAGE, "wrong port \"%.20s\" (a number from 1 to 65535)",
                           out->port);
    return 0;
}

int options_parse(int argc, char **argv, struct options *out, struct failure *why)
{
    char shorts[SHORT_MAX];
    int letter;

    *out = (struct options){
        .mode = MODE_TALK,
        .family = AF_UNSPEC,
        .port = "7",
        .interval_us = 1000000,
        .size = 56,
        .timeout_us = 5000000,
    };
    make_shorts(shorts);
    opterr = 0;
    while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (letter == 'h' || letter == 'V') {
            out->mode = letter == 'h' ? MODE_HELP : MODE_VERSION;
            return 0;
        }
        if (letter == '?' || letter == ':')
            return options_refuse(letter, argv, why);
        if (take_option(letter, optarg, out, why))
            return -1;
    }
    return options_operands(argv + optind, argc - optind, out, why);
}
