/* The handlers, as their clients see them. */
#include "test-service.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "talk.h"

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

static void expect_text(int fd, const char *text)
{
    expect(fd, text, strlen(text));
}

START_TEST(echo_returns_sixty_four_segments_in_order)
{
    struct talk talk = talk_tcp();
    unsigned char bytes[64];

    fill(bytes, sizeof bytes);
    ck_assert_int_eq(setsockopt(talk.client, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)),
                     0);
    talk_serve(&talk, "echo", &plain);
    for (size_t i = 0; i < sizeof bytes; i++)
        say(talk.client, &bytes[i], 1);
    expect(talk.client, bytes, sizeof bytes);
    shutdown(talk.client, SHUT_WR);
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
    ck_assert_uint_eq(talk.counts->bytes_in, 64);
    ck_assert_uint_eq(talk.counts->bytes_out, 64);
    ck_assert_uint_ge(talk.counts->turns, 1);
}
END_TEST

START_TEST(next_once_gives_b_for_a_and_closes_at_once)
{
    struct talk talk = talk_tcp();
    uint64_t start = clock_ms();

    talk_serve(&talk, "next", &(struct manners){ .once = true });
    say_text(talk.client, "A");
    expect_text(talk.client, "B");
    expect_end(talk.client);
    ck_assert_uint_lt(clock_ms() - start, LONG_MS);
    ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
    ck_assert_uint_eq(talk.counts->turns, 1);
}
END_TEST

START_TEST(next_goes_from_the_highest_byte_to_the_lowest)
{
    struct talk talk = talk_unix();

    talk_serve(&talk, "next", &plain);
    say(talk.client, "\xff\x00z", 3);
    expect(talk.client, "\x00\x01{", 3);
    shutdown(talk.client, SHUT_WR);
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
}
END_TEST

START_TEST(upper_raises_ascii_letters_alone)
{
    struct talk talk = talk_unix();

    talk_serve(&talk, "upper", &(struct manners){ .once = true });
    say_text(talk.client, "azAZ `{@[ 09 straße\r\n");
    expect_text(talk.client, "AZAZ `{@[ 09 STRAßE\r\n");
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
}
END_TEST

START_TEST(a_delayed_echo_comes_after_its_delay_untouched)
{
    struct talk talk = talk_unix();

    talk_serve(&talk, "echo", &(struct manners){ .delay = 60, .quit = "Bye" });
    for (int i = 0; i < 2; i++) {
        uint64_t start = clock_ms();
        say_text(talk.client, "grüße, 世界\n");
        expect_text(talk.client, "grüße, 世界\n");
        ck_assert_uint_ge(clock_ms() - start, 60);
    }
    say_text(talk.client, "Bye");
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_QUIT);
    ck_assert_uint_eq(talk.counts->turns, 2);
}
END_TEST

START_TEST(the_word_to_quit_may_have_a_line_end)
{
    static const char *const ways[] = { "Bye", "Bye\n", "Bye\r\n", "Bye\r\n\r\n" };

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct talk talk = talk_unix();
        talk_serve(&talk, "echo", &(struct manners){ .quit = "Bye" });
        say_text(talk.client, ways[i]);
        expect_end(talk.client);
        ck_assert_int_eq(talk_end(&talk), SESSION_QUIT);
        ck_assert_uint_eq(talk.counts->bytes_out, 0);
    }
}
END_TEST

START_TEST(only_the_word_to_quit_quits)
{
    static const char *const others[] = { "bye", "Bye!", " Bye", "By", "\r\n", "Bye\n." };
    struct talk talk = talk_unix();

    talk_serve(&talk, "echo", &(struct manners){ .quit = "Bye" });
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        say_text(talk.client, others[i]);
        expect_text(talk.client, others[i]);
    }
    shutdown(talk.client, SHUT_WR);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
}
END_TEST

START_TEST(without_a_word_to_quit_an_empty_line_is_a_message)
{
    struct talk talk = talk_unix();

    talk_serve(&talk, "echo", &(struct manners){ .quit = "", .once = true });
    say_text(talk.client, "\r\n");
    expect_text(talk.client, "\r\n");
    ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
}
END_TEST

START_TEST(a_message_has_eight_kibibytes_at_most)
{
    struct talk talk = talk_unix();
    unsigned char bytes[MESSAGE_MAX + 100];

    fill(bytes, sizeof bytes);
    say(talk.client, bytes, sizeof bytes);
    talk_serve(&talk, "echo", &(struct manners){ .once = true });
    expect(talk.client, bytes, MESSAGE_MAX);
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
}
END_TEST

START_TEST(a_client_that_says_nothing_is_no_message)
{
    struct talk talk = talk_unix();

    talk_serve(&talk, "next", &(struct manners){ .once = true });
    shutdown(talk.client, SHUT_WR);
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
    ck_assert_uint_eq(talk.counts->turns, 0);
}
END_TEST

START_TEST(discard_takes_everything_and_answers_nothing)
{
    struct talk talk = talk_tcp();
    static unsigned char bytes[300000];

    talk_serve(&talk, "discard", &plain);
    say(talk.client, bytes, sizeof bytes);
    shutdown(talk.client, SHUT_WR);
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
    ck_assert_uint_eq(talk.counts->bytes_in, sizeof bytes);
    ck_assert_uint_eq(talk.counts->bytes_out, 0);
}
END_TEST

START_TEST(chargen_sends_the_lines_of_its_rfc)
{
    struct talk talk = talk_tcp();
    char ring[96], line[75];

    for (int i = 0; i < 95; i++)
        ring[i] = (char)(' ' + i);
    talk_serve(&talk, "chargen", &plain);
    for (int i = 0; i < 1000; i++) {
        for (int column = 0; column < 72; column++)
            line[column] = ring[(i + column) % 95];
        memcpy(line + 72, "\r\n", 3);
        expect_text(talk.client, line);
    }
    close(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
}
END_TEST

START_TEST(chargen_takes_what_is_sent_by_a_client_that_does_not_read)
{
    struct talk talk = talk_tcp();
    static unsigned char bytes[1 << 20];

    talk_serve(&talk, "chargen", &plain);
    limit_time(talk.client, SO_SNDTIMEO, LONG_MS);
    /* More than all buffers between the two hold. */
    for (int i = 0; i < 24; i++)
        say(talk.client, bytes, sizeof bytes);
    expect_text(talk.client, " !\"#$%&'()*+,-./0123456789:;<=>?@ABC");
    close(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
}
END_TEST

START_TEST(daytime_writes_every_date_as_the_calendar_has_it)
{
    char line[64], expected[64];
    struct tm parts;

    daytime_format(1795232400, line, sizeof line);
    ck_assert_str_eq(line, "Saturday, November 21, 2026 03:40:00-UTC\r\n");
    /* Some four moments a month until 2242: leap years, and a century without one. */
    for (time_t now = 0; now < (time_t)1 << 33; now += 700001) {
        gmtime_r(&now, &parts);
        strftime(expected, sizeof expected, "%A, %B %e, %Y %T-UTC\r\n", &parts);
        char *blank = strstr(expected, "  ");
        if (blank) /* %e pads a day of one digit */
            memmove(blank, blank + 1, strlen(blank));
        ck_assert_uint_eq(daytime_format(now, line, sizeof line), strlen(expected));
        ck_assert_str_eq(line, expected);
    }
}
END_TEST

START_TEST(daytime_tells_this_second_and_closes)
{
    struct talk talk = talk_tcp();
    char line[64] = "", expected[64] = "";
    time_t second = time(NULL);

    talk_serve(&talk, "daytime", &plain);
    ck_assert_int_gt(io_read_full(talk.client, line, sizeof line - 1), 0);
    for (time_t now = time(NULL); second <= now && strcmp(line, expected) != 0; second++)
        daytime_format(second, expected, sizeof expected);
    ck_assert_str_eq(line, expected);
    close(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
}
END_TEST

START_TEST(time_tells_this_second_since_1900_and_closes)
{
    struct talk talk = talk_tcp();
    uint32_t answer;
    time_t start = time(NULL);

    talk_serve(&talk, "time", &plain);
    ck_assert_int_eq(io_read_full(talk.client, &answer, sizeof answer), sizeof answer);
    expect_end(talk.client);
    uint32_t since_1970 = ntohl(answer) - 2208988800U;
    ck_assert_uint_ge(since_1970, (uint32_t)start);
    ck_assert_uint_le(since_1970, (uint32_t)time(NULL));
    close(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
}
END_TEST

START_TEST(every_handler_is_found_by_its_name_and_no_other)
{
    const char *const *names;
    size_t count = handler_names(&names);

    ck_assert_uint_eq(count, 9);
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(handler_find(names[i])->name, names[i]);
        ck_assert_uint_gt(strlen(handler_find(names[i])->summary), 10);
    }
    ck_assert_ptr_eq(handler_find("Echo"), NULL);
    ck_assert_ptr_eq(handler_find(""), NULL);
}
END_TEST

TCase *handler_cases(void)
{
    TCase *handlers = tcase_create("handlers");

    tcase_add_test(handlers, echo_returns_sixty_four_segments_in_order);
    tcase_add_test(handlers, next_once_gives_b_for_a_and_closes_at_once);
    tcase_add_test(handlers, next_goes_from_the_highest_byte_to_the_lowest);
    tcase_add_test(handlers, upper_raises_ascii_letters_alone);
    tcase_add_test(handlers, a_delayed_echo_comes_after_its_delay_untouched);
    tcase_add_test(handlers, the_word_to_quit_may_have_a_line_end);
    tcase_add_test(handlers, only_the_word_to_quit_quits);
    tcase_add_test(handlers, without_a_word_to_quit_an_empty_line_is_a_message);
    tcase_add_test(handlers, a_message_has_eight_kibibytes_at_most);
    tcase_add_test(handlers, a_client_that_says_nothing_is_no_message);
    tcase_add_test(handlers, discard_takes_everything_and_answers_nothing);
    tcase_add_test(handlers, chargen_sends_the_lines_of_its_rfc);
    tcase_add_test(handlers, chargen_takes_what_is_sent_by_a_client_that_does_not_read);
    tcase_add_test(handlers, daytime_writes_every_date_as_the_calendar_has_it);
    tcase_add_test(handlers, daytime_tells_this_second_and_closes);
    tcase_add_test(handlers, time_tells_this_second_since_1900_and_closes);
    tcase_add_test(handlers, every_handler_is_found_by_its_name_and_no_other);
    return handlers;
}
