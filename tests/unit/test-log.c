/* The log as its readers have it: journal, syslog, stderr. */
#include "test-log.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log/line.h"
#include "log/log.h"
#include "log/sinks.h"

static const char pattern[] = "/tmp/forkechod-test-log-XXXXXX";
static char directory[sizeof pattern];
char test_path[sizeof pattern + 8];
char got[16384];

void make_directory(void)
{
    memcpy(directory, pattern, sizeof pattern);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(test_path, sizeof test_path, "%s/socket", directory);
}

void remove_directory(void)
{
    unlink(test_path);
    rmdir(directory);
}

int make_reader(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(name.sun_path, test_path, strlen(test_path) + 1);
    unlink(test_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

const char *next(int reader)
{
    ssize_t size = read(reader, got, sizeof got - 1);
    if (size < 0)
        return NULL;
    got[size] = '\0';
    return got;
}

void open_log(enum log_sink sink, int level)
{
    struct log_settings settings = { sink, level, LOG_DAEMON };
    log_open_at(&settings, test_path);
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

static TCase *line_cases(void)
{
    TCase *tcase = tcase_create("lines");

    tcase_add_unchecked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, every_event_can_be_told_apart_and_explained);
    tcase_add_test(tcase, syslog_gets_priority_time_name_and_process);
    tcase_add_test(tcase, journal_gets_every_field);
    tcase_add_test(tcase, a_field_with_a_newline_cannot_make_a_field_of_its_own);
    tcase_add_test(tcase, a_value_that_is_too_long_costs_no_other_field);
    tcase_add_test(tcase, foreign_bytes_are_escaped_and_quotes_stay);
    tcase_add_test(tcase, a_line_is_cut_at_1_kib);
    tcase_add_test(tcase, only_lines_of_the_level_are_written);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("log");

    suite_add_tcase(suite, line_cases());
    suite_add_tcase(suite, sink_cases());
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
