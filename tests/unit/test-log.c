/* The log as its readers have it: journal, syslog, stderr; and a daemon that never waits for them.
 */
#include "log/log.h"

#include <check.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/line.h"
#include "log/sinks.h"

static char directory[] = "/tmp/forkechod-test-log-XXXXXX";
static char path[sizeof directory + 8];
static char got[16384];

static void make_directory(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
}

static void remove_directory(void)
{
    unlink(path);
    rmdir(directory);
}

/* What journald or a syslog daemon is to us: a datagram socket with a name. */
static int make_reader(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(name.sun_path, path, strlen(path) + 1);
    unlink(path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

/* The next record, terminated, or NULL when there is none. */
static const char *next(int reader)
{
    ssize_t size = read(reader, got, sizeof got - 1);
    if (size < 0)
        return NULL;
    got[size] = '\0';
    return got;
}

static void open_log(enum log_sink sink, int level)
{
    struct log_settings settings = { sink, level, LOG_DAEMON };
    log_open_at(&settings, path);
}

/* Points stderr at `fd` and the log at stderr. */
static void open_stderr_log(int fd)
{
    ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    open_log(LOG_SINK_STDERR, LOG_INFO);
}

START_TEST(every_event_can_be_told_apart_and_explained)
{
    static const struct {
        int level;
        const char *words, *id, *subject, *text;
    } events[] = {
#define EVENT(name, level, words, id, subject, text) { level, words, id, subject, text },
#include "log/events.def"
#undef EVENT
    };
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        ck_assert_uint_eq(strspn(events[i].id, "0123456789abcdef"), 32);
        ck_assert_uint_eq(strlen(events[i].id), 32);
        ck_assert_int_ge(events[i].level, LOG_ERR);
        ck_assert_int_le(events[i].level, LOG_DEBUG);
        ck_assert(*events[i].words && !strpbrk(events[i].words, ":=\n"));
        ck_assert(*events[i].subject && !strchr(events[i].subject, '\n'));
        ck_assert(*events[i].text);
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(events[i].id, events[j].id);
            ck_assert_str_ne(events[i].words, events[j].words);
        }
    }
}
END_TEST

START_TEST(syslog_gets_priority_time_name_and_process)
{
    int reader = make_reader();
    char month[4], rest[64], wanted[64];
    int priority, day, hour, minute, second;

    open_log(LOG_SINK_SYSLOG, LOG_INFO);
    log_event(EVENT_THROTTLE_BEGIN, NULL, "%s: %s", "echo", "instances");
    ck_assert_ptr_nonnull(next(reader));
    ck_assert_int_eq(sscanf(got, "<%d>%3s %2d %2d:%2d:%2d %63[^\n]", &priority, month, &day, &hour,
                            &minute, &second, rest),
                     7);
    ck_assert_int_eq(priority, LOG_DAEMON | LOG_WARNING);
    snprintf(wanted, sizeof wanted, "forkechod[%d]: throttled begin: echo: instances", getpid());
    ck_assert_str_eq(rest, wanted);
    ck_assert_ptr_null(next(reader));
}
END_TEST

START_TEST(journal_gets_every_field)
{
    int reader = make_reader();
    struct log_details details = {
        .service = "echo",
        .client = "192.0.2.7:51234",
        .reason = "client closed",
        .pid = 4711,
        .bytes_in = 1,
        .bytes_out = 0,
        .turns = 3,
        .duration_us = INT64_MAX,
        .count = -1,
        .line = -1,
    };

    open_log(LOG_SINK_JOURNAL, LOG_INFO);
    log_event(EVENT_SESSION_END, &details, "echo: 192.0.2.7:51234: client closed");
    ck_assert_ptr_nonnull(next(reader));
    char *id = strstr(got, "MESSAGE_ID=");
    ck_assert_ptr_nonnull(id);
    memset(id + strlen("MESSAGE_ID="), 'x', 32);
    ck_assert_str_eq(got, "MESSAGE=session end: echo: 192.0.2.7:51234: client closed\n"
                          "MESSAGE_ID=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
                          "PRIORITY=6\n"
                          "SYSLOG_FACILITY=3\n"
                          "SYSLOG_IDENTIFIER=forkechod\n"
                          "FORKECHOD_EVENT=session end\n"
                          "FORKECHOD_SERVICE=echo\n"
                          "FORKECHOD_CLIENT=192.0.2.7:51234\n"
                          "FORKECHOD_REASON=client closed\n"
                          "FORKECHOD_PID=4711\n"
                          "FORKECHOD_BYTES_IN=1\n"
                          "FORKECHOD_BYTES_OUT=0\n"
                          "FORKECHOD_TURNS=3\n"
                          "FORKECHOD_DURATION_US=9223372036854775807\n");
}
END_TEST

START_TEST(a_field_with_a_newline_cannot_make_a_field_of_its_own)
{
    int reader = make_reader();
    struct log_details details = LOG_DETAILS_NONE;
    uint64_t size = htole64(strlen("/etc/a\nPRIORITY=0"));

    details.file = "/etc/a\nPRIORITY=0";
    details.line = 12;
    open_log(LOG_SINK_JOURNAL, LOG_INFO);
    log_event(EVENT_RELOAD_MISTAKE, &details, "x");
    ssize_t count = recv(reader, got, sizeof got, 0);
    const char *field = memmem(got, (size_t)count, "FORKECHOD_FILE\n", 15);
    ck_assert_ptr_nonnull(field);
    ck_assert_mem_eq(field + 15, &size, sizeof size);
    ck_assert_mem_eq(field + 15 + sizeof size, "/etc/a\nPRIORITY=0\nFORKECHOD_LINE=12\n", 36);
}
END_TEST

START_TEST(a_value_that_is_too_long_costs_no_other_field)
{
    int reader = make_reader();
    struct log_details details = LOG_DETAILS_NONE;
    char *huge = calloc(1, 100001);

    memset(huge, 'a', 100000);
    details.file = huge;
    details.line = 12;
    open_log(LOG_SINK_JOURNAL, LOG_INFO);
    log_event(EVENT_RELOAD_MISTAKE, &details, "x");
    ck_assert_ptr_nonnull(next(reader));
    ck_assert_ptr_null(strstr(got, "FORKECHOD_FILE"));
    ck_assert_ptr_nonnull(strstr(got, "\nFORKECHOD_LINE=12\n"));
    free(huge);
}
END_TEST

START_TEST(foreign_bytes_are_escaped_and_quotes_stay)
{
    char out[LINE_MAX_BYTES + 1];

    line_clean("a\n<0>fake\033[2J\x7f \xc2\x9b \xff “ö” \"80abc\" C:\\x", out);
    ck_assert_str_eq(out, "a\\x0A<0>fake\\x1B[2J\\x7F \\xC2\\x9B \\xFF “ö” \"80abc\" C:\\x");
    line_clean("\"\"\\", out);
    ck_assert_str_eq(out, "\"\"\\");
}
END_TEST

START_TEST(a_line_is_cut_at_1_kib)
{
    static const char *const fillers[] = { "a", "ö", "\n", "\"", "…" };
    int reader = make_reader();
    char text[4000];

    open_log(LOG_SINK_JOURNAL, LOG_INFO);
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
        *text = '\0';
        for (size_t used = 0; used + 4 < sizeof text; used += strlen(fillers[i]))
            memcpy(text + used, fillers[i], strlen(fillers[i]) + 1);
        log_event(EVENT_START, NULL, "%s", text);
        ck_assert_ptr_nonnull(next(reader));
        *strchr(got, '\n') = '\0';
        size_t size = strlen(got + strlen("MESSAGE="));
        ck_assert_uint_le(size, 1024);
        ck_assert_uint_ge(size, 1020);
        ck_assert_str_eq(got + strlen(got) - strlen("…"), "…");
        for (size_t at = strlen("MESSAGE=start: "); got[at]; at++)
            ck_assert_msg(!iscntrl((unsigned char)got[at]), "control byte in %s", got);
    }
    memset(text, 'a', 1024 - strlen("start: "));
    text[1024 - strlen("start: ")] = '\0';
    log_event(EVENT_START, NULL, "%s", text);
    ck_assert_ptr_nonnull(next(reader));
    ck_assert_uint_eq(strcspn(got, "\n"), strlen("MESSAGE=") + 1024);
    ck_assert_ptr_null(strstr(got, "…"));
}
END_TEST

START_TEST(only_lines_of_the_level_are_written)
{
    int reader = make_reader();

    open_log(LOG_SINK_SYSLOG, LOG_NOTICE);
    log_event(EVENT_SESSION_START, NULL, "debug");
    log_event(EVENT_SESSION_END, NULL, "info");
    ck_assert_ptr_null(next(reader));
    log_event(EVENT_START, NULL, "notice");
    ck_assert_ptr_nonnull(next(reader));
    open_log(LOG_SINK_SYSLOG, LOG_DEBUG);
    log_event(EVENT_SESSION_START, NULL, "debug");
    ck_assert_ptr_nonnull(next(reader));
    ck_assert_uint_eq(log_dropped(), 0);
}
END_TEST

/* The reader does not read: the kernel's queue fills, as when journald hangs. */
START_TEST(a_stalled_reader_costs_no_time_and_the_loss_is_told_exactly)
{
    int reader = make_reader(), arrived = 0;
    uint64_t begin = clock_ms();

    open_log(LOG_SINK_SYSLOG, LOG_INFO);
    for (int i = 0; i < 2000; i++)
        log_event(EVENT_SESSION_END, NULL, "%d", i);
    ck_assert_uint_lt(clock_ms() - begin, 1000);
    log_tick(clock_ms());
    while (next(reader)) {
        ck_assert_ptr_null(strstr(got, "log dropped"));
        arrived++;
    }
    ck_assert_int_gt(arrived, 0);
    ck_assert_uint_eq(log_dropped(), 2000 - (uint64_t)arrived);

    char wanted[64];
    log_tick(clock_ms());
    ck_assert_ptr_nonnull(next(reader));
    snprintf(wanted, sizeof wanted, "log dropped: %d lines could not be written", 2000 - arrived);
    ck_assert_ptr_nonnull(strstr(got, wanted));
    log_tick(clock_ms());
    ck_assert_ptr_null(next(reader));
}
END_TEST

START_TEST(a_restarted_reader_misses_nothing)
{
    int reader = make_reader();
    uint64_t later = clock_ms() + 1000; /* the connection is tried once a second at most */
    struct sink sink;

    sink_open(&sink, LOG_SINK_SYSLOG, path);
    ck_assert_int_eq(sink_write(&sink, "one", 3, clock_ms()), 0);
    close(reader);
    ck_assert_int_eq(sink_write(&sink, "lost", 4, clock_ms()), -ENOTCONN);
    reader = make_reader();
    ck_assert_int_eq(sink_write(&sink, "two", 3, later), 0);
    close(reader);
    reader = make_reader();
    ck_assert_int_eq(sink_write(&sink, "three", 5, later + 1000), 0);
    ck_assert_ptr_nonnull(next(reader));
    ck_assert_str_eq(got, "three");
    sink_close(&sink);
}
END_TEST

START_TEST(a_reader_that_comes_back_is_found_within_a_second)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    dup2(null, STDERR_FILENO);
    unlink(path);
    open_log(LOG_SINK_SYSLOG, LOG_INFO);
    log_event(EVENT_START, NULL, "one");
    log_event(EVENT_START, NULL, "two");
    ck_assert_uint_eq(log_dropped(), 2);
    int reader = make_reader();
    log_tick(clock_ms()); /* too early */
    ck_assert_ptr_null(next(reader));
    log_tick(clock_ms() + 1000);
    ck_assert_ptr_nonnull(next(reader));
    ck_assert_ptr_nonnull(strstr(got, "log dropped: 2 lines"));
    log_event(EVENT_START, NULL, "three");
    ck_assert_ptr_nonnull(next(reader));
    ck_assert_uint_eq(log_dropped(), 2);
}
END_TEST

START_TEST(a_log_that_is_not_there_is_told_to_stderr_once)
{
    int pipes[2];

    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    dup2(pipes[1], STDERR_FILENO);
    unlink(path);
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
    uint64_t lines = 0;

    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    open_stderr_log(pipes[1]);
    for (int i = 0; i < 3000; i++)
        log_event(EVENT_SESSION_END, NULL, "a line of some length, so that 64 KiB are soon full");
    ck_assert_uint_gt(log_dropped(), 0);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    while (next(pipes[0]))
        for (const char *at = got; (at = strchr(at, '\n')); at++)
            lines++;
    ck_assert_uint_eq(lines + log_dropped(), 3000);
    log_tick(clock_ms());
    ck_assert_ptr_nonnull(next(pipes[0]));
    ck_assert_ptr_nonnull(strstr(got, "forkechod: warning: log dropped: "));
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
    for (int i = 0; i < 2000; i++)
        log_event(EVENT_SESSION_END, NULL, "a line that this terminal has no room for");
    ck_assert_uint_gt(log_dropped(), 0);
    ck_assert_uint_lt(log_dropped(), 2000);
    /* The shell's own description of the terminal stays as it was. */
    ck_assert_int_eq(fcntl(terminal, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(a_full_disk_costs_lines_and_nothing_else)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    open_stderr_log(full);
    log_event(EVENT_START, NULL, "x");
    log_event(EVENT_START, NULL, "y");
    ck_assert_uint_eq(log_dropped(), 2);
}
END_TEST

START_TEST(errno_survives)
{
    unlink(path);
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

static TCase *cases(void)
{
    TCase *tcase = tcase_create("log");

    tcase_add_unchecked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, every_event_can_be_told_apart_and_explained);
    tcase_add_test(tcase, syslog_gets_priority_time_name_and_process);
    tcase_add_test(tcase, journal_gets_every_field);
    tcase_add_test(tcase, a_field_with_a_newline_cannot_make_a_field_of_its_own);
    tcase_add_test(tcase, a_value_that_is_too_long_costs_no_other_field);
    tcase_add_test(tcase, foreign_bytes_are_escaped_and_quotes_stay);
    tcase_add_test(tcase, a_line_is_cut_at_1_kib);
    tcase_add_test(tcase, only_lines_of_the_level_are_written);
    tcase_add_test(tcase, a_stalled_reader_costs_no_time_and_the_loss_is_told_exactly);
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

int main(void)
{
    Suite *suite = suite_create("log");

    suite_add_tcase(suite, cases());
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
