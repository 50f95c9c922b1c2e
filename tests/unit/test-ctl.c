/* What forkechoctl makes of the status without a terminal and a network: numbers as texts, the
 * document member by member, the sessions that are asked for, and their order. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/document.h"
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

/* ---- the document ---- */

#define DAEMON                                                                                     \
    "{\"version\":\"1.0.0\",\"pid\":1,\"started\":1700000000,\"uptime_s\":12,\"life\":"            \
    "\"serving\","                                                                                 \
    "\"live\":1,\"max_sessions\":4096,\"log_level\":\"info\",\"log_level_switched\":false,"        \
    "\"log_lines_dropped\":0,\"reloads\":0,\"reload_rejected\":false,\"upgrades\":0}"
#define SERVICE                                                                                    \
    "{\"name\":\"echo\",\"handler\":\"echo\",\"state\":\"serving\",\"listen\":[\"127.0.0.1:7\"],"  \
    "\"process_model\":\"prefork\",\"instances\":256,\"live\":2,\"waiting\":3,\"generations\":1,"  \
    "\"accepted\":10,\"bytes_in\":1,\"bytes_out\":2,\"live_bytes_in\":3,\"live_bytes_out\":4,"     \
    "\"fork_failures\":0,\"records_dropped\":0,\"ended\":{\"closed\":8},"                          \
    "\"refused\":{\"no_access\":2,\"instances\":7,\"cps\":0},"                                     \
    "\"pool\":{\"workers\":5,\"idle\":3,\"scale\":4},"                                             \
    "\"rates\":{\"accepted_per_s\":1.5,\"refused_per_s\":0,\"bytes_per_s\":10}}"
#define SESSION_OF(id, service, client, pid, age)                                                  \
    "{\"id\":\"" id "\",\"service\":\"" service "\",\"client\":\"" client "\",\"pid\":" pid        \
    ",\"state\":\"reading\",\"age_s\":" age ",\"idle_s\":0.1,\"bytes_in\":5,\"bytes_out\":6,"      \
    "\"turns\":1,\"torn\":false}"
#define SESSION            SESSION_OF("17-42", "echo", "192.0.2.7:51234", "123", "1.234")
#define DOCUMENT(sessions) "{\"daemon\":" DAEMON ",\"services\":[" SERVICE "]" sessions "}"
#define WHOLE              DOCUMENT(",\"sessions\":[" SESSION "]")

static int read_text(const char *text, struct document *document, struct failure *why)
{
    return document_read(document, text, strlen(text), why);
}

START_TEST(every_member_is_where_it_belongs)
{
    struct document document;
    struct failure why;
    ck_assert_msg(read_text(WHOLE, &document, &why) == 0, "%s", why.text);
    ck_assert_str_eq(document.daemon.version, "1.0.0");
    ck_assert_uint_eq(document.daemon.started, 1700000000);
    ck_assert_uint_eq(document.daemon.max_sessions, 4096);
    ck_assert_uint_eq(document.service_count, 1);
    const struct document_service *service = document.services;
    ck_assert_uint_eq(service->accepted, 10);
    ck_assert_uint_eq(service->live_bytes_out, 4);
    ck_assert(service->has_pool);
    ck_assert_uint_eq(service->scale, 4);
    ck_assert_double_eq(service->accepted_per_s, 1.5);
    ck_assert_double_eq(service->bytes_per_s, 10);
    ck_assert_uint_eq(service->refused_total, 9);
    ck_assert_str_eq(service->refused_most, "instances");
    ck_assert_uint_eq(service->ended.count, 1);
    ck_assert_str_eq(service->ended.items->reason, "closed");
    ck_assert_uint_eq(service->ended.items->count, 8);
    ck_assert_uint_eq(service->listen_count, 1);
    ck_assert_str_eq(service->listen, "127.0.0.1:7");
    ck_assert_uint_eq(document.session_count, 1);
    ck_assert_str_eq(document.sessions->client, "192.0.2.7:51234");
    ck_assert_double_eq(document.sessions->age_s, 1.234);
    ck_assert_uint_eq(document.sessions->bytes_out, 6);
    document_free(&document);
}
END_TEST

START_TEST(sessions_that_were_not_asked_for_are_none)
{
    struct document document;
    struct failure why;
    ck_assert_int_eq(read_text(DOCUMENT(""), &document, &why), 0);
    ck_assert_uint_eq(document.session_count, 0);
    document_free(&document);
}
END_TEST

/* The whole document with one text in another's place, and what is said of it; NULL: it is good. */
static const struct {
    const char *part, *instead, *said;
} changes[] = {
    { "\"pid\":1,", "\"pid\":1,\"later\":[],", NULL },
    { "\"pid\":1,", "\"pid\":1,\"later\":{\"a\":[null,-1.5e-7,\"\\ud83d\\ude00\",{}]},", NULL },
    { "\"pid\":1,", " \"pid\"\n:\t1\r,", NULL },
    { "\"pid\":1,", "\"\\u0070\\u0069d\":1,", NULL },
    { "\"pool\":{\"workers\":5,\"idle\":3,\"scale\":4}", "\"pool\":null", NULL },
    { "\"accepted\":10", "\"accepted\":18446744073709551615", NULL },
    { "\"age_s\":1.234", "\"age_s\":1e300", NULL },
    { "\"age_s\":1.234", "\"age_s\":0", NULL },
    { "\"client\":\"192", "\"client\":\"\\u00e9192", NULL },
    { "\"listen\":[\"127.0.0.1:7\"]", "\"listen\":[]", NULL },
    { "\"listen\":[\"127.0.0.1:7\"]", "\"listen\":[\"unix:/\\u001b\"]", NULL },
    { "\"pid\":1,", "", "no pid of a daemon (at offset 227)" },
    { "\"version\":\"1.0.0\"", "\"version\":1", "no right version of a daemon (at offset 21)" },
    { "\"reload_rejected\":false", "\"reload_rejected\":0", "right reload_rejected of a daemon" },
    { "\"daemon\":{", "\"demon\":{", "no daemon" },
    { "\"daemon\":{", "\"daemon\":[],\"x\":{", "no right daemon" },
    { "\"services\":[", "\"services\":0,\"x\":[", "no right services" },
    { "\"services\":[", "\"x\":[", "no services" },
    { "\"sessions\":[", "\"sessions\":{},\"x\":[", "no right sessions" },
    { "\"sessions\":[", "\"sessions\":[null,", "no right session" },
    { "\"listen\":[\"127.0.0.1:7\"]", "\"listen\":\"\"", "no right listen of a service" },
    { "\"listen\":[\"127.0.0.1:7\"]", "\"listen\":[7]", "no right listen of a service" },
    { "\"accepted\":10", "\"accepted\":-1", "accepted of a service" },
    { "\"accepted\":10", "\"accepted\":1.5", "accepted of a service" },
    { "\"accepted\":10", "\"accepted\":18446744073709551616", "accepted of a service" },
    { "\"age_s\":1.234", "\"age_s\":1e999", "age_s of a session" },
    { "\"age_s\":1.234", "\"age_s\":-1", "age_s of a session" },
    { "\"scale\":4", "\"scale\":null", "scale of a service's pool" },
    { "\"pool\":{", "\"pool\":7,\"x\":{", "no right service's pool" },
    { "\"cps\":0", "\"cps\":\"0\"", "count of a reason" },
    { "\"closed\":8", "\"closed\":[]", "count of a reason" },
    { "\"closed\":8", "\"\\u001b\":8", "name of a member" },
    { "\"name\":\"echo\"", "\"name\":\"\\u001b[2J\"", "name of a service" },
    { "\"id\":\"17-42\"", "\"id\":\"17-42\\u007f\"", "id of a session" },
    { "\"client\":\"192", "\"client\":\"\\u009b192", "client of a session" },
    { "\"name\":\"echo\"", "\"name\":\"a\",\"name\":\"b\"", "a second name of a service" },
    { "\"daemon\":{", "\"daemon\":{},\"x\":{", "of a daemon" },
};

START_TEST(what_is_missing_or_wrong_is_named)
{
    static const char whole[] = WHOLE;
    char text[sizeof whole + 100];
    struct document document;
    struct failure why;
    const char *at = strstr(whole, changes[_i].part);
    ck_assert_ptr_nonnull(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, changes[_i].instead,
             at + strlen(changes[_i].part));
    int result = read_text(text, &document, &why);
    if (changes[_i].said == NULL) {
        ck_assert_msg(result == 0, "%s", why.text);
        document_free(&document);
        return;
    }
    ck_assert_msg(result == -1, "%s", text);
    ck_assert_int_eq(why.status, EX_PROTOCOL);
    ck_assert_msg(strstr(why.text, changes[_i].said) != NULL, "%s", why.text);
    ck_assert_ptr_null(document.texts);
}
END_TEST

/* What is no JSON, where, and why. */
static const struct {
    const char *text;
    size_t offset;
    const char *why;
} mistakes[] = {
    { "", 0, "it ends" },
    { " \n", 2, "it ends" },
    { "{", 1, "it ends" },
    { "{\"a", 3, "it ends" },
    { "{\"a\"", 4, "it ends" },
    { "{\"a\":", 5, "it ends" },
    { "{\"a\":1", 6, "it ends" },
    { "{\"a\":-", 6, "it ends" },
    { "{\"a\":\"\\", 7, "it ends" },
    { "{\"a\":\"\\u12", 10, "it ends" },
    { "{\"a\":\"\\ud800", 12, "it ends" },
    { "{\"a\":tru", 5, "no value" },
    { "{\"a\":nul}", 5, "no value" },
    { "{\"a\":True}", 5, "no value" },
    { "{\"a\":+1}", 5, "no value" },
    { "{\"a\":.5}", 5, "no value" },
    { "{\"a\":01}", 7, "no value" },
    { "{\"a\":1.}", 7, "no digit" },
    { "{\"a\":1e}", 7, "no digit" },
    { "{\"a\":1e+x}", 8, "no digit" },
    { "{\"a\":0x1}", 6, "no , and no }" },
    { "{\"a\":NaN}", 5, "no value" },
    { "{\"a\":\033[2J}", 5, "no value" },
    { "{\"a\" 1}", 5, "no :" },
    { "{\"a\":1 \"b\":2}", 7, "no , and no }" },
    { "{\"a\":1,}", 7, "no name of a member" },
    { "{,}", 1, "no name of a member" },
    { "{a:1}", 1, "no name of a member" },
    { "{\"a\":[1,]}", 8, "no value" },
    { "{\"a\":[1 2]}", 8, "no , and no ]" },
    { "{\"a\":[1}}", 7, "no , and no ]" },
    { "{\"a\":\"\n\"}", 6, "no character" },
    { "{\"a\":\"\x80\"}", 6, "no character" },
    { "{\"a\":\"\xc0\xaf\"}", 6, "no character" },
    { "{\"a\":\"\xed\xa0\x80\"}", 6, "no character" },
    { "{\"a\":\"\\x\"}", 7, "no such escape" },
    { "{\"a\":\"\\u00g0\"}", 10, "no hexadecimal digit" },
    { "{\"a\":\"\\u0000\"}", 12, "no character" },
    { "{\"a\":\"\\udc00\"}", 12, "no character" },
    { "{\"a\":\"\\ud800\"}", 12, "no value" },
    { "{\"a\":\"\\ud800\\u0041\"}", 18, "no character" },
    { "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 21, "too deep" },
    { WHOLE "}", sizeof WHOLE - 1, "something follows" },
};

START_TEST(what_is_no_json_is_told_with_its_offset)
{
    char expected[128];
    struct document document;
    struct failure why;
    /* In memory of just that size, so that a tool which watches memory sees a read beyond it. */
    size_t size = strlen(mistakes[_i].text);
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, mistakes[_i].text, size);
    char *exact = realloc(text, size > 0 ? size : 1);
    ck_assert_int_eq(document_read(&document, exact, size, &why), -1);
    snprintf(expected, sizeof expected, "the status is no JSON at offset %zu: %s",
             mistakes[_i].offset, mistakes[_i].why);
    ck_assert_msg(strncmp(why.text, expected, strlen(expected)) == 0, "%s", why.text);
    ck_assert_int_eq(why.status, EX_PROTOCOL);
    ck_assert_ptr_null(document.texts);
    free(exact);
}
END_TEST

/* A document cut anywhere is none, and one with a byte changed is read or refused, no worse. */
START_TEST(a_document_that_is_broken_anywhere_is_refused)
{
    static const char whole[] = WHOLE, bytes[] = "\"{}[],:\\0-e. \x80";
    struct document document;
    struct failure why;
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        char *text = malloc(size + 1);
        ck_assert_ptr_nonnull(text);
        memcpy(text, whole, size);
        ck_assert_int_eq(document_read(&document, text, size, &why), -1);
        for (const char *byte = bytes; size > 0 && *byte != '\0'; byte++) {
            memcpy(text, whole, size);
            text[size / 2] = *byte;
            ck_assert_int_eq(document_read(&document, text, size, &why), -1);
        }
        free(text);
    }
}
END_TEST

START_TEST(texts_are_decoded)
{
    static const char text[] =
        DOCUMENT(",\"sessions\":[" //
                 SESSION_OF("\\\"\\\\\\/", "\\u00e9\\u20AC", "\\ud83d\\uDE00", "1", "2.5e-1") "]");
    struct document document;
    struct failure why;
    ck_assert_msg(read_text(text, &document, &why) == 0, "%s", why.text);
    ck_assert_str_eq(document.sessions->id, "\"\\/");
    ck_assert_str_eq(document.sessions->service, "\xc3\xa9\xe2\x82\xac");
    ck_assert_str_eq(document.sessions->client, "\xf0\x9f\x98\x80");
    ck_assert_double_eq(document.sessions->age_s, 0.25);
    ck_assert_uint_eq(document.sessions->json_size, strlen(strstr(text, "{\"id\"")) - 2);
    ck_assert(memcmp(document.sessions->json, "{\"id\":\"\\\"", 9) == 0);
    document_free(&document);
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

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int main(void)
{
    Suite *suite = suite_create("ctl");
    TCase *texts = tcase_create("texts"), *sessions = tcase_create("sessions");

    tcase_add_loop_test(texts, a_number_is_short_enough_for_its_column, 0, COUNT(numbers));
    tcase_add_test(texts, every_member_is_where_it_belongs);
    tcase_add_test(texts, sessions_that_were_not_asked_for_are_none);
    tcase_add_loop_test(texts, what_is_missing_or_wrong_is_named, 0, COUNT(changes));
    tcase_add_loop_test(texts, what_is_no_json_is_told_with_its_offset, 0, COUNT(mistakes));
    tcase_add_test(texts, a_document_that_is_broken_anywhere_is_refused);
    tcase_add_test(texts, texts_are_decoded);
    suite_add_tcase(suite, texts);
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
