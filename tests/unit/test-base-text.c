/* Text to value and back: what an administrator writes is read as it is meant, or refused. */
#include "test-base.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/date.h"
#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *hint;

START_TEST(one_is_no_plural)
{
    ck_assert_str_eq(text_plural(0), "s");
    ck_assert_str_eq(text_plural(1), "");
    ck_assert_str_eq(text_plural(2), "s");
}
END_TEST

START_TEST(counts_are_whole_decimal_numbers)
{
    static const char *const wrong[] = { "",   "12abc", "abc", "010",  "-1", "+1",
                                         " 1", "1 ",    "1.5", "0x10", "00", "1e3" };
    uint64_t value;

    ck_assert_int_eq(text_parse_count("0", 0, 9, &value, &hint), 0);
    ck_assert_uint_eq(value, 0);
    ck_assert_int_eq(text_parse_count("18446744073709551615", 0, UINT64_MAX, &value, &hint), 0);
    ck_assert_uint_eq(value, UINT64_MAX);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        hint = NULL;
        ck_assert_msg(text_parse_count(wrong[i], 0, 99, &value, &hint) == -EINVAL, "%s", wrong[i]);
        ck_assert_ptr_nonnull(hint);
    }
}
END_TEST

START_TEST(counts_beyond_their_range_are_refused)
{
    static const char *const wrong[] = {
        "4", "11", "4294967297", "99999999999", "18446744073709551616", "99999999999999999999999"
    };
    uint64_t value;

    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(text_parse_count(wrong[i], 5, 10, &value, &hint) == -ERANGE, "%s", wrong[i]);
    ck_assert_int_eq(text_parse_count("5", 5, 10, &value, &hint), 0);
    ck_assert_int_eq(text_parse_count("10", 5, 10, &value, &hint), 0);
}
END_TEST

START_TEST(yes_and_no_are_eight_words_and_no_others)
{
    static const char *const yes[] = { "yes", "true", "on", "1", "YES", "On" };
    static const char *const no[] = { "no", "false", "off", "0", "No", "OFF" };
    static const char *const wrong[] = { "",     "y",  "yikes",   "tru",     "100",
                                         "yes ", "00", "enabled", "tomorrow" };
    bool value;

    for (size_t i = 0; i < COUNT(yes); i++)
        ck_assert(!text_parse_bool(yes[i], &value, &hint) && value);
    for (size_t i = 0; i < COUNT(no); i++)
        ck_assert(!text_parse_bool(no[i], &value, &hint) && !value);
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(text_parse_bool(wrong[i], &value, &hint) == -EINVAL, "%s", wrong[i]);
}
END_TEST

START_TEST(durations_read_back_as_written)
{
    static const struct {
        const char *written;
        uint64_t milliseconds;
        const char *shown;
    } cases[] = { { "0", 0, "0" },
                  { "5", 5000, "5s" },
                  { "250ms", 250, "250ms" },
                  { "1500ms", 1500, "1500ms" },
                  { "3s", 3000, "3s" },
                  { "300s", 300000, "5min" },
                  { "5min", 300000, "5min" },
                  { "60min", 3600000, "1h" },
                  { "0h", 0, "0" } };
    static const char *const wrong[] = {
        "", "s", "1m", "1 s", "1.5s", "-1s", "1d", "1S", "1h30min"
    };
    uint64_t value, again;
    char text[32];

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(text_parse_duration(cases[i].written, 0, UINT64_MAX, &value, &hint), 0);
        ck_assert_uint_eq(value, cases[i].milliseconds);
        ck_assert_str_eq(text_format_duration(value, text, sizeof text), cases[i].shown);
        ck_assert_int_eq(text_parse_duration(text, 0, UINT64_MAX, &again, &hint), 0);
        ck_assert_uint_eq(again, value);
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(text_parse_duration(wrong[i], 0, UINT64_MAX, &value, &hint) == -EINVAL, "%s",
                      wrong[i]);
    ck_assert_int_eq(text_parse_duration("9999999999999999999", 0, UINT64_MAX, &value, &hint),
                     -ERANGE);
    ck_assert_int_eq(text_parse_duration("61s", 0, 60000, &value, &hint), -ERANGE);
    ck_assert_int_eq(text_parse_duration("999ms", 1000, 60000, &value, &hint), -ERANGE);
}
END_TEST

START_TEST(sizes_read_back_as_written)
{
    static const struct {
        const char *written;
        uint64_t bytes;
        const char *shown;
    } cases[] = { { "0", 0, "0" },
                  { "1000", 1000, "1000" },
                  { "1024", 1024, "1K" },
                  { "64K", 65536, "64K" },
                  { "1M", 1 << 20, "1M" },
                  { "2G", UINT64_C(2) << 30, "2G" },
                  { "1536K", 1536 << 10, "1536K" } };
    static const char *const wrong[] = { "", "K", "1k", "1KB", "1 M", "1.5M", "-1", "1T" };
    uint64_t value;
    char text[32];

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(text_parse_size(cases[i].written, 0, UINT64_MAX, &value, &hint), 0);
        ck_assert_uint_eq(value, cases[i].bytes);
        ck_assert_str_eq(text_format_size(value, text, sizeof text), cases[i].shown);
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(text_parse_size(wrong[i], 0, UINT64_MAX, &value, &hint) == -EINVAL, "%s",
                      wrong[i]);
    ck_assert_int_eq(text_parse_size("99999999999999G", 0, UINT64_MAX, &value, &hint), -ERANGE);
}
END_TEST

START_TEST(rates_read_back_as_written)
{
    static const struct {
        const char *written;
        struct rate rate;
        const char *shown;
    } cases[] = { { "0", { 0, 1000, 0 }, "0" },
                  { "0/h", { 0, 1000, 0 }, "0" },
                  { "50", { 50, 1000, 50 }, "50/s 50" },
                  { "50/s 100", { 50, 1000, 100 }, "50/s 100" },
                  { "10/min", { 10, 60000, 10 }, "10/min 10" },
                  { "7/h \t3", { 7, 3600000, 3 }, "7/h 3" } };
    static const char *const wrong[] = { "",    "/s",    "5/", "5/d", "5/s ten",  "5 0",
                                         "0 5", "5 5 5", "5s", "-5",  "5/second", "5 5/s" };
    struct rate rate, again;
    char text[48];

    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(text_parse_rate(cases[i].written, &rate, &hint), 0);
        ck_assert_mem_eq(&rate, &cases[i].rate, sizeof rate);
        ck_assert_str_eq(text_format_rate(&rate, text, sizeof text), cases[i].shown);
        ck_assert_int_eq(text_parse_rate(text, &again, &hint), 0);
        ck_assert_mem_eq(&again, &rate, sizeof rate);
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(text_parse_rate(wrong[i], &rate, &hint) == -EINVAL, "%s", wrong[i]);
    ck_assert_int_eq(text_parse_rate("1000001", &rate, &hint), -ERANGE);
    ck_assert_int_eq(text_parse_rate("5 1000001", &rate, &hint), -ERANGE);
}
END_TEST

START_TEST(modes_are_octal)
{
    static const char *const wrong[] = { "", "0888", "rw", "00666", "0x1", "-1" };
    uint32_t mode;

    ck_assert_int_eq(text_parse_mode("0666", &mode, &hint), 0);
    ck_assert_uint_eq(mode, 0666);
    ck_assert_int_eq(text_parse_mode("640", &mode, &hint), 0);
    ck_assert_uint_eq(mode, 0640);
    ck_assert_int_eq(text_parse_mode("4755", &mode, &hint), -ERANGE);
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(text_parse_mode(wrong[i], &mode, &hint) == -EINVAL, "%s", wrong[i]);
}
END_TEST

START_TEST(escapes_in_a_message_become_bytes)
{
    static const char *const wrong[] = { "\\", "\\q", "\\x", "\\x1", "\\xg0", "\\x00", "a\\" };
    char text[8];

    ck_assert_int_eq(text_parse_escaped("a\\r\\n\\t\\\\\\\"\\x41", text, sizeof text, &hint), 0);
    ck_assert_str_eq(text, "a\r\n\t\\\"A");
    ck_assert_int_eq(text_parse_escaped("\\xfF", text, sizeof text, &hint), 0);
    ck_assert_str_eq(text, "\xff");
    ck_assert_int_eq(text_parse_escaped("12345678", text, sizeof text, &hint), -ERANGE);
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(text_parse_escaped(wrong[i], text, sizeof text, &hint) == -EINVAL, "%s",
                      wrong[i]);
}
END_TEST

START_TEST(foreign_bytes_are_shown_harmless)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *shown;
    } cases[] = {
        { "plain text", 10, "plain text" },
        { "a\0b", 3, "a\\x00b" },
        { "\x1b[2J\r\n", 6, "\\x1B[2J\\x0D\\x0A" },
        { "\"\\\x7f", 3, "\\x22\\x5C\\x7F" },
        { "größe …", 11, "größe …" },
        { "\xf0\x9f\x90\x9a", 4, "\xf0\x9f\x90\x9a" },
        { "\xc2\x9b"
          "1m",
          4, "\\xC2\\x9B1m" },                    /* a control sequence in one character */
        { "\xc0\xaf", 2, "\\xC0\\xAF" },          /* longer than needed */
        { "\xed\xa0\x80", 3, "\\xED\\xA0\\x80" }, /* half of a pair */
        { "\xf4\x90\x80\x80", 4, "\\xF4\\x90\\x80\\x80" },
        { "\xc3", 1, "\\xC3" },
        { "\xc3(", 2, "\\xC3(" },
        { "\xff\xfe", 2, "\\xFF\\xFE" },
    };
    char shown[64];

    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert_str_eq(text_escape(cases[i].bytes, cases[i].length, shown, sizeof shown),
                         cases[i].shown);
}
END_TEST

START_TEST(what_is_escaped_reads_back_to_the_same_bytes)
{
    char bytes[256], shown[1024], again[256];

    for (int i = 1; i < 256; i++)
        bytes[i - 1] = (char)i;
    bytes[255] = '\0';
    text_escape(bytes, 255, shown, sizeof shown);
    ck_assert_int_eq(text_parse_escaped(shown, again, sizeof again, &hint), 0);
    ck_assert_str_eq(again, bytes);
}
END_TEST

START_TEST(long_foreign_bytes_are_cut_between_characters)
{
    char shown[8];

    ck_assert_str_eq(text_escape("1234567", 7, shown, 8), "1234567");
    ck_assert_str_eq(text_escape("12345678", 8, shown, 8), "1234…");
    ck_assert_str_eq(text_escape("123\x01\x02", 5, shown, 8), "123…");
    ck_assert_str_eq(text_escape("ööööö", 10, shown, 8), "öö…");
    ck_assert_str_eq(text_escape("12345", 5, shown, 4), "…");
    ck_assert_str_eq(text_escape("12345", 5, shown, 3), "");
    ck_assert_str_eq(text_escape("12345", 5, shown, 1), "");
    ck_assert_str_eq(text_escape("", 0, shown, 1), "");
}
END_TEST

START_TEST(a_misspelt_word_finds_its_neighbour)
{
    static const char *const words[] = { "instances", "idle_timeout", "listen", "handler", "nice" };
    static const struct {
        const char *word, *nearest;
    } cases[] = { { "instanses", "instances" },
                  { "Instance", "instances" },
                  { "lisetn", "listen" },
                  { "idletimeout", "idle_timeout" },
                  { "idle", "idle_timeout" },
                  { "hanlder", "handler" },
                  { "zebra", NULL },
                  { "x", NULL },
                  { "", NULL } };
    char endless[300];

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *nearest = text_nearest(cases[i].word, words, COUNT(words));
        if (cases[i].nearest)
            ck_assert_pstr_eq(nearest, cases[i].nearest);
        else
            ck_assert_msg(!nearest, "%s: %s", cases[i].word, nearest);
    }
    memset(endless, 'a', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    ck_assert_ptr_null(text_nearest(endless, words, COUNT(words)));
}
END_TEST

START_TEST(a_buffer_grows_and_tells_what_it_could_not_hold)
{
    struct buffer buffer = { 0 };
    char line[600];

    buffer_number(&buffer, 0);
    buffer_number(&buffer, UINT64_MAX);
    buffer_text(&buffer, " ");
    buffer_seconds(&buffer, 61000499, 6);
    buffer_text(&buffer, " ");
    buffer_seconds(&buffer, 999999, 1);
    buffer_format(&buffer, " %s", "end");
    buffer_add(&buffer, "", 1);
    ck_assert_str_eq(buffer.bytes, "018446744073709551615 61.000499 0.9 end");
    buffer.length = 0;
    for (int i = 0; i < 10000; i++)
        buffer_text(&buffer, "0123456789");
    ck_assert_uint_eq(buffer.length, 100000);
    ck_assert_int_eq(memcmp(buffer.bytes + 99990, "0123456789", 10), 0);
    ck_assert(!buffer.failed);
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    buffer_format(&buffer, "%s", line);
    ck_assert(buffer.failed && buffer.length == 100000);
    buffer.failed = false;
    ck_assert(!buffer_reserve(&buffer, SIZE_MAX - 1) && buffer.failed);
    buffer_free(&buffer);
    ck_assert_ptr_null(buffer.bytes);
}
END_TEST

START_TEST(a_date_is_that_of_the_calendar)
{
    struct date first = date_of(0), leap = date_of(951782399), late = date_of(4107542399);

    ck_assert_str_eq(first.weekday, "Thursday");
    ck_assert(first.year == 1970 && first.month == 1 && first.day == 1 && first.hour == 0);
    ck_assert(leap.year == 2000 && leap.month == 2 && leap.day == 28 && leap.second == 59);
    ck_assert_str_eq(leap.weekday, "Monday");
    ck_assert(late.year == 2100 && late.month == 2 && late.day == 28 && late.hour == 23);
    ck_assert_str_eq(late.month_name, "February");
}
END_TEST

TCase *text_cases(void)
{
    TCase *cases = tcase_create("text");

    tcase_add_test(cases, counts_are_whole_decimal_numbers);
    tcase_add_test(cases, counts_beyond_their_range_are_refused);
    tcase_add_test(cases, yes_and_no_are_eight_words_and_no_others);
    tcase_add_test(cases, durations_read_back_as_written);
    tcase_add_test(cases, sizes_read_back_as_written);
    tcase_add_test(cases, rates_read_back_as_written);
    tcase_add_test(cases, modes_are_octal);
    tcase_add_test(cases, escapes_in_a_message_become_bytes);
    tcase_add_test(cases, foreign_bytes_are_shown_harmless);
    tcase_add_test(cases, what_is_escaped_reads_back_to_the_same_bytes);
    tcase_add_test(cases, long_foreign_bytes_are_cut_between_characters);
    tcase_add_test(cases, a_misspelt_word_finds_its_neighbour);
    tcase_add_test(cases, a_buffer_grows_and_tells_what_it_could_not_hold);
    tcase_add_test(cases, one_is_no_plural);
    tcase_add_test(cases, a_date_is_that_of_the_calendar);
    return cases;
}
