/* What of forkecho can be judged without a network: the command line, addresses in turn, one
 * message's comparison, the numbers at the end. */
#include "test-client.h"

#include <check.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/connect.h"
#include "client/exchange.h"
#include "client/options.h"
#include "client/stats.h"
#include "client/wait.h"

enum { SECOND_US = 1000000 };

/* ---- the command line ---- */

static int parse(char **words, struct options *out, struct failure *why)
{
    int count = 0;

    while (words[count])
        count++;
    optind = 0; /* getopt(3): begin anew */
    return options_parse(count, words, out, why);
}

#define PARSE(out, why, ...)                                                                       \
    parse((char *[]){ (char[]){ "forkecho" }, __VA_ARGS__, NULL }, out, why)

START_TEST(a_host_alone_is_talked_to_on_port_7)
{
    struct options options;
    struct failure why;
    int result = PARSE(&options, &why, (char[]){ "example.org" });

    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(options.mode, MODE_TALK);
    ck_assert_str_eq(options.host, "example.org");
    ck_assert_str_eq(options.port, "7");
    ck_assert_int_eq(options.family, AF_UNSPEC);
    ck_assert_uint_eq(options.timeout_us, 5 * SECOND_US);
}
END_TEST

START_TEST(brackets_around_an_address_are_taken_off)
{
    struct options options;
    struct failure why;
    int result = PARSE(&options, &why, (char[]){ "[fe80::1%eth0]" }, (char[]){ "echo" });

    ck_assert_int_eq(result, 0);
    ck_assert_str_eq(options.host, "fe80::1%eth0");
    ck_assert_str_eq(options.port, "echo");
}
END_TEST

static const struct {
    const char *text;
    uint64_t us; /* 1: refused */
} times[] = {
    { "3", 3 * SECOND_US },
    { "250ms", 250000 },
    { "1min", 60 * SECOND_US },
    { "0.2", 200000 },
    { ".05", 50000 },
    { "1.5", 1500000 },
    { "0", 0 },
    { "12.034", 12034000 },
    { "1.", 1 },
    { ".", 1 },
    { "1.2345", 1 },
    { "x.5", 1 },
    { "-0.5", 1 },
    { "1.5s", 1 },
    { "99999999999999999999.5", 1 },
};

START_TEST(a_time_is_a_duration_or_seconds_with_a_fraction)
{
    struct options options;
    struct failure why;
    char text[32];

    snprintf(text, sizeof text, "%s", times[_i].text);
    int result = PARSE(&options, &why, (char[]){ "-i" }, text, (char[]){ "host" });

    ck_assert_msg(result == (times[_i].us == 1 ? -1 : 0), "%s", times[_i].text);
    if (!result)
        ck_assert_uint_eq(options.interval_us, times[_i].us);
}
END_TEST

/* ---- addresses in turn: the resolver of this program answers with Unix sockets ---- */

static struct addrinfo answers[3];
static struct sockaddr_un sockets[3];

static void answer_with(size_t count, const char *const *names)
{
    for (size_t i = 0; i < count; i++) {
        sockets[i] = (struct sockaddr_un){ .sun_family = AF_UNIX };
        size_t size = strlen(names[i]);
        memcpy(sockets[i].sun_path + 1, names[i], size);
        answers[i] = (struct addrinfo){
            .ai_family = AF_UNIX,
            .ai_addr = (struct sockaddr *)&sockets[i],
            .ai_addrlen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size),
            .ai_next = i + 1 < count ? &answers[i + 1] : NULL,
        };
    }
}

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict request, struct addrinfo **restrict out)
{
    (void)name, (void)service, (void)request;
    *out = answers;
    return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
    ck_assert_ptr_eq(found, answers);
}

START_TEST(the_addresses_of_a_name_are_tried_in_turn)
{
    char missing[32], present[32];
    const char *const names[] = { missing, present, missing };
    struct options options = { .host = "name", .port = "7", .timeout_us = SECOND_US };
    struct failure why;
    struct peer peer;

    snprintf(missing, sizeof missing, "missing-%d", getpid());
    snprintf(present, sizeof present, "present-%d", getpid());
    answer_with(3, names);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server, answers[1].ai_addr, answers[1].ai_addrlen), 0);
    ck_assert_int_eq(listen(server, 1), 0);
    int fd = connect_host(&options, &peer, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_ptr_nonnull(strstr(peer.text, present));
    ck_assert_int_eq(strncmp(peer.name, "name (", 6), 0);
    close(fd);
    close(server);
}
END_TEST

START_TEST(every_address_that_failed_is_named)
{
    const char *const names[] = { "forkecho-missing-1", "forkecho-missing-2" };
    struct options options = { .host = "na\033me", .port = "7", .timeout_us = SECOND_US };
    struct failure why;
    struct peer peer;

    answer_with(2, names);
    ck_assert_int_eq(connect_host(&options, &peer, &why), -1);
    ck_assert_str_eq(why.text, "na\\x1Bme (unix:@forkecho-missing-1): Connection refused; "
                               "na\\x1Bme (unix:@forkecho-missing-2): Connection refused");
}
END_TEST

/* ---- one message ---- */

static int ends[2];

static void open_ends(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

static void close_ends(void)
{
    close(ends[0]);
    close(ends[1]);
}

/* The answer waits already when the message is sent. */
static enum exchange_end exchange(const char *message, const char *answer, struct exchange *out)
{
    size_t size = strlen(answer);

    ck_assert_int_eq(write(ends[1], answer, size), (ssize_t)size);
    return exchange_run(ends[0], (const unsigned char *)message, strlen(message), 20000, out);
}

START_TEST(an_equal_answer_is_equal)
{
    struct exchange result;
    char sent[8] = "";

    ck_assert_int_eq(exchange("message", "message", &result), EXCHANGE_EQUAL);
    ck_assert_uint_eq(result.received, 7);
    ck_assert_int_eq(read(ends[1], sent, sizeof sent), 7);
    ck_assert_str_eq(sent, "message");
}
END_TEST

static const struct {
    const char *answer;
    size_t at;
    unsigned char wanted, came;
} differences[] = {
    { "Message", 0, 'm', 'M' },
    { "messagE", 6, 'e', 'E' },
    { "MESSAGE", 0, 'm', 'M' },
    { "messages", 7, 0, 's' },
};

START_TEST(the_first_difference_is_told)
{
    struct exchange result;

    ck_assert_int_eq(exchange("message", differences[_i].answer, &result), EXCHANGE_DIFFERENT);
    ck_assert_uint_eq(result.differs_at, differences[_i].at);
    ck_assert_int_eq(result.wanted, differences[_i].wanted);
    ck_assert_int_eq(result.came, differences[_i].came);
}
END_TEST

START_TEST(a_part_of_an_answer_is_late)
{
    struct exchange result;

    ck_assert_int_eq(exchange("message", "mess", &result), EXCHANGE_LATE);
    ck_assert_uint_eq(result.received, 4);
}
END_TEST

START_TEST(a_server_that_left_has_closed_also_while_it_is_sent_to)
{
    struct exchange result;

    ck_assert_int_eq(write(ends[1], "me", 2), 2);
    ck_assert_int_eq(shutdown(ends[1], SHUT_RDWR), 0);
    ck_assert_int_eq(exchange_run(ends[0], (const unsigned char *)"message", 7, 0, &result),
                     EXCHANGE_CLOSED);
    ck_assert_uint_eq(result.received, 2);
}
END_TEST

START_TEST(an_interrupt_that_came_before_is_not_waited_out)
{
    static const int signals[] = { SIGINT, 0 };
    struct exchange result;

    wait_record(signals);
    raise(SIGINT);
    ck_assert(!wait_interrupted()); /* blocked until somebody waits */
    ck_assert_int_eq(exchange_run(ends[0], (const unsigned char *)"message", 7, 0, &result),
                     EXCHANGE_INTERRUPTED);
}
END_TEST

/* ---- the numbers ---- */

START_TEST(the_statistics_are_those_of_the_series)
{
    struct stats stats = { .sent = 10 };

    for (uint64_t us = 2; us <= 9; us++)
        if (us != 3 && us != 6 && us != 8) /* 2 4 5 7 9, and three of them again */
            stats_add(&stats, us * 1000);
    stats_add(&stats, 4000);
    stats_add(&stats, 4000);
    stats_add(&stats, 5000);
    ck_assert_uint_eq(stats.answered, 8);
    ck_assert_uint_eq(stats.min_us, 2000);
    ck_assert_uint_eq(stats.max_us, 9000);
    ck_assert_uint_eq(stats_mean(&stats), 5000);
    ck_assert_uint_eq(stats_mdev(&stats), 2000);
    ck_assert_double_eq_tol(stats_loss(&stats), 20, 1e-9);
}
END_TEST

START_TEST(a_long_series_far_from_zero_keeps_its_deviation)
{
    struct stats stats = { .sent = 1 };

    for (uint64_t i = 0; i < 1000000; i++)
        stats_add(&stats, 3600ULL * SECOND_US + i % 2 * 200);
    ck_assert_uint_eq(stats_mean(&stats), 3600ULL * SECOND_US + 100);
    ck_assert_uint_eq(stats_mdev(&stats), 100);
}
END_TEST

START_TEST(no_message_and_one_message_have_no_deviation)
{
    struct stats stats = { 0 };

    ck_assert_double_eq_tol(stats_loss(&stats), 0, 1e-9);
    ck_assert_uint_eq(stats_mdev(&stats), 0);
    stats_add(&stats, 0);
    ck_assert_uint_eq(stats.min_us + stats.max_us + stats_mean(&stats) + stats_mdev(&stats), 0);
}
END_TEST

static TCase *exchange_cases(void)
{
    TCase *cases = tcase_create("exchange");

    tcase_add_checked_fixture(cases, open_ends, close_ends);
    tcase_add_test(cases, an_equal_answer_is_equal);
    tcase_add_loop_test(cases, the_first_difference_is_told, 0,
                        sizeof differences / sizeof *differences);
    tcase_add_test(cases, a_part_of_an_answer_is_late);
    tcase_add_test(cases, a_server_that_left_has_closed_also_while_it_is_sent_to);
    tcase_add_test(cases, an_interrupt_that_came_before_is_not_waited_out);
    return cases;
}

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *cases = tcase_create("forkecho");

    tcase_add_test(cases, a_host_alone_is_talked_to_on_port_7);
    tcase_add_test(cases, brackets_around_an_address_are_taken_off);
    tcase_add_loop_test(cases, a_time_is_a_duration_or_seconds_with_a_fraction, 0,
                        sizeof times / sizeof *times);
    tcase_add_test(cases, the_addresses_of_a_name_are_tried_in_turn);
    tcase_add_test(cases, every_address_that_failed_is_named);
    tcase_add_test(cases, the_statistics_are_those_of_the_series);
    tcase_add_test(cases, a_long_series_far_from_zero_keeps_its_deviation);
    tcase_add_test(cases, no_message_and_one_message_have_no_deviation);
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, exchange_cases());
    suite_add_tcase(suite, load_cases());
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
