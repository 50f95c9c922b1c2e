#include "sys/command.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

enum { READY_MS = 60000, STOP_MS = 10000, DEATH_MS = 1000, TEXT_MAX = 1 << 20 };

struct report {
    int32_t status;
    uint32_t size; /* of the text behind it */
};

/* What the command knows while it waits. */
struct wait {
    int pipe;
    const sigset_t *open;
    pid_t daemon;
    uint64_t deadline_ms;
    bool late;   /* no report in time */
    int stopped; /* by this signal, which was passed on */
};

static volatile sig_atomic_t caught;

static void record(int number)
{
    caught = number;
}

int command_tell_start(int pipe, pid_t daemon)
{
    return io_write_full(pipe, &daemon, sizeof daemon);
}

void command_tell_end(int pipe, int status, const char *text)
{
    struct report report = { status, (uint32_t)strlen(text) };

    if (!io_write_full(pipe, &report, sizeof report))
        io_write_full(pipe, text, report.size);
}

/* By stdio, so that several lines are one write, and who reads them from a pipe gets them whole. 0
 * or EOF. */
static int print_lines(FILE *out, const char *prefix, const char *text)
{
    while (*text) {
        int size = (int)strcspn(text, "\n");
        fprintf(out, "%s%.*s\n", prefix, size, text);
        text += size + (text[size] == '\n');
    }
    return fflush(out);
}

void command_print(int status, const char *text)
{
    if (status)
        print_lines(stderr, "forkechod: ", text);
    else if (print_lines(stdout, "", text) != 0)
        fprintf(stderr, "forkechod: cannot print the addresses: %s\n", strerror(errno));
}

/* Ends the daemon that is not wanted any more: kindly, and the second time for sure. */
static void end_daemon(struct wait *wait)
{
    if (wait->daemon > 0)
        kill(wait->daemon, wait->late || wait->stopped ? SIGKILL : SIGTERM);
    wait->deadline_ms = clock_ms() + STOP_MS;
}

/* Sleeps until the pipe has something to say. */
static void sleep_until_told(struct wait *wait)
{
    struct pollfd readable = { .fd = wait->pipe, .events = POLLIN };
    int left = clock_until(clock_ms(), wait->deadline_ms, READY_MS);
    struct timespec time = { .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000L };

    if (left == 0) {
        end_daemon(wait);
        wait->late = true;
    }
    ppoll(&readable, 1, &time, wait->open);
}

static void pass_signal_on(struct wait *wait)
{
    if (!caught || wait->stopped || wait->daemon <= 0)
        return;
    end_daemon(wait);
    wait->stopped = caught;
}

/* True with all of it; false at the end of the pipe. */
static bool receive(struct wait *wait, void *buffer, size_t size)
{
    for (size_t have = 0; have < size;) {
        struct pollfd readable = { .fd = wait->pipe, .events = POLLIN };
        pass_signal_on(wait);
        if (poll(&readable, 1, 0) != 1) {
            sleep_until_told(wait);
            continue;
        }
        ssize_t count = read(wait->pipe, (char *)buffer + have, size - have);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        have += (size_t)count;
    }
    return true;
}

/* Orphaned, the daemon has become a child of this process (daemonize). What waitpid(2) returns. */
static pid_t await_death(const struct wait *wait, int limit_ms, int *status)
{
    uint64_t end = clock_ms() + (uint64_t)limit_ms;
    pid_t reaped = 0;

    while (wait->daemon && (reaped = waitpid(wait->daemon, status, WNOHANG)) == 0 &&
           clock_ms() < end)
        poll(NULL, 0, 5);
    return reaped;
}

/* Its report was lost, and it lives: who is told that the start failed does not expect it to. */
static void stop_unheard(struct wait *wait)
{
    int status;

    end_daemon(wait);
    if (await_death(wait, STOP_MS, &status) == 0)
        kill(wait->daemon, SIGKILL);
}

static void tell_death(struct wait *wait)
{
    char text[128] = "the daemon ended before it was ready, and did not say why";
    int status;
    pid_t reaped = await_death(wait, DEATH_MS, &status);
    bool unheard = reaped == 0 && wait->daemon > 0 && !wait->stopped && !wait->late;

    if (unheard)
        stop_unheard(wait);

    if (wait->stopped)
        snprintf(text, sizeof text, "stopped by signal %d (%s) before it was ready", wait->stopped,
                 strsignal(wait->stopped));
    else if (wait->late)
        snprintf(text, sizeof text, "the daemon was not ready within %d s, and was stopped",
                 READY_MS / 1000);
    else if (unheard)
        snprintf(text, sizeof text, "the daemon's report was lost, and the daemon was stopped");
    else if (reaped > 0 && WIFSIGNALED(status))
        snprintf(text, sizeof text, "the daemon died of signal %d (%s) before it was ready",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (reaped > 0)
        snprintf(text, sizeof text,
                 "the daemon exited with status %d before it was ready, and did not say why",
                 WEXITSTATUS(status));
    command_print(EX_OSERR, text);
}

static void catch_signals(void)
{
    struct sigaction action = { .sa_handler = record };
    static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        sigaction(ending[i], &action, NULL);
}

_Noreturn void command_wait(int pipe, pid_t middle, const sigset_t *open)
{
    struct wait wait = { .pipe = pipe, .open = open, .deadline_ms = clock_ms() + READY_MS };
    struct report report = { .status = EX_OSERR };
    char *text = NULL;

    catch_signals();
    bool told = receive(&wait, &wait.daemon, sizeof wait.daemon) &&
                receive(&wait, &report, sizeof report) && report.size < TEXT_MAX &&
                (text = calloc(1, report.size + 1)) && receive(&wait, text, report.size);
    /* While the process between the two lives, the daemon is its child and cannot be waited for. */
    waitpid(middle, NULL, 0);
    if (told) {
        command_print(report.status, text);
        /* When this command has failed, nothing of what it tried is left. */
        if (report.status)
            await_death(&wait, DEATH_MS, &(int){ 0 });
    } else {
        report.status = EX_OSERR;
        tell_death(&wait);
    }
    free(text);
    _exit(wait.stopped ? 128 + wait.stopped : report.status);
}
