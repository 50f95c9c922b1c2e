#include "client/bench_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "base/text.h"

enum {
    SHORT_MAX = 64,
    CONCURRENCY_LIMIT = 1000000,
    RATE_LIMIT = 10000000,
    SIZE_LIMIT = 1 << 30,
};

const char *const bench_mode_names[LOAD_MODE_COUNT] = {
    [LOAD_CRR] = "crr",         [LOAD_RR] = "rr",     [LOAD_STREAM] = "stream",
    [LOAD_CONNECT] = "connect", [LOAD_HOLD] = "hold",
};

/* Every option once: letter, name, argument (or ""), help. */
#define OPTIONS(OPTION)                                                                            \
    OPTION('4', "ipv4", "", "use IPv4 only")                                                       \
    OPTION('6', "ipv6", "", "use IPv6 only")                                                       \
    OPTION('U', "unix", "PATH", "connect to the Unix socket PATH, or to the abstract one @NAME")   \
    OPTION('c', "concurrency", "N", "connections at a time (1; hold: 100)")                        \
    OPTION('n', "count", "N", "end after N requests")                                              \
    OPTION('d', "duration", "TIME", "end after TIME (10s, unless -n; hold: at Ctrl-C)")            \
    OPTION('s', "size", "SIZE", "bytes of a request (64; stream: 64K)")                            \
    OPTION('i', "interval", "TIME", "hold: how often each connection is used (10s)")               \
    OPTION('r', "rate", "N", "begin N requests a second, whether the last are answered or not")    \
    OPTION('S', "sources", "N", "connect from N loopback addresses in turn, from 127.0.0.1 on")    \
    OPTION('w', "warmup", "TIME", "do not count what begins in the first TIME (0)")                \
    OPTION('W', "timeout", "TIME", "give up a request after TIME without a byte (5s; 0: never)")   \
    OPTION('j', "json", "", "print the result as one JSON object")                                 \
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

static const struct {
    const char *argument, *help;
} texts[] = {
#define OPTION(letter, name, argument, help) { argument, help },
    OPTIONS(OPTION)
#undef OPTION
};

void bench_options_help(void)
{
    printf("Usage: forkecho bench MODE [OPTION]... HOST [PORT]\n"
           "       forkecho bench MODE [OPTION]... -U PATH\n"
           "\n"
           "Puts a load on an echo service, checks every byte and counts every latency.\n"
           "  crr      connect, one request, its answer, close\n"
           "  rr       requests one after the other over connections that stay open\n"
           "  stream   as many bytes as go through\n"
           "  connect  connect and close\n"
           "  hold     connections that stay open, each used now and then\n"
           "\n");
    for (int i = 0; i < OPTION_COUNT; i++) {
        char left[32];
        snprintf(left, sizeof left, "-%c, --%s %s", longs[i].val, longs[i].name, texts[i].argument);
        printf("  %-21s %s\n", left, texts[i].help);
    }
    printf("\nExit status: 0 all answered and equal, 1 an answer was missing or differed, 2 no\n"
           "connection or a wrong option.\n");
}

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

static int take_number(int letter, const char *value, struct bench_options *out, const char **hint)
{
    struct load_plan *plan = &out->plan;
    uint64_t number = 0;
    int wrong = 0;

    switch (letter) {
    case 'c':
        wrong = text_parse_count(value, 1, CONCURRENCY_LIMIT, &number, hint);
        plan->concurrency = (unsigned int)number;
        break;
    case 'n':
        wrong = text_parse_count(value, 1, UINT32_MAX, &plan->count, hint);
        break;
    case 'r':
        wrong = text_parse_count(value, 1, RATE_LIMIT, &plan->rate, hint);
        break;
    case 'S':
        wrong = text_parse_count(value, 1, LINK_SOURCES_MAX, &number, hint);
        plan->sources = (unsigned int)number;
        break;
    case 's':
        wrong = text_parse_size(value, 1, SIZE_LIMIT, &number, hint);
        plan->size = (size_t)number;
        break;
    case 'd':
        return options_time(value, &plan->duration_us, hint);
    case 'i':
        return options_time(value, &plan->interval_us, hint);
    case 'w':
        return options_time(value, &plan->warmup_us, hint);
    case 'W':
        return options_time(value, &out->common.timeout_us, hint);
    }
    return wrong;
}

static int take_option(int letter, const char *value, struct bench_options *out,
                       struct failure *why)
{
    const char *hint = NULL;
    char shown[64];

    switch (letter) {
    case '4':
        return options_family(&out->common, AF_INET, why);
    case '6':
        return options_family(&out->common, AF_INET6, why);
    case 'U':
        out->common.host = value;
        return options_family(&out->common, AF_UNIX, why);
    case 'j':
        out->json = true;
        return 0;
    }
    if (!take_number(letter, value, out, &hint))
        return 0;
    return failure_set(why, EX_USAGE, "-%c: wrong value \"%s\" (%s)", letter,
                       text_escape(value, strlen(value), shown, sizeof shown), hint);
}

static int take_mode(const char *word, struct load_plan *plan, struct failure *why)
{
    char shown[64];

    for (int i = 0; i < LOAD_MODE_COUNT; i++) {
        plan->mode = (enum load_mode)i;
        if (!strcmp(word, bench_mode_names[i]))
            return 0;
    }
    return failure_set(why, EX_USAGE, "wrong mode \"%s\" (crr, rr, stream, connect or hold)",
                       text_escape(word, strlen(word), shown, sizeof shown));
}

/* What was not given, and what does not go together. */
static int complete(struct load_plan *plan, struct failure *why)
{
    bool streams = plan->mode == LOAD_STREAM, holds = plan->mode == LOAD_HOLD;

    if (plan->rate && (streams || holds))
        return failure_set(why, EX_USAGE, "-r is not for the mode %s",
                           bench_mode_names[plan->mode]);
    if (plan->interval_us && !holds)
        return failure_set(why, EX_USAGE, "-i is for the mode hold alone");
    if (plan->warmup_us && holds)
        return failure_set(why, EX_USAGE,
                           "-w is not for the mode hold, which counts when all are open");
    if (!plan->concurrency)
        plan->concurrency = holds ? 100 : 1;
    if (!plan->size)
        plan->size = streams ? 65536 : 64;
    if (!plan->interval_us)
        plan->interval_us = 10000000;
    if (!plan->count && !plan->duration_us && !holds)
        plan->duration_us = 10000000;
    return 0;
}

int bench_options_parse(int argc, char **argv, struct bench_options *out, struct failure *why)
{
    char shorts[SHORT_MAX];
    int letter;

    *out = (struct bench_options){
        .common = { .family = AF_UNSPEC, .port = "7", .timeout_us = 5000000 },
    };
    make_shorts(shorts);
    opterr = 0;
    while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (letter == 'h' || letter == 'V') {
            out->common.mode = letter == 'h' ? MODE_HELP : MODE_VERSION;
            return 0;
        }
        if (letter == '?' || letter == ':')
            return options_refuse(letter, argv, why);
        if (take_option(letter, optarg, out, why))
            return -1;
    }
    if (optind == argc)
        return failure_set(why, EX_USAGE, "no mode given (crr, rr, stream, connect or hold)");
    if (take_mode(argv[optind], &out->plan, why))
        return -1;
    optind++;
    out->plan.timeout_us = out->common.timeout_us;
    return complete(&out->plan, why) ||
                   options_operands(argv + optind, argc - optind, &out->common, why)
               ? -1
               : 0;
}
