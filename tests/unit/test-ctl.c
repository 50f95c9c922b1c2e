/* What forkechoctl makes of the status without a terminal and a network: numbers as texts, the
 * document member by member, the sessions that are asked for, and their order. */
#include "test-ctl.h"

#include <stdio.h>
#include <sysexits.h>

#include "ctl/format.h"
#include "ctl/select.h"

/* ---- numbers ---- */

static const struct {
    const char *(*format)(double number, char text[FORMAT_MAX]);
    double number;
    const char *text;
} numbers[] = {
    { format_count, 0, "0" },
    { format_count, 0.4, "0" },
    { format_count, 999, "999" },
    { format_count, 999.6, "1.0K" },
    { format_count, 1500, "1.5K" },
    { format_count, 9949, "9.9K" },
    { format_count, 9960, "10K" },
    { format_count, 999499, "999K" },
    { format_count, 999501, "1.0M" },
    { format_count, 2e9, "2.0G" },
    { format_count, 1.8446744073709552e19, "18E" },
    { format_bytes, 0, "0" },
    { format_bytes, 1, "1B" },
    { format_bytes, 1023, "1023B" },
    { format_bytes, 1024, "1.0K" },
    { format_bytes, 1536, "1.5K" },
    { format_bytes, 1048575, "1.0M" },
    { format_bytes, 5368709120, "5.0G" },
    { format_seconds, 0, "0.0s" },
    { format_seconds, 0.44, "0.4s" },
    { format_seconds, 9.94, "9.9s" },
    { format_seconds, 9.96, "9s" },
    { format_seconds, 59.99, "59s" },
    { format_seconds, 60, "1m00s" },
    { format_seconds, 306, "5m06s" },
    { format_seconds, 3599, "59m59s" },
    { format_seconds, 3600, "1h00m" },
    { format_seconds, 86399, "23h59m" },
    { format_seconds, 187200, "2d04h" },
    { format_seconds, 1e300, "11574074074d01h" },
};

START_TEST(a_number_is_short_enough_for_its_column)
{
    char text[FORMAT_MAX];
    ck_assert_str_eq(numbers[_i].format(numbers[_i].number, text), numbers[_i].text);
}
END_TEST

/* ---- who is asked for, and in which order ---- */

static struct document crowd;

static void set_up(void)
{
    static const char text[] =
        DOCUMENT(",\"sessions\":[" SESSION_OF("1-1", "echo", "192.0.2.7:51234", "30", "5") "," //
                 SESSION_OF("2-1", "upper", "192.0.2.7:7", "10", "9") ","                      //
                 SESSION_OF("3-1", "echo", "[2001:db8::1]:5", "20", "5") ","                   //
                 SESSION_OF("4-1", "http", "unix", "40", "0.5") ","                            //
                 SESSION_OF("5-1", "echo", "-", "50", "7") "]");
    struct failure why;
    ck_assert_msg(read_text(text, &crowd, &why) == 0, "%s", why.text);
}

static void tear_down(void)
{
    document_free(&crowd);
}

/* The slots of the IDs, in order. */
static const char *slots(void)
{
    static char text[16];
    for (size_t i = 0; i < crowd.session_count; i++)
        text[i] = *crowd.sessions[i].id;
    text[crowd.session_count] = '\0';
    return text;
}

static const struct {
    struct selection selection;
    const char *slots;
} selections[] = {
    { { NULL, NULL }, "12345" },
    { { "echo", NULL }, "135" },
    { { "ech", NULL }, "" },
    { { NULL, "192.0.2.7" }, "12" },
    { { NULL, "192.0.2.7:7" }, "2" },
    { { NULL, "192.0.2.0/24" }, "12" },
    { { NULL, "0.0.0.0/0" }, "12" },
    { { NULL, "2001:db8::/32" }, "3" },
    { { NULL, "[2001:db8::1]:5" }, "3" },
    { { NULL, "unix" }, "4" },
    { { NULL, "-" }, "5" },
    { { "echo", "192.0.2.7" }, "1" },
    { { "http", "192.0.2.7" }, "" },
};

START_TEST(a_selection_leaves_those_that_fit)
{
    struct failure why;
    ck_assert_int_eq(select_sessions(&crowd, &selections[_i].selection, &why), 0);
    ck_assert_str_eq(slots(), selections[_i].slots);
}
END_TEST

START_TEST(a_client_that_is_none_is_refused)
{
    static const char *const wrong[] = { "", "nobody", "192.0.2.7/33", "192.0.2.7/24", "192.0.2" };
    struct failure why;
    const struct selection selection = { NULL, wrong[_i] };
    ck_assert_int_eq(select_sessions(&crowd, &selection, &why), -1);
    ck_assert_int_eq(why.status, EX_USAGE);
    ck_assert_str_eq(slots(), "12345");
}
END_TEST

static const struct {
    const char *key, *slots;
} sorts[] = {
    { "age", "25134" },     { "pid", "54132" },    { "id", "12345" },
    { "service", "13542" }, { "client", "51234" }, { "in", "12345" },
};

START_TEST(a_key_sorts_and_equals_go_by_their_id)
{
    ck_assert(select_sort(&crowd, sorts[_i].key));
    ck_assert_str_eq(slots(), sorts[_i].slots);
}
END_TEST

START_TEST(the_keys_that_are_shown_are_those_that_sort)
{
    char keys[128];
    snprintf(keys, sizeof keys, "%s", select_keys);
    for (char *key = strtok(keys, " "); key != NULL; key = strtok(NULL, " ")) {
        ck_assert_msg(select_is_key(key), "%s", key);
        ck_assert_msg(select_sort(&crowd, key), "%s", key);
    }
    ck_assert(!select_is_key("beauty"));
    ck_assert(!select_sort(&crowd, ""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl");
    TCase *texts = tcase_create("texts"), *sessions = tcase_create("sessions");

    tcase_add_loop_test(texts, a_number_is_short_enough_for_its_column, 0, COUNT(numbers));
    suite_add_tcase(suite, texts);
    suite_add_tcase(suite, document_cases());
    suite_add_tcase(suite, top_cases());
    tcase_add_checked_fixture(sessions, set_up, tear_down);
    tcase_add_loop_test(sessions, a_selection_leaves_those_that_fit, 0, COUNT(selections));
    tcase_add_loop_test(sessions, a_client_that_is_none_is_refused, 0, 5);
    tcase_add_loop_test(sessions, a_key_sorts_and_equals_go_by_their_id, 0, COUNT(sorts));
    tcase_add_test(sessions, the_keys_that_are_shown_are_those_that_sort);
    suite_add_tcase(suite, sessions);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
