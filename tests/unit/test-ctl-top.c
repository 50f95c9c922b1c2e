/* What top makes of one look and the next. */
#include "test-ctl.h"

#include "ctl/columns.h"
#include "ctl/rates.h"

#define MOVED(id, age, in, out)                                                                    \
    "{\"id\":\"" id "\",\"service\":\"echo\",\"client\":\"192.0.2.7:51234\",\"pid\":12345,"        \
    "\"state\":\"reading\",\"age_s\":" age ",\"idle_s\":0.1,\"bytes_in\":" in                      \
    ",\"bytes_out\":" out ",\"turns\":1,\"torn\":false}"

static const char first[] = DOCUMENT(",\"sessions\":[" MOVED("2-1", "10.0", "1000", "2000") "," //
                                     MOVED("1-1", "1.5", "300", "0") ","                        //
                                     MOVED("3-1", "0.000", "7", "7") ","                        //
                                     MOVED("9-1", "5.0", "100", "100") "]");
static const char second[] = DOCUMENT(",\"sessions\":[" MOVED("1-1", "3.5", "300", "5000") "," //
                                      MOVED("2-1", "12.0", "1500", "1999") ","                 //
                                      MOVED("3-1", "0.000", "9", "9") ","                      //
                                      MOVED("3-2", "0.5", "100", "50") "]");

static void read_look(const char *text, struct document *document)
{
    struct failure why;
    ck_assert_msg(read_text(text, document, &why) == 0, "%s", why.text);
}

static const struct {
    double in, out;
} means[] = { { 100, 200 }, { 200, 0 }, { 0, 0 }, { 20, 20 } },
  rates[] = { { 0, 2500 }, { 250, 0 }, { 0, 0 }, { 200, 100 } };

START_TEST(a_session_seen_once_has_the_mean_of_its_life)
{
    struct document document;
    read_look(first, &document);
    ck_assert_double_eq(document.sessions[_i].in_per_s, means[_i].in);
    ck_assert_double_eq(document.sessions[_i].out_per_s, means[_i].out);
    document_free(&document);
}
END_TEST

/* A count that went back, an age that did not grow, and another client in the same slot. */
START_TEST(a_session_seen_twice_has_the_rate_between_the_looks)
{
    struct document before, now;
    read_look(first, &before);
    read_look(second, &now);
    rates_measure(&before, &now);
    ck_assert_double_eq_tol(now.sessions[_i].in_per_s, rates[_i].in, 1e-6);
    ck_assert_double_eq_tol(now.sessions[_i].out_per_s, rates[_i].out, 1e-6);
    document_free(&before);
    document_free(&now);
}
END_TEST

START_TEST(the_first_look_has_nothing_before_it)
{
    struct document before = { 0 }, now;
    read_look(first, &now);
    rates_measure(&before, &now);
    ck_assert_double_eq(now.sessions[0].in_per_s, 100);
    document_free(&now);
}
END_TEST

static const struct {
    int width;
    const char *sort, *titles, *row;
} lines[] = {
    { 80, "idle",
      "ID        SERVICE   CLIENT                  STATE        AGE    IDLE  IN/S OUT/S",
      "2-1       echo      192.0.2.7:51234         reading      10s    0.1s  100B  200B" },
    { 80, "out", "ID        SERVICE   CLIENT            STATE        AGE    IDLE  IN/S OUT/S   OUT",
      "2-1       echo      192.0.2.7:51234   reading      10s    0.1s  100B  200B  2.0K" },
    { 86, "idle",
      "ID        SERVICE   CLIENT                  STATE        AGE    IDLE  IN/S OUT/S    IN",
      "2-1       echo      192.0.2.7:51234         reading      10s    0.1s  100B  200B 1000B" },
    { 120, "pid",
      "ID        SERVICE   CLIENT                                STATE        AGE    IDLE  IN/S "
      "OUT/S    IN   OUT TURNS     PID",
      "2-1       echo      192.0.2.7:51234                       reading      10s    0.1s  100B  "
      "200B 1000B  2.0K     1   12345" },
    { 20, "idle", "ID        SERVICE   CLIENT          STATE        AGE    IDLE  IN/S OUT/S",
      "2-1       echo      192.0.2.7:51234 reading      10s    0.1s  100B  200B" },
};

START_TEST(a_line_has_the_columns_that_fit)
{
    char line[COLUMNS_LINE_MAX];
    struct document document;
    read_look(first, &document);
    ck_assert_str_eq(columns_line(NULL, lines[_i].width, lines[_i].sort, line), lines[_i].titles);
    ck_assert_str_eq(columns_line(document.sessions, lines[_i].width, lines[_i].sort, line),
                     lines[_i].row);
    document_free(&document);
}
END_TEST

START_TEST(a_line_of_any_width_stays_in_its_room)
{
    char line[COLUMNS_LINE_MAX];
    for (int width = 1; width < 2000; width++)
        ck_assert_uint_lt(strlen(columns_line(NULL, width, "idle", line)), sizeof line);
}
END_TEST

TCase *top_cases(void)
{
    TCase *cases = tcase_create("top");
    tcase_add_loop_test(cases, a_session_seen_once_has_the_mean_of_its_life, 0, COUNT(means));
    tcase_add_loop_test(cases, a_session_seen_twice_has_the_rate_between_the_looks, 0,
                        COUNT(rates));
    tcase_add_test(cases, the_first_look_has_nothing_before_it);
    tcase_add_loop_test(cases, a_line_has_the_columns_that_fit, 0, COUNT(lines));
    tcase_add_test(cases, a_line_of_any_width_stays_in_its_room);
    return cases;
}
