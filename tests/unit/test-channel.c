/* The channel: records whole and in order, never blocking, the peer's death seen. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/exitcode.h"
#include "channel/channel.h"

static struct channel up, down;

static void make_pair(void)
{
    int fds[2];
    ck_assert_int_eq(channel_pair(fds), 0);
    channel_open(&up, fds[0]);
    channel_open(&down, fds[1]);
}

static void close_pair(void)
{
    channel_close(&up);
    channel_close(&down);
}

static int send_number(uint64_t number, bool must)
{
    struct record record = { .kind = RECORD_SESSION_END, .count = number };
    return channel_send(&up, &record, must);
}

START_TEST(a_record_arrives_as_it_was_sent)
{
    struct record sent = { .kind = RECORD_SESSION_END, .pid = 7, .bytes_in = 1, .signal = 9 };
    struct record got;
    record_set_text(&sent, "192.0.2.7:51234");
    ck_assert_int_eq(channel_send(&up, &sent, false), 0);
    ck_assert_int_eq(channel_receive(&down, &got), 1);
    ck_assert_mem_eq(&sent, &got, sizeof(got));
    ck_assert_uint_eq(got.version, CHANNEL_VERSION);
    ck_assert_int_eq(channel_receive(&down, &got), 0);
}
END_TEST

START_TEST(a_text_that_is_too_long_is_cut)
{
    struct record record = { .kind = RECORD_FAILED };
    char text[2 * CHANNEL_TEXT_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    record_set_text(&record, text);
    ck_assert_uint_eq(strlen(record.text), CHANNEL_TEXT_MAX - 1);
}
END_TEST

START_TEST(a_peer_that_does_not_read_costs_records_and_never_time)
{
    int sent = 0;
    while (send_number(1, false) == 0)
        ck_assert_int_lt(++sent, 1000000);
    ck_assert_int_gt(sent, CHANNEL_QUEUE_MAX - CHANNEL_RESERVED);
    ck_assert_int_eq(send_number(1, false), -EAGAIN);
}
END_TEST

START_TEST(what_must_arrive_waits_its_turn)
{
    uint64_t number = 0;
    struct record record;
    while (send_number(number, false) == 0)
        number++;
    for (int i = 0; i < CHANNEL_RESERVED; i++)
        ck_assert_int_eq(send_number(number + (uint64_t)i, true), 0);
    ck_assert_int_eq(send_number(0, true), -EAGAIN);

    for (uint64_t want = 0; want < number + CHANNEL_RESERVED; want++) {
        int got = channel_receive(&down, &record);
        if (got == 0) {
            ck_assert_int_ge(channel_flush(&up), 0);
            got = channel_receive(&down, &record);
        }
        ck_assert_int_eq(got, 1);
        ck_assert_uint_eq(record.count, want);
    }
    ck_assert_int_eq(channel_flush(&up), 0);
}
END_TEST

START_TEST(a_dead_peer_is_told_from_a_silent_one)
{
    struct record record;
    ck_assert_int_eq(channel_receive(&down, &record), 0);
    send_number(5, false);
    channel_close(&up);
    ck_assert_int_eq(channel_receive(&down, &record), 1);
    ck_assert_int_eq(channel_receive(&down, &record), -EPIPE);
    struct record answer = { .kind = RECORD_GO };
    ck_assert_int_lt(channel_send(&down, &answer, true), 0);
}
END_TEST

START_TEST(what_a_peer_said_last_arrives_though_it_read_nothing)
{
    struct record record = { .kind = RECORD_GO };
    ck_assert_int_eq(channel_send(&down, &record, true), 0);
    for (unsigned int i = 0; i < 3; i++)
        send_number(i, false);
    channel_close(&up);
    for (unsigned int i = 0; i < 3; i++) {
        ck_assert_int_eq(channel_receive(&down, &record), 1);
        ck_assert_uint_eq(record.count, i);
    }
    ck_assert_int_eq(channel_receive(&down, &record), -EPIPE);
}
END_TEST

START_TEST(a_record_of_another_size_or_version_is_not_believed)
{
    struct record record = { .version = CHANNEL_VERSION + 1, .kind = RECORD_READY }, got;
    ck_assert_int_eq(send(up.fd, &record, sizeof(record), 0), sizeof(record));
    ck_assert_int_eq(channel_receive(&down, &got), -EPROTO);
    record.version = CHANNEL_VERSION;
    ck_assert_int_gt(send(up.fd, &record, sizeof(record) - 1, 0), 0);
    ck_assert_int_eq(channel_receive(&down, &got), -EPROTO);
}
END_TEST

START_TEST(an_end_that_there_is_not_is_not_believed)
{
    struct record record = { .kind = RECORD_SESSION_END, .end = SESSION_END_COUNT - 1 }, got;
    ck_assert_int_eq(channel_send(&up, &record, false), 0);
    ck_assert_int_eq(channel_receive(&down, &got), 1);
    record.end++;
    ck_assert_int_eq(channel_send(&up, &record, false), 0);
    ck_assert_int_eq(channel_receive(&down, &got), -EPROTO);
}
END_TEST

START_TEST(a_text_without_an_end_is_given_one)
{
    struct record record = { .version = CHANNEL_VERSION, .kind = RECORD_FAILED }, got;
    memset(record.text, 'x', sizeof(record.text));
    ck_assert_int_gt(send(up.fd, &record, sizeof(record), 0), 0);
    ck_assert_int_eq(channel_receive(&down, &got), 1);
    ck_assert_uint_eq(strlen(got.text), sizeof(got.text) - 1);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("channel");
    tcase_add_checked_fixture(cases, make_pair, close_pair);
    tcase_add_test(cases, a_record_arrives_as_it_was_sent);
    tcase_add_test(cases, a_text_that_is_too_long_is_cut);
    tcase_add_test(cases, a_peer_that_does_not_read_costs_records_and_never_time);
    tcase_add_test(cases, what_must_arrive_waits_its_turn);
    tcase_add_test(cases, a_dead_peer_is_told_from_a_silent_one);
    tcase_add_test(cases, what_a_peer_said_last_arrives_though_it_read_nothing);
    tcase_add_test(cases, a_record_of_another_size_or_version_is_not_believed);
    tcase_add_test(cases, an_end_that_there_is_not_is_not_believed);
    tcase_add_test(cases, a_text_without_an_end_is_given_one);
    Suite *suite = suite_create("channel");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
