#include "client/bench.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "client/bench_options.h"
#include "client/bench_report.h"
#include "client/connect.h"

enum { EXIT_NO_SERVICE = 2, DESCRIPTORS_BESIDE = 16 };

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* Returns 0 or -1. */
static int raise_descriptors(unsigned int connections, struct failure *why)
{
    rlim_t needed = (rlim_t)connections + DESCRIPTORS_BESIDE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return failure_errno(why, EX_OSERR, errno, "getrlimit");
    if (limit.rlim_cur >= needed)
        return 0;
    rlim_t hard = limit.rlim_max;
    limit.rlim_cur = needed;
    if (limit.rlim_max < needed)
        limit.rlim_max = needed;
    if (!setrlimit(RLIMIT_NOFILE, &limit))
        return 0;
    return failure_set(why, EX_OSERR,
                       "%u connections need %ju open files, and the limit is %ju (raise it with "
                       "`ulimit -Hn`, as root)",
                       connections, (uintmax_t)needed, (uintmax_t)hard);
}

struct progress {
    bool terminal;
    bool shown;
};

/* What load_run tells while it runs; the line is written over itself. */
static void show(void *context, const struct load_result *result, unsigned int open, bool all_held)
{
    struct progress *progress = context;

    if (all_held)
        fprintf(stderr, "%s%u connections are held\n", progress->shown ? "\r\033[K" : "",
                result->held);
    progress->shown = progress->terminal && !all_held;
    if (progress->shown)
        fprintf(stderr, "\r\033[K%" PRIu64 " done, %u open, %" PRIu64 " failed", result->done, open,
                load_troubles(result));
}

static int run(const struct bench_options *options, const struct peer *peer)
{
    struct progress progress = { .terminal = isatty(STDERR_FILENO) };
    static struct load_result result; /* its histogram is large for a stack */
    struct sigaction action = { .sa_handler = interrupt };
    struct failure why;

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (raise_descriptors(options->plan.concurrency, &why)) {
        warnx("%s", why.text);
        return EXIT_NO_SERVICE;
    }
    int failed = load_run(&options->plan, &interrupted, show, &progress, &result, &why);
    if (progress.shown)
        fputs("\r\033[K", stderr);
    if (options->json)
        bench_report_json(&options->plan, peer, &result);
    else
        bench_report_text(&options->plan, peer, &result);
    if (failed)
        warnx("%s", why.text);
    if (fflush(stdout) || ferror(stdout)) {
        warn("standard output");
        return 1;
    }
    bool nothing = !result.done && !result.held;
    return failed || nothing || load_troubles(&result) ? 1 : 0;
}

static int show_help(const struct bench_options *options)
{
    if (options->common.mode == MODE_HELP)
        bench_options_help();
    else
        printf("forkecho %s\n", PACKAGE_VERSION);
    if (fflush(stdout))
        err(EXIT_NO_SERVICE, "standard output");
    return 0;
}

int bench_run(int argc, char **argv)
{
    struct bench_options options;
    struct failure why;
    struct peer peer;

    if (bench_options_parse(argc, argv, &options, &why)) {
        warnx("%s\nTry `forkecho bench --help`.", why.text);
        return EXIT_NO_SERVICE;
    }
    if (options.common.mode != MODE_TALK)
        return show_help(&options);
    /* Finds which of a name's addresses answers; the load has connections of its own. */
    int fd = connect_host(&options.common, &peer, &why);
    if (fd < 0) {
        warnx("%s", why.text);
        return EXIT_NO_SERVICE;
    }
    close(fd);
    if (options.plan.sources && !link_has_sources(&peer.address)) {
        warnx("-S is for a server on a loopback address of IPv4, and %s is none", peer.text);
        return EXIT_NO_SERVICE;
    }
    options.plan.server = &peer.address;
    return run(&options, &peer);
}
