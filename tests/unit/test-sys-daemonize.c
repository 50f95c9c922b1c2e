/* Detaching: the command tells the truth about the daemon it started. */
#include "test-sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "sys/daemonize.h"

/* A command that was started, and what it printed once it ended. */
struct command {
    pid_t pid;
    int out, err;
    char said[1 << 18], complained[4096];
};

static struct command command;
static pid_t tester;
static int facts[2]; /* a pipe on which the daemon tells this test about itself */

/* Runs a command as a shell does; in the daemon, `serve`. */
static void start(void (*serve)(void))
{
    int out[2], err[2];

    /* The daemon that a command leaves behind becomes a child of this process. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    tester = getpid();
    ck_assert_int_eq(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC) | pipe2(facts, O_CLOEXEC), 0);
    /* libcheck has handlers of its own, which a command would not inherit. */
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    command.pid = fork();
    if (command.pid == 0) {
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        const int spare[] = { out[0], out[1], err[0], err[1], facts[0] };
        for (size_t i = 0; i < sizeof spare / sizeof *spare; i++)
            close(spare[i]);
        daemonize_repair();
        if (daemonize(&facts[1], 1) < 0)
            _exit(EX_SOFTWARE);
        serve();
        _exit(0);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    close(out[1]);
    close(err[1]);
    close(facts[1]);
    command.out = out[0];
    command.err = err[0];
}

/* The command's exit status. */
static int end(void)
{
    ssize_t size = io_read_full(command.out, command.said, sizeof command.said - 1);
    command.said[size] = '\0';
    size = io_read_full(command.err, command.complained, sizeof command.complained - 1);
    command.complained[size] = '\0';
    close(command.out);
    close(command.err);
    return reap(command.pid);
}

static int run(void (*serve)(void))
{
    start(serve);
    return end();
}

/* Returns when the daemon is gone too; a case that waits here for ever runs out of time. */
static void wait_for_all(void)
{
    while (wait(NULL) > 0 || errno == EINTR)
        ;
}

static void be_ready(void)
{
    daemonize_report(0, "127.0.0.1:7");
}

START_TEST(a_start_that_succeeds_is_a_success)
{
    ck_assert_int_eq(run(be_ready), 0);
    ck_assert_str_eq(command.said, "127.0.0.1:7\n");
    ck_assert_str_eq(command.complained, "");
    wait_for_all();
}
END_TEST

static void tell_facts(void)
{
    char text[512], target[64], place[64];
    struct dirent *entry;
    int size, descriptors = 0;

    daemonize_report(0, "");
    DIR *directory = opendir("/proc/self/fd");
    while ((entry = readdir(directory)))
        descriptors += *entry->d_name != '.' && atoi(entry->d_name) != dirfd(directory);
    closedir(directory);
    mode_t mask = umask(0);
    size = snprintf(text, sizeof text,
                    "session %d leader %d terminal %d mask %o descriptors %d cwd %s",
                    getsid(0) != getsid(tester), getsid(0) == getpid(),
                    open("/dev/tty", O_RDWR) >= 0, mask, descriptors, getcwd(place, sizeof place));
    for (int fd = 0; fd <= 2; fd++) {
        snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(place, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        size += snprintf(text + size, sizeof text - (size_t)size, " %s", target);
    }
    io_write_full(facts[1], text, (size_t)size);
}

START_TEST(a_daemon_keeps_nothing_of_where_it_was_started)
{
    char text[512];

    umask(027);
    ck_assert_int_eq(run(tell_facts), 0);
    text[io_read_full(facts[0], text, sizeof text - 1)] = '\0';
    ck_assert_str_eq(text, "session 1 leader 0 terminal 0 mask 0 descriptors 4 cwd / /dev/null "
                           "/dev/null /dev/null");
    wait_for_all();
}
END_TEST

static void refuse(void)
{
    daemonize_report(EX_CONFIG, "/etc/x:1: one\n/etc/x:2: two");
    daemonize_report(0, "too late to say this");
}

START_TEST(a_start_that_fails_says_why_with_its_status)
{
    ck_assert_int_eq(run(refuse), EX_CONFIG);
    ck_assert_str_eq(command.complained, "forkechod: /etc/x:1: one\nforkechod: /etc/x:2: two\n");
    ck_assert_str_eq(command.said, "");
    wait_for_all();
}
END_TEST

static void exit_silently(void)
{
    _exit(3);
}

static void die(void)
{
    raise(SIGKILL);
}

START_TEST(a_daemon_that_dies_silently_is_found_dead)
{
    ck_assert_int_eq(run(exit_silently), EX_OSERR);
    ck_assert_str_eq(command.complained, "forkechod: the daemon exited with status 3 before it was "
                                         "ready, and did not say why\n");
    ck_assert_int_eq(run(die), EX_OSERR);
    ck_assert_str_eq(command.complained,
                     "forkechod: the daemon died of signal 9 (Killed) before it was ready\n");
    wait_for_all();
}
END_TEST

static void sleep_on(void)
{
    io_write_full(facts[1], "x", 1);
    pause();
}

START_TEST(a_command_that_is_stopped_takes_its_daemon_along)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
    char byte;

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        start(sleep_on);
        ck_assert_int_eq(read(facts[0], &byte, 1), 1);
        kill(command.pid, signals[i]);
        ck_assert_int_eq(end(), 128 + signals[i]);
        ck_assert_ptr_nonnull(strstr(command.complained, "forkechod: stopped by signal "));
        wait_for_all();
    }
}
END_TEST

START_TEST(a_command_stopped_at_any_moment_leaves_nothing)
{
    for (useconds_t moment = 0; moment < 2000; moment += 100) {
        start(sleep_on);
        usleep(moment);
        kill(command.pid, SIGTERM);
        end();
        wait_for_all();
    }
}
END_TEST

static void report_to_nobody(void)
{
    io_write_full(facts[1], "x", 1);
    while (getppid() != tester)
        usleep(1000);
    daemonize_report(0, "is there anybody?");
    io_write_full(facts[1], "alive", 5);
}

START_TEST(a_daemon_outlives_a_command_that_was_killed)
{
    char text[16] = "";

    start(report_to_nobody);
    ck_assert_int_eq(read(facts[0], text, 1), 1);
    kill(command.pid, SIGKILL);
    ck_assert_int_eq(end(), -SIGKILL);
    ck_assert_int_eq(io_read_full(facts[0], text, sizeof text), 5);
    ck_assert_str_eq(text, "alive");
    wait_for_all();
}
END_TEST

static void report_much(void)
{
    static char text[200001];

    memset(text, 'a', 200000);
    daemonize_report(0, text);
}

START_TEST(a_long_report_arrives_whole)
{
    ck_assert_int_eq(run(report_much), 0);
    ck_assert_uint_eq(strspn(command.said, "a"), 200000);
    ck_assert_str_eq(command.said + 200000, "\n");
    wait_for_all();
}
END_TEST

START_TEST(in_the_foreground_a_report_is_printed_once)
{
    int ends[2];
    char text[64] = "";

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    dup2(ends[1], STDERR_FILENO);
    daemonize_report(EX_OSERR, "no");
    daemonize_report(EX_OSERR, "no");
    close(ends[1]);
    close(STDERR_FILENO);
    io_read_full(ends[0], text, sizeof text);
    ck_assert_str_eq(text, "forkechod: no\n");
}
END_TEST

/* In a process of its own: libcheck needs its descriptors. */
static int repaired(void)
{
    struct sigaction action;
    sigset_t all, now;

    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    umask(077);
    for (int fd = 0; fd <= 2; fd++)
        close(fd);

    daemonize_repair();
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return 1;
    if (socket(AF_UNIX, SOCK_STREAM, 0) <= 2)
        return 2;
    if (sigaction(SIGHUP, NULL, &action) || action.sa_handler != SIG_DFL)
        return 3;
    if (sigaction(SIGCHLD, NULL, &action) || action.sa_handler != SIG_DFL)
        return 4;
    if (sigaction(SIGPIPE, NULL, &action) || action.sa_handler != SIG_IGN)
        return 5;
    sigprocmask(SIG_SETMASK, NULL, &now);
    if (!sigisemptyset(&now))
        return 6;
    return umask(0) ? 7 : 0;
}

START_TEST(an_odd_environment_is_repaired)
{
    pid_t child = fork();
    if (child == 0)
        _exit(repaired());
    ck_assert_int_eq(reap(child), 0);
}
END_TEST

TCase *daemonize_cases(void)
{
    TCase *tcase = tcase_create("daemonize");

    tcase_add_test(tcase, a_start_that_succeeds_is_a_success);
    tcase_add_test(tcase, a_daemon_keeps_nothing_of_where_it_was_started);
    tcase_add_test(tcase, a_start_that_fails_says_why_with_its_status);
    tcase_add_test(tcase, a_daemon_that_dies_silently_is_found_dead);
    tcase_add_test(tcase, a_command_that_is_stopped_takes_its_daemon_along);
    tcase_add_test(tcase, a_command_stopped_at_any_moment_leaves_nothing);
    tcase_add_test(tcase, a_daemon_outlives_a_command_that_was_killed);
    tcase_add_test(tcase, a_long_report_arrives_whole);
    tcase_add_test(tcase, in_the_foreground_a_report_is_printed_once);
    tcase_add_test(tcase, an_odd_environment_is_repaired);
    return tcase;
}
