/* The document member by member, and what is none. */
#include "test-ctl.h"

#include <stdio.h>
#include <sysexits.h>

int read_text(const char *text, struct document *document, struct failure *why)
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

TCase *document_cases(void)
{
    TCase *cases = tcase_create("document");
    tcase_add_test(cases, every_member_is_where_it_belongs);
    tcase_add_test(cases, sessions_that_were_not_asked_for_are_none);
    tcase_add_loop_test(cases, what_is_missing_or_wrong_is_named, 0, COUNT(changes));
    tcase_add_loop_test(cases, what_is_no_json_is_told_with_its_offset, 0, COUNT(mistakes));
    tcase_add_test(cases, a_document_that_is_broken_anywhere_is_refused);
    tcase_add_test(cases, texts_are_decoded);
    return cases;
}
