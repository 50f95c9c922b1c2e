/* What a load counts and compares: the histogram, the pattern, one connection against a peer that
 * lies, the command line of `forkecho bench`. */
#include "test-client.h"

#include <check.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/bench_options.h"
#include "client/histogram.h"
#include "client/link.h"
#include "client/pattern.h"

static struct histogram histogram;

static void begin_histogram(void)
{
    histogram = (struct histogram){ .total = 0 };
}

START_TEST(an_empty_histogram_has_no_quantile)
{
    begin_histogram();
    ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 0);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1), 0);
    ck_assert_uint_eq(histogram_between(&histogram, 0, UINT64_C(1) << 43), 0);
}
END_TEST

START_TEST(a_single_value_is_read_back_exactly_where_it_is_the_largest)
{
    static const uint64_t values[] = { 0, 1, 127, 128, 129, 255, 256, 1000000, UINT64_MAX };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        begin_histogram();
        histogram_add(&histogram, values[i]);
        ck_assert_uint_eq(histogram_quantile(&histogram, 0), values[i]);
        ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), values[i]);
        ck_assert_uint_eq(histogram_quantile(&histogram, 1), values[i]);
        ck_assert_uint_eq(histogram.min, values[i]);
        ck_assert_uint_eq(histogram.max, values[i]);
    }
}
END_TEST

START_TEST(a_quantile_is_never_too_small_and_at_most_a_128th_too_large)
{
    for (uint64_t value = 1; value < UINT64_C(1) << 42; value = value * 21 / 16 + 1) {
        begin_histogram();
        for (int i = 0; i < 9; i++)
            histogram_add(&histogram, value);
        histogram_add(&histogram, UINT64_C(1) << 50);
        uint64_t median = histogram_quantile(&histogram, 0.9);
        ck_assert_uint_ge(median, value);
        ck_assert_uint_le(median, value + value / 128);
        ck_assert_uint_eq(histogram_quantile(&histogram, 0.91), UINT64_C(1) << 50);
    }
}
END_TEST

START_TEST(ranges_of_the_histogram_hold_what_was_added_to_them)
{
    begin_histogram();
    for (uint64_t value = 0; value < 4096; value++)
        histogram_add(&histogram, value);
    ck_assert_uint_eq(histogram_between(&histogram, 0, 128), 128);
    ck_assert_uint_eq(histogram_between(&histogram, 1024, 2048), 1024);
    ck_assert_uint_eq(histogram_between(&histogram, 2048, 4096), 2048);
    ck_assert_uint_eq(histogram_between(&histogram, 4096, 8192), 0);
    ck_assert_double_eq(histogram.sum, 4096.0 * 4095 / 2);
}
END_TEST

START_TEST(the_pattern_goes_on_where_it_was_cut)
{
    pattern_init();
    for (uint64_t position = 0; position < 300000; position += 7919) {
        const unsigned char *whole = pattern_at(5, position);
        for (size_t cut = 0; cut < PATTERN_CHUNK; cut += 4099)
            ck_assert_uint_eq(whole[cut], *pattern_at(5, position + cut));
    }
}
END_TEST

START_TEST(the_pattern_of_another_connection_or_position_differs)
{
    pattern_init();
    for (uint64_t other = 1; other < 5000; other++) {
        ck_assert(memcmp(pattern_at(0, 0), pattern_at(other, 0), 16) != 0);
        ck_assert(memcmp(pattern_at(0, 0), pattern_at(0, other), 16) != 0);
    }
}
END_TEST

/* ---- one connection ---- */

/* A connection that has sent `size` bytes, and the other end of it. */
static struct link make_link(uint64_t size, int *peer)
{
    int pair[2];
    struct link_failure why;

    pattern_init();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct link link = { .fd = pair[0], .number = 3, .allowed = size };
    ck_assert_int_eq(link_move(&link, &why), 0);
    ck_assert_uint_eq(link.sent, size);
    *peer = pair[1];
    return link;
}

static void end_link(struct link *link, int peer)
{
    link_close(link);
    ck_assert_int_eq(link->fd, -1);
    close(peer);
}

START_TEST(an_equal_answer_is_taken_in_parts)
{
    struct link_failure why;
    unsigned char bytes[100];
    int peer;
    struct link link = make_link(sizeof bytes, &peer);

    ck_assert_int_eq(read(peer, bytes, sizeof bytes), sizeof bytes);
    ck_assert_int_eq(write(peer, bytes, 60), 60);
    ck_assert_int_eq(link_move(&link, &why), 60);
    ck_assert_int_eq(link_move(&link, &why), 0);
    ck_assert_int_eq(write(peer, bytes + 60, 40), 40);
    ck_assert_int_eq(link_move(&link, &why), 40);
    ck_assert_uint_eq(link.received, link.allowed);
    ck_assert_uint_eq(link_wants(&link), EPOLLIN);
    end_link(&link, peer);
}
END_TEST

START_TEST(a_wrong_byte_is_told_with_its_place_and_both_values)
{
    struct link_failure why;
    unsigned char bytes[100];
    int peer;
    struct link link = make_link(sizeof bytes, &peer);

    ck_assert_int_eq(read(peer, bytes, sizeof bytes), sizeof bytes);
    ck_assert_int_eq(write(peer, bytes, 60), 60);
    ck_assert_int_eq(link_move(&link, &why), 60);
    bytes[77] ^= 0x20;
    ck_assert_int_eq(write(peer, bytes + 60, 40), 40);
    ck_assert_int_eq(link_move(&link, &why), -1);
    ck_assert_int_eq(why.trouble, LINK_WRONG);
    ck_assert_uint_eq(why.position, 77);
    ck_assert_uint_eq(why.wanted, bytes[77] ^ 0x20);
    ck_assert_uint_eq(why.came, bytes[77]);
    end_link(&link, peer);
}
END_TEST

START_TEST(a_byte_more_than_was_sent_and_an_early_end_are_told)
{
    struct link_failure why;
    unsigned char bytes[11] = { 0 };
    int peer;
    struct link link = make_link(10, &peer);

    ck_assert_int_eq(read(peer, bytes, 10), 10);
    ck_assert_int_eq(write(peer, bytes, 11), 11);
    ck_assert_int_eq(link_move(&link, &why), -1);
    ck_assert_int_eq(why.trouble, LINK_SURPLUS);
    end_link(&link, peer);

    link = make_link(10, &peer);
    ck_assert_int_eq(read(peer, bytes, 10), 10);
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    ck_assert_int_eq(link_move(&link, &why), -1);
    ck_assert_int_eq(why.trouble, LINK_CLOSED);
    end_link(&link, peer);
}
END_TEST

/* ---- the command line ---- */

static int parse(char **words, struct bench_options *out, struct failure *why)
{
    int count = 0;

    while (words[count])
        count++;
    optind = 0;
    return bench_options_parse(count, words, out, why);
}

#define WORD(text)           ((char *)text)
#define PARSE(out, why, ...) parse((char *[]){ WORD("bench"), __VA_ARGS__, NULL }, out, why)

START_TEST(what_is_not_given_depends_on_the_mode)
{
    struct bench_options options;
    struct failure why;

    ck_assert_int_eq(PARSE(&options, &why, WORD("crr"), WORD("h"), WORD("8")), 0);
    ck_assert_int_eq(options.plan.mode, LOAD_CRR);
    ck_assert_uint_eq(options.plan.concurrency, 1);
    ck_assert_uint_eq(options.plan.size, 64);
    ck_assert_uint_eq(options.plan.duration_us, 10000000);
    ck_assert_str_eq(options.common.host, "h");
    ck_assert_str_eq(options.common.port, "8");
    ck_assert_int_eq(PARSE(&options, &why, WORD("crr"), WORD("-n"), WORD("5"), WORD("h")), 0);
    ck_assert_uint_eq(options.plan.duration_us, 0);
    ck_assert_int_eq(PARSE(&options, &why, WORD("hold"), WORD("h")), 0);
    ck_assert_uint_eq(options.plan.concurrency, 100);
    ck_assert_uint_eq(options.plan.duration_us, 0);
    ck_assert_int_eq(PARSE(&options, &why, WORD("stream"), WORD("-U"), WORD("@x")), 0);
    ck_assert_uint_eq(options.plan.size, 65536);
    ck_assert_int_eq(options.common.family, AF_UNIX);
}
END_TEST

START_TEST(what_does_not_go_together_is_refused)
{
    struct bench_options options;
    struct failure why;

    ck_assert_int_eq(PARSE(&options, &why, WORD("h")), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "wrong mode \"h\""));
    ck_assert_int_eq(PARSE(&options, &why, WORD("-c"), WORD("1")), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "no mode"));
    ck_assert_int_eq(PARSE(&options, &why, WORD("crr")), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "no host"));
    ck_assert_int_eq(PARSE(&options, &why, WORD("stream"), WORD("-r"), WORD("5"), WORD("h")), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "-r"));
    ck_assert_int_eq(PARSE(&options, &why, WORD("rr"), WORD("-i"), WORD("5"), WORD("h")), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "-i"));
    ck_assert_int_eq(PARSE(&options, &why, WORD("hold"), WORD("-w"), WORD("5"), WORD("h")), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "-w"));
    ck_assert_int_eq(PARSE(&options, &why, WORD("crr"), WORD("-c"), WORD("0"), WORD("h")), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "-c: wrong value \"0\""));
}
END_TEST

TCase *load_cases(void)
{
    TCase *cases = tcase_create("load");

    tcase_add_test(cases, an_empty_histogram_has_no_quantile);
    tcase_add_test(cases, a_single_value_is_read_back_exactly_where_it_is_the_largest);
    tcase_add_test(cases, a_quantile_is_never_too_small_and_at_most_a_128th_too_large);
    tcase_add_test(cases, ranges_of_the_histogram_hold_what_was_added_to_them);
    tcase_add_test(cases, the_pattern_goes_on_where_it_was_cut);
    tcase_add_test(cases, the_pattern_of_another_connection_or_position_differs);
    tcase_add_test(cases, an_equal_answer_is_taken_in_parts);
    tcase_add_test(cases, a_wrong_byte_is_told_with_its_place_and_both_values);
    tcase_add_test(cases, a_byte_more_than_was_sent_and_an_early_end_are_told);
    tcase_add_test(cases, what_is_not_given_depends_on_the_mode);
    tcase_add_test(cases, what_does_not_go_together_is_refused);
    return cases;
}
