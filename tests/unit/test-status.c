/* The pages of the status service, made of a board in this process. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "status/status.h"

static struct board board;
static struct buffer body;
static struct http_answer answer;

static void set_up(void)
{
    struct failure why;
    ck_assert_int_eq(board_create(&board, 64, &why), 0);
    struct board_service *service = &board.services[0];
    strcpy(service->name, "a\"b\\c");
    strcpy(service->handler, "<echo>");
    strcpy(service->listen, "127.0.0.1:7 [::1]:7");
    service->state = SERVICE_SERVING;
    service->instances = 16;
    snprintf(board.header->program, sizeof(board.header->program), "1.0");
    board.header->life = LIFE_SERVES;
}

static void tear_down(void)
{
    buffer_free(&body);
    board_destroy(&board);
}

/* A session of service 0 whose client is called so. */
static uint32_t add_client(const char *client)
{
    static uint32_t hint;
    unsigned int block = 0;
    while (board.blocks[block].used)
        block++;
    board_block_open(&board, block, 1, 0);
    hint = 0;
    int64_t slot = board_chunk_take(&board, block, &hint);
    board_slot_open(&board, (uint32_t)slot, block, client, clock_us());
    board_slot_pid(&board, (uint32_t)slot, 1234);
    return (uint32_t)slot;
}

/* The body that a target is answered with; terminated. */
static const char *ask(const char *target, bool local_names)
{
    struct status_view view = { &board, local_names };
    struct http_request request;
    char bytes[256];

    snprintf(bytes, sizeof(bytes), "GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n", target);
    ck_assert_int_eq(http_parse(bytes, strlen(bytes), &request), HTTP_OK);
    body.length = 0;
    answer = (struct http_answer){ .body = &body };
    status_answer(&view, &request, &answer);
    buffer_add(&body, "", 1);
    ck_assert(!body.failed);
    return body.bytes;
}

static void expect_within(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "no %s in %s", part, text);
}

START_TEST(foreign_text_stays_text)
{
    add_client("\"><script>&'\\\x01\xff\xc2\x85\xc3\xa9");
    const char *json = ask("/status.json", false);
    expect_within(json,
                  "\"client\":\"\\\"><script>&'\\\\\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\"");
    expect_within(json, "\"name\":\"a\\\"b\\\\c\"");
    expect_within(json, "\"listen\":[\"127.0.0.1:7\",\"[::1]:7\"]");
    const char *page = ask("/", false);
    expect_within(
        page, ">&#34;&gt;&lt;script&gt;&amp;&#39;\\\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9<");
    expect_within(page, "&lt;echo&gt;");
    ck_assert_ptr_null(strstr(page, "><script>&"));
    expect_within(ask("/metrics", false), "{service=\"a\\\"b\\\\c\"} 1\n");
}
END_TEST

START_TEST(a_session_is_named_by_slot_and_turn)
{
    char wanted[64];
    uint32_t slot = add_client("x");
    snprintf(wanted, sizeof(wanted), "{\"id\":\"%u-1\",", slot);
    expect_within(ask("/status.json", false), wanted);
}
END_TEST

START_TEST(durations_are_told_cumulatively)
{
    static const uint64_t counts[BOARD_DURATIONS] = { 1, 0, 2, 0, 0, 0, 0, 0, 0, 4 };
    for (unsigned int i = 0; i < BOARD_DURATIONS; i++)
        board.services[0].counts[COUNT_DURATIONS + i] = counts[i];
    board.services[0].counts[COUNT_DURATION_US] = 1234567;
    const char *text = ask("/metrics", false);
    expect_within(text, "le=\"0.001\"} 1\n");
    expect_within(text, "le=\"0.01\"} 1\n");
    expect_within(text, "le=\"0.1\"} 3\n");
    expect_within(text, "le=\"86400.0\"} 3\n");
    expect_within(text, "le=\"+Inf\"} 7\n");
    expect_within(text, "_count{service=\"a\\\"b\\\\c\"} 7\n");
    expect_within(text, "_sum{service=\"a\\\"b\\\\c\"} 1.234567\n");
}
END_TEST

START_TEST(rates_are_means_of_the_last_minute)
{
    struct board_sample *samples = board.services[0].samples;
    /* 70 samples of 5 s: 10 clients in each step, and 1 in those of the last minute. */
    uint64_t accepted = 0;
    for (unsigned int i = 0; i < 70; i++) {
        accepted += i < 58 ? 10 : 1;
        samples[i % BOARD_SAMPLES] = (struct board_sample){ .accepted = accepted, .bytes = 50 * i };
    }
    board.header->samples = 70;
    const char *json = ask("/status.json", false);
    expect_within(json, "\"rates\":{\"accepted_per_s\":0.200,\"refused_per_s\":0.000,"
                        "\"bytes_per_s\":10.000}");
}
END_TEST

START_TEST(a_name_that_is_not_this_machines_is_not_answered)
{
    static const char *const targets[] = { "/", "/status.json", "/metrics" };
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
        ask(targets[i], true);
        ck_assert_int_eq(answer.status, HTTP_FORBIDDEN);
        ask(targets[i], false);
        ck_assert_int_eq(answer.status, HTTP_OK);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *cases = tcase_create("pages");

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, foreign_text_stays_text);
    tcase_add_test(cases, a_session_is_named_by_slot_and_turn);
    tcase_add_test(cases, durations_are_told_cumulatively);
    tcase_add_test(cases, rates_are_means_of_the_last_minute);
    tcase_add_test(cases, a_name_that_is_not_this_machines_is_not_answered);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
