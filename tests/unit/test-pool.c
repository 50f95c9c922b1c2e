/* How a pool grows and shrinks: the rule, second by second, without processes. */
#include <check.h>

#include "listener/pool_rule.h"

enum { SECONDS = 12 };

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* A pool from its start on: how many of its processes have a client, and how many there are in each
 * second. Every process that is wanted is there in the next one. */
static const struct {
    const char *what;
    uint32_t start, min_spare, max_spare, most;
    uint32_t busy[SECONDS], wanted[SECONDS];
} lives[] = {
    { "who waits for nobody stays as it is",
      5,
      2,
      10,
      100,
      { 0 },
      { 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5 } },
    { "a flood doubles what is added, up to 32",
      1,
      1,
      10,
      1000,
      { 900, 900, 900, 900, 900, 900, 900, 900, 900, 900, 900, 900 },
      { 2, 4, 8, 16, 32, 64, 96, 128, 160, 192, 224, 256 } },
    { "the last batch is cut to what there may be",
      1,
      1,
      10,
      20,
      { 900, 900, 900, 900, 900, 900, 900, 900, 900, 900, 900, 900 },
      { 2, 4, 8, 16, 20, 20, 20, 20, 20, 20, 20, 20 } },
    { "it begins with 1 again, once there were enough",
      1,
      1,
      10,
      100,
      { 9, 9, 9, 9, 9, 16, 16, 20, 20, 20, 20, 20 },
      { 2, 4, 8, 16, 16, 17, 17, 18, 20, 24, 24, 24 } },
    { "of too many idle ones one a second goes",
      20,
      1,
      4,
      100,
      { 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12 },
      { 19, 18, 17, 16, 16, 16, 16, 16, 16, 16, 16, 16 } },
    { "it shrinks to max_spare when all have gone, not below",
      8,
      1,
      3,
      100,
      { 0 },
      { 7, 6, 5, 4, 3, 3, 3, 3, 3, 3, 3, 3 } },
    { "one is left where max_spare is 0",
      3,
      0,
      0,
      100,
      { 0 },
      { 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
    { "between min_spare and max_spare nothing changes",
      10,
      2,
      5,
      100,
      { 5, 6, 7, 8, 8, 7, 6, 5, 5, 6, 7, 8 },
      { 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10 } },
    { "it neither grows nor dies where there is no room",
      4,
      2,
      5,
      4,
      { 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 },
      { 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 } },
    { "it grows no further when its room has become less than it has",
      8,
      2,
      5,
      4,
      { 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8 },
      { 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8 } },
};

START_TEST(a_pool_follows_its_load)
{
    struct pool_figures figures = { .wanted = lives[_i].start,
                                    .batch = 1,
                                    .min_spare = lives[_i].min_spare,
                                    .max_spare = lives[_i].max_spare,
                                    .most = lives[_i].most };
    for (int second = 0; second < SECONDS; second++) {
        uint32_t busy = lives[_i].busy[second];
        figures.idle = figures.wanted > busy ? figures.wanted - busy : 0;
        figures.wanted = pool_decide(&figures);
        ck_assert_msg(figures.wanted == lives[_i].wanted[second], "%s: %u in second %d",
                      lives[_i].what, figures.wanted, second);
    }
}
END_TEST

static const struct {
    struct pool_room room;
    uint32_t most;
} rooms[] = {
    { { .instances = 10, .sessions_max = 100 }, 10 },
    { { .instances = 10, .sessions_max = 6 }, 6 },
    /* Its own sessions are those of its processes. */
    { { .instances = 10, .sessions_max = 100, .own = 10, .service = 10, .all = 10 }, 10 },
    /* Those of the generation before a reload have to fit in too. */
    { { .instances = 10, .sessions_max = 100, .own = 2, .service = 5, .all = 5 }, 7 },
    { { .instances = 10, .sessions_max = 100, .own = 0, .service = 10, .all = 10 }, 0 },
    { { .instances = 10, .sessions_max = 100, .own = 0, .service = 12, .all = 12 }, 0 },
    /* And those of other services. */
    { { .instances = 10, .sessions_max = 20, .own = 4, .service = 4, .all = 18 }, 6 },
    { { .instances = 10, .sessions_max = 20, .own = 0, .service = 0, .all = 25 }, 0 },
    { { .instances = 10, .sessions_max = 20, .own = 4, .service = 9, .all = 18 }, 5 },
    /* The three are read one after the other, while sessions come and go. */
    { { .instances = 10, .sessions_max = 20, .own = 4, .service = 3, .all = 2 }, 10 },
};

START_TEST(there_are_no_more_than_may_have_clients)
{
    ck_assert_uint_eq(pool_most(&rooms[_i].room), rooms[_i].most);
}
END_TEST

START_TEST(what_the_operator_asks_for_goes_before_the_load_and_not_beyond_the_room)
{
    ck_assert_uint_eq(pool_target(5, 0, 10), 5);
    ck_assert_uint_eq(pool_target(5, 2, 10), 2);
    ck_assert_uint_eq(pool_target(5, 9, 10), 9);
    ck_assert_uint_eq(pool_target(5, 11, 10), 10);
    ck_assert_uint_eq(pool_target(5, 0, 4), 4);
    ck_assert_uint_eq(pool_target(5, 9, 0), 0);
}
END_TEST

START_TEST(auto_is_two_a_processor_and_one)
{
    ck_assert_uint_eq(pool_automatic(0, 1), 3);
    ck_assert_uint_eq(pool_automatic(0, 64), 129);
    ck_assert_uint_eq(pool_automatic(0, -1), 3); /* nobody knows how many */
    ck_assert_uint_eq(pool_automatic(7, 64), 7);
}
END_TEST

START_TEST(processes_that_die_young_are_replaced_later_and_later)
{
    static const uint64_t expected[] = { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
    uint64_t wait_ms = 0;
    for (int i = 0; i < COUNT(expected); i++) {
        wait_ms = pool_backoff(wait_ms);
        ck_assert_uint_eq(wait_ms, expected[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *cases = tcase_create("rule");
    tcase_add_loop_test(cases, a_pool_follows_its_load, 0, COUNT(lives));
    tcase_add_loop_test(cases, there_are_no_more_than_may_have_clients, 0, COUNT(rooms));
    tcase_add_test(cases, what_the_operator_asks_for_goes_before_the_load_and_not_beyond_the_room);
    tcase_add_test(cases, auto_is_two_a_processor_and_one);
    tcase_add_test(cases, processes_that_die_young_are_replaced_later_and_later);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
