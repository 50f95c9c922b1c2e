/* The pid file: one daemon at a time, and no trap for root. */
#include "test-sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "sys/pidfile.h"

static struct failure why;

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(io_write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static const char *content(const char *path)
{
    static char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : io_read_full(fd, text, sizeof text - 1);

    text[size] = '\0';
    close(fd);
    return text;
}

static const char *own_number(void)
{
    static char text[16];
    snprintf(text, sizeof text, "%d\n", getpid());
    return text;
}

START_TEST(it_names_the_daemon_and_everybody_may_read_it)
{
    const char *path = scratch_path("pid");
    struct stat file;

    umask(077);
    int fd = pidfile_open(path, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq(file.st_mode, S_IFREG | 0644);
    ck_assert_str_eq(content(path), own_number());
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    pidfile_close(path, fd);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(a_second_daemon_is_told_who_runs)
{
    const char *path = scratch_path("pid");
    char wanted[256];

    int fd = pidfile_open(path, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pidfile_open(path, &why), -1);
    snprintf(wanted, sizeof wanted, "another forkechod runs: process %d holds %s (stop it first)",
             getpid(), path);
    ck_assert_str_eq(why.text, wanted);
    ck_assert_int_eq(why.status, EX_OSERR);
    ck_assert_str_eq(content(path), own_number());
    /* Closing the failed try, and reading the file, took nothing from the first. */
    ck_assert_int_eq(pidfile_open(path, &why), -1);
    pidfile_close(path, fd);
}
END_TEST

START_TEST(a_stale_file_is_taken_over)
{
    const char *path = scratch_path("pid");

    write_file(path, "1\nand more than that\n"); /* process 1 lives, and is no forkechod */
    chmod(path, 0666);
    int fd = pidfile_open(path, &why);
    struct stat file;
    ck_assert_int_ge(fd, 0);
    ck_assert_str_eq(content(path), own_number());
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq(file.st_mode, S_IFREG | 0644);
    pidfile_close(path, fd);
}
END_TEST

START_TEST(traps_are_refused_and_left_alone)
{
    const char *path = scratch_path("trap"), *target = scratch_path("target");

    write_file(target, "precious");
    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_eq(pidfile_open(path, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "it is a symbolic link, which is not followed"));
    ck_assert_int_eq(unlink(path), 0);

    ck_assert_int_eq(link(target, path), 0);
    ck_assert_int_eq(pidfile_open(path, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "it is not a regular file with one name"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_str_eq(content(target), "precious");

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(pidfile_open(path, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "it is not a regular file with one name"));
    ck_assert_int_eq(unlink(path), 0);

    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(pidfile_open(path, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "it is not a regular file with one name"));
    ck_assert_int_eq(rmdir(path), 0);
    unlink(target);
}
END_TEST

START_TEST(a_directory_that_will_not_have_it_is_named)
{
    const char *path = scratch_path("missing/pid");
    char wanted[256];

    ck_assert_int_eq(pidfile_open(path, &why), -1);
    snprintf(wanted, sizeof wanted,
             "cannot take the pid file %s: No such file or directory (its directory has to exist; "
             "or set pid_file)",
             path);
    ck_assert_str_eq(why.text, wanted);
    ck_assert_int_eq(why.status, EX_OSERR);

    become_nobody();
    ck_assert_int_eq(pidfile_open("/forkechod-test.pid", &why), -1);
    ck_assert_int_eq(why.status, EX_NOPERM);
    ck_assert_ptr_nonnull(strstr(why.text, "/forkechod-test.pid: Permission denied ("));
}
END_TEST

START_TEST(a_file_that_is_no_longer_ours_is_not_removed)
{
    const char *path = scratch_path("pid");

    int fd = pidfile_open(path, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(path), 0);
    write_file(path, "4711\n");
    pidfile_close(path, fd);
    ck_assert_str_eq(content(path), "4711\n");
    pidfile_close(path, -1);
    unlink(path);
}
END_TEST

/* A daemon that dies at once and leaves a child; the child's number. */
static pid_t leave_child(const char *path, bool closes)
{
    int ends[2];
    pid_t child = 0;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t daemon = fork();
    if (daemon == 0) {
        if (pidfile_open(path, NULL) < 0)
            _exit(1);
        child = fork();
        if (child == 0) {
            if (closes)
                io_close_all_but(&ends[1], 1);
            child = getpid();
            io_write_full(ends[1], &child, sizeof child);
            pause();
        }
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_eq(io_read_full(ends[0], &child, sizeof child), sizeof child);
    ck_assert_int_eq(reap(daemon), 0);
    close(ends[0]);
    return child;
}

START_TEST(a_child_that_closed_it_does_not_hold_it)
{
    const char *path = scratch_path("pid");
    pid_t child = leave_child(path, true);

    int fd = pidfile_open(path, &why);
    kill(child, SIGKILL);
    reap(child);
    ck_assert_int_ge(fd, 0);
    pidfile_close(path, fd);
}
END_TEST

/* Why children have to close it: says what the contract says. */
START_TEST(a_child_that_kept_it_holds_it)
{
    const char *path = scratch_path("pid");
    pid_t child = leave_child(path, false);

    ck_assert_int_eq(pidfile_open(path, &why), -1);
    kill(child, SIGKILL);
    reap(child);
    unlink(path);
}
END_TEST

enum { RACERS = 8, ROUNDS = 20 };

/* Tries once all are there; holds what it got until all have tried. */
static _Noreturn void race(const char *path, int start, int tried, int finish)
{
    char byte;

    (void)!read(start, &byte, 1);
    int fd = pidfile_open(path, NULL);
    io_write_full(tried, "x", 1);
    (void)!read(finish, &byte, 1);
    pidfile_close(path, fd);
    _exit(fd >= 0);
}

START_TEST(of_many_daemons_one_wins)
{
    const char *path = scratch_path("pid");

    for (int round = 0; round < ROUNDS; round++) {
        int start[2], tried[2], finish[2], winners = 0;
        pid_t racers[RACERS];
        char bytes[RACERS];

        if (round % 2)
            write_file(path, "1\n"); /* stale */
        ck_assert_int_eq(pipe2(start, O_CLOEXEC) | pipe2(tried, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(finish, O_CLOEXEC), 0);
        for (int i = 0; i < RACERS; i++)
            if ((racers[i] = fork()) == 0) {
                close(start[1]);
                close(finish[1]);
                race(path, start[0], tried[1], finish[0]);
            }
        close(start[1]);
        io_read_full(tried[0], bytes, RACERS);
        close(finish[1]);
        for (int i = 0; i < RACERS; i++)
            winners += reap(racers[i]);
        ck_assert_int_eq(winners, 1);
        ck_assert_int_eq(access(path, F_OK), -1);
        close(start[0]);
        close(tried[0]);
        close(tried[1]);
        close(finish[0]);
    }
}
END_TEST

/* Takes and removes the file again and again. Fails when it ever holds it beside another. */
static _Noreturn void contend(const char *path, const char *marker)
{
    uint64_t end = clock_ms() + 100;

    while (clock_ms() < end) {
        int fd = pidfile_open(path, NULL);
        if (fd < 0)
            continue;
        if (mkdir(marker, 0700) < 0)
            _exit(1);
        usleep(100);
        rmdir(marker);
        pidfile_close(path, fd);
    }
    _exit(0);
}

START_TEST(a_file_that_is_removed_by_one_is_never_held_by_two)
{
    const char *path = scratch_path("pid"), *marker = scratch_path("marker");
    pid_t contenders[4];

    for (int i = 0; i < 4; i++)
        if ((contenders[i] = fork()) == 0)
            contend(path, marker);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(reap(contenders[i]), 0);
}
END_TEST

/* Reads the file again and again. Fails when it ever was there without a number. */
static _Noreturn void watch(const char *path)
{
    for (;;) {
        char text[16];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, text, sizeof text) <= 0)
            _exit(1);
        close(fd);
    }
}

START_TEST(a_new_file_is_never_seen_empty)
{
    const char *path = scratch_path("pid");
    char folder[PATH_MAX];
    int status;

    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    int fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
        return; /* this file system has no files without names: there it is empty for a moment */
    close(fd);
    pid_t watcher = fork();
    if (watcher == 0)
        watch(path);
    uint64_t end = clock_ms() + 300;
    while (clock_ms() < end) {
        fd = pidfile_open(path, &why);
        ck_assert_int_ge(fd, 0);
        ck_assert_str_eq(content(path), own_number());
        pidfile_close(path, fd);
    }
    kill(watcher, SIGKILL);
    waitpid(watcher, &status, 0);
    ck_assert(WIFSIGNALED(status));
}
END_TEST

TCase *pidfile_cases(void)
{
    TCase *tcase = tcase_create("pidfile");

    tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
    tcase_add_test(tcase, it_names_the_daemon_and_everybody_may_read_it);
    tcase_add_test(tcase, a_second_daemon_is_told_who_runs);
    tcase_add_test(tcase, a_stale_file_is_taken_over);
    tcase_add_test(tcase, traps_are_refused_and_left_alone);
    tcase_add_test(tcase, a_directory_that_will_not_have_it_is_named);
    tcase_add_test(tcase, a_file_that_is_no_longer_ours_is_not_removed);
    tcase_add_test(tcase, a_child_that_closed_it_does_not_hold_it);
    tcase_add_test(tcase, a_child_that_kept_it_holds_it);
    tcase_add_test(tcase, a_new_file_is_never_seen_empty);
    tcase_add_test(tcase, of_many_daemons_one_wins);
    tcase_add_test(tcase, a_file_that_is_removed_by_one_is_never_held_by_two);
    return tcase;
}
