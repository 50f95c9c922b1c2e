/* Sinks that hang, vanish and come back: the daemon never waits for them. */
#include "test-log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/log.h"
#include "log/sinks.h"

/* Points stderr at `fd` and the log at stderr. */
static void open_stderr_log(int fd)
{
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    open_log(LOG_SINK_STDERR, LOG_INFO);
}

/* A datagram is a line; what a pipe gives is as many as it has ends of. */
static uint64_t count_lines(const char *text)
{
    uint64_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    return lines > 0 ? lines : 1;
}

/* Reads what was logged until the report of what was lost, and returns how many lines came; *told
 * gets the report's number. */
static uint64_t read_until_report(int reader, uint64_t *told)
{
    uint64_t lines = 0;
    for (int turns = 0; turns < 100000; turns++) {
        log_tick(clock_ms());
        while (next(reader)) {
            const char *report = strstr(got, "log dropped: ");
            lines += count_lines(got);
            if (!report)
                continue;
            ck_assert_int_eq(sscanf(report, "log dropped: %" SCNu64, told), 1);
            return lines - 1;
        }
    }
    ck_abort_msg("the loss was never told");
}

enum { MANY = 10000 }; /* lines: more than the kernel and the queue hold */

/* The reader does not read: the kernel's queue fills, as when journald hangs. */
START_TEST(a_stalled_reader_costs_no_time_and_the_loss_is_told_exactly)
{
    int reader = make_reader();
    uint64_t begin = clock_ms(), told = 0;

    open_log(LOG_SINK_SYSLOG, LOG_INFO);
    for (int i = 0; i < MANY; i++)
        log_event(EVENT_SESSION_END, NULL, "%d", i);
    ck_assert_uint_lt(clock_ms() - begin, 20000); /* not even of a slow machine's */
    ck_assert(log_waits());
    ck_assert_uint_gt(log_dropped(), 0);
    ck_assert_uint_eq(read_until_report(reader, &told), MANY - log_dropped());
    ck_assert_uint_eq(told, log_dropped());
    ck_assert(!log_waits());
    log_tick(clock_ms());
    ck_assert_ptr_null(next(reader));
}
END_TEST

START_TEST(a_reader_that_is_only_slow_gets_every_line_in_order)
{
    int reader = make_reader(), wanted = 0;
    char text[32];

    open_log(LOG_SINK_SYSLOG, LOG_INFO);
    for (int i = 0; i < 500; i++)
        log_event(EVENT_SESSION_END, NULL, "line %d.", i);
    for (int turns = 0; turns < 1000 && wanted < 500; turns++) {
        log_tick(clock_ms());
        while (next(reader)) {
            snprintf(text, sizeof text, "line %d.", wanted++);
            ck_assert_ptr_nonnull(strstr(got, text));
        }
    }
    ck_assert_int_eq(wanted, 500);
    ck_assert_uint_eq(log_dropped(), 0);
}
END_TEST

START_TEST(a_restarted_reader_misses_nothing)
{
    int reader = make_reader();
    uint64_t now = clock_ms();
    struct sink sink;

    sink_open(&sink, LOG_SINK_SYSLOG, test_path);
    ck_assert_int_eq(sink_write(&sink, "one", 3, now), 0);
    close(reader);
    ck_assert_int_eq(sink_write(&sink, "lost", 4, now), -ENOTCONN);
    reader = make_reader();
    now += 1000; /* the connection is tried once a second at most */
    ck_assert_int_eq(sink_write(&sink, "two", 3, now), 0);
    close(reader);
    reader = make_reader();
    ck_assert_int_eq(sink_write(&sink, "three", 5, now + 1000), 0);
    ck_assert_ptr_nonnull(next(reader));
    ck_assert_str_eq(got, "three");
    sink_close(&sink);
}
END_TEST

START_TEST(a_reader_that_comes_back_is_found_within_a_second)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    dup2(null, STDERR_FILENO);
    unlink(test_path);
    uint64_t begin = clock_ms();
    open_log(LOG_SINK_SYSLOG, LOG_INFO);
    log_event(EVENT_START, NULL, "one");
    log_event(EVENT_START, NULL, "two");
    int reader = make_reader();
    log_tick(begin); /* too early */
    if (clock_ms() - begin < 1000)
        ck_assert_ptr_null(next(reader));
    log_tick(clock_ms() + 1000);
    log_event(EVENT_START, NULL, "three");
    static const char *const wanted[] = { "one", "two", "three" };
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_nonnull(next(reader));
        ck_assert_ptr_nonnull(strstr(got, wanted[i]));
    }
    ck_assert_uint_eq(log_dropped(), 0);
}
END_TEST

START_TEST(a_log_that_is_not_there_is_told_to_stderr_once)
{
    int pipes[2];

    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    dup2(pipes[1], STDERR_FILENO);
    unlink(test_path);
    open_log(LOG_SINK_SYSLOG, LOG_INFO);
    log_tick(clock_ms() + 1000);
    log_tick(clock_ms() + 2000);
    ck_assert_ptr_nonnull(next(pipes[0]));
    ck_assert_ptr_nonnull(strstr(got, "cannot reach the log at "));
    ck_assert_ptr_eq(strchr(got, '\n'), got + strlen(got) - 1);
    ck_assert_ptr_null(next(pipes[0]));
}
END_TEST

START_TEST(stderr_lines_say_how_important_they_are)
{
    int pipes[2];

    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    open_stderr_log(pipes[1]);
    log_event(EVENT_LISTENER_DIED, NULL, "echo: signal 11");
    ck_assert_ptr_nonnull(next(pipes[0]));
    ck_assert_str_eq(got, "forkechod: err: listener died: echo: signal 11\n");
}
END_TEST

START_TEST(a_full_pipe_on_stderr_costs_no_time)
{
    int pipes[2];
    uint64_t told = 0;

    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    open_stderr_log(pipes[1]);
    for (int i = 0; i < MANY; i++)
        log_event(EVENT_SESSION_END, NULL, "a line of some length, so that all is soon full");
    ck_assert_uint_gt(log_dropped(), 0);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    ck_assert_uint_eq(read_until_report(pipes[0], &told), MANY - log_dropped());
    ck_assert_uint_eq(told, log_dropped());
}
END_TEST

START_TEST(a_stderr_that_nobody_reads_kills_nothing)
{
    int pipes[2];

    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    signal(SIGPIPE, SIG_DFL);
    open_stderr_log(pipes[1]);
    close(pipes[1]);
    close(pipes[0]);
    log_event(EVENT_START, NULL, "x");
    ck_assert_uint_eq(log_dropped(), 1);
}
END_TEST

START_TEST(a_stopped_terminal_costs_no_time)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master) | unlockpt(master), 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(terminal, 0);
    open_stderr_log(terminal);
    for (int i = 0; i < MANY; i++)
        log_event(EVENT_SESSION_END, NULL, "a line that this terminal has no room for");
    ck_assert_uint_gt(log_dropped(), 0);
    ck_assert_uint_lt(log_dropped(), MANY);
    /* The shell's own description of the terminal stays as it was. */
    ck_assert_int_eq(fcntl(terminal, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(a_full_disk_costs_lines_and_nothing_else)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    open_stderr_log(full);
    for (int i = 0; i < MANY; i++)
        log_event(EVENT_START, NULL, "%d", i);
    ck_assert_uint_gt(log_dropped(), 0);
    ck_assert_uint_lt(log_dropped(), MANY);
}
END_TEST

START_TEST(errno_survives)
{
    unlink(test_path);
    dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    errno = EXDEV;
    open_log(LOG_SINK_SYSLOG, LOG_INFO);
    log_event(EVENT_START, NULL, "x");
    log_tick(clock_ms() + 5000);
    log_journal_exists();
    log_close();
    ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(the_sinks_socket_can_be_spared_and_is_never_inherited)
{
    int kept[2];

    make_reader();
    ck_assert_uint_eq(log_descriptors(kept), 0);
    open_log(LOG_SINK_JOURNAL, LOG_INFO);
    ck_assert_uint_eq(log_descriptors(kept), 1);
    ck_assert_int_eq(fcntl(kept[0], F_GETFD), FD_CLOEXEC);
    log_close();
    ck_assert_uint_eq(log_descriptors(kept), 0);
    ck_assert_int_eq(fcntl(kept[0], F_GETFD), -1);
}
END_TEST

TCase *sink_cases(void)
{
    TCase *tcase = tcase_create("sinks");

    tcase_add_unchecked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, a_stalled_reader_costs_no_time_and_the_loss_is_told_exactly);
    tcase_add_test(tcase, a_reader_that_is_only_slow_gets_every_line_in_order);
    tcase_add_test(tcase, a_restarted_reader_misses_nothing);
    tcase_add_test(tcase, a_reader_that_comes_back_is_found_within_a_second);
    tcase_add_test(tcase, a_log_that_is_not_there_is_told_to_stderr_once);
    tcase_add_test(tcase, stderr_lines_say_how_important_they_are);
    tcase_add_test(tcase, a_full_pipe_on_stderr_costs_no_time);
    tcase_add_test(tcase, a_stderr_that_nobody_reads_kills_nothing);
    tcase_add_test(tcase, a_stopped_terminal_costs_no_time);
    tcase_add_test(tcase, a_full_disk_costs_lines_and_nothing_else);
    tcase_add_test(tcase, errno_survives);
    tcase_add_test(tcase, the_sinks_socket_can_be_spared_and_is_never_inherited);
    return tcase;
}
