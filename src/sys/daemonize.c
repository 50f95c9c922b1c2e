#include "sys/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/failure.h"
#include "base/io.h"
#include "sys/command.h"

enum { KEEP_MAX = 511 };

static int report_pipe = -1;
static bool reported;

/* A program inherits ignored signals, and no handlers: those that are there now are its own. */
static void repair_signals(void)
{
    struct sigaction action, preset = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int number = 1; number <= SIGRTMAX; number++)
        if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
            sigaction(number, &preset, NULL);
    action = (struct sigaction){ .sa_handler = SIG_IGN };
    sigaction(SIGPIPE, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void daemonize_repair(void)
{
    if (io_repair_standard() < 0)
        _exit(EX_OSERR); /* and there is no descriptor to say it on */
    repair_signals();
    umask(0);
}

static int detach(const int *keep, size_t count)
{
    int kept[KEEP_MAX + 1];

    if (count > KEEP_MAX) {
        errno = EMFILE;
        return -1;
    }
    if (count)
        memcpy(kept, keep, count * sizeof *keep);
    kept[count++] = report_pipe;
    io_close_all_but(kept, count);
    umask(0);
    if (chdir("/") < 0)
        return -1;
    int result = io_null_standard();
    errno = -result;
    return result < 0 ? -1 : 0;
}

/* The command tells it. */
static _Noreturn void give_up(const char *what)
{
    struct failure why;

    failure_errno(&why, EX_OSERR, errno, "%s", what);
    daemonize_report(why.status, why.text);
    _exit(why.status);
}

/* The second fork: a process that leads no session can never get a terminal again. */
static void become_orphan(void)
{
    setsid();
    pid_t daemon = fork();
    if (daemon == 0)
        return;
    if (daemon < 0) {
        int error = errno;
        command_tell_start(report_pipe, 0);
        errno = error;
        give_up("cannot start the daemon's process");
    }
    _exit(EX_OK);
}

int daemonize(const int *keep, size_t count)
{
    sigset_t all, old;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    /* Until it can be passed on, no signal ends the command and leaves a daemon behind. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    /* The daemon becomes this process's child, so that the manner of its death can be told. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t middle = fork();
    if (middle > 0) {
        close(ends[1]);
        command_wait(ends[0], middle, &old);
    }
    int error = errno;
    close(ends[0]);
    if (middle < 0) {
        close(ends[1]);
        sigprocmask(SIG_SETMASK, &old, NULL);
        errno = error;
        return -1;
    }
    report_pipe = ends[1];
    become_orphan();
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (command_tell_start(report_pipe, getpid()) < 0)
        _exit(EX_OSERR); /* the command sees that nobody is there */
    if (detach(keep, count) < 0)
        give_up("cannot detach");
    return 0;
}

void daemonize_report(int status, const char *text)
{
    if (reported)
        return;
    reported = true;
    if (report_pipe < 0) {
        command_print(status, text);
        return;
    }
    command_tell_end(report_pipe, status, text);
    close(report_pipe);
    report_pipe = -1;
}
