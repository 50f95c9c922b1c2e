/* What one program leaves to the next: written and read back, and everything else refused. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "channel/channel.h"
#include "master/generation.h"
#include "master/heritage.h"

static struct heritage *written, *got;
static char *text;
static size_t size;

/* Two services, one with a living and a dead generation, three sockets of which one is free. */
static void fill(struct heritage *heritage)
{
    heritage->program =
        (struct heritage_program){ HERITAGE_VERSION, BOARD_VERSION, CHANNEL_VERSION, "1.0.0" };
    heritage->process = (struct heritage_process){ .pid = 4711,
                                                   .control = 5,
                                                   .sessions = 6,
                                                   .configuration = 7,
                                                   .pid_file = -1,
                                                   .control_socket = 8,
                                                   .last_number = 12,
                                                   .reloads = 3,
                                                   .log_switch = -1,
                                                   .user = "nobody" };
    strcpy(heritage->executable.path, "/usr/sbin/a program");
    heritage->sockets[0] = (struct heritage_socket){ .fd = 10, .service = "echo" };
    heritage->sockets[1] = (struct heritage_socket){ .fd = -1 };
    heritage->sockets[2] = (struct heritage_socket){ .fd = 11, .any_port = 1, .service = "up" };
    heritage->socket_count = 3;
    heritage->given[0] = (struct heritage_given){ .fd = 10, .name = "echo: a name" };
    heritage->given_count = 1;
    heritage->services[0] = (struct heritage_service){
        .configured = 1, .current = 4, .sockets = { 2, { 0, 2 } }, .name = "echo"
    };
    heritage->services[1] =
        (struct heritage_service){ .current = -1, .scale = UINT32_MAX, .name = "up" };
    heritage->service_count = 2;
    heritage->generations[0] = (struct heritage_generation){ .block = 4,
                                                             .number = 12,
                                                             .pid = 99,
                                                             .fd = 12,
                                                             .state = GENERATION_SERVING,
                                                             .told = INT64_MAX };
    heritage->generations[1] = (struct heritage_generation){
        .block = 0, .number = 1, .pid = 98, .fd = -1, .state = GENERATION_DEAD
    };
    heritage->generation_count = 2;
    heritage->clients[0] = (struct heritage_client){ .fd = 13, .reload = 4 };
    heritage->client_count = 1;
}

static void write_down(void)
{
    struct failure why;
    free(text);
    FILE *out = open_memstream(&text, &size);
    ck_assert_int_eq(heritage_write(written, out, &why), 0);
    fclose(out);
}

static void set_up(void)
{
    written = calloc(1, sizeof(*written));
    got = malloc(sizeof(*got));
    fill(written);
    write_down();
}

static void tear_down(void)
{
    free(written);
    free(got);
    free(text);
    text = NULL;
}

/* Of a copy that fits exactly, so that a sanitizer sees what reads beyond. */
static int parse(const char *from, size_t length)
{
    struct failure why = { .text = "" };
    char *copy = malloc(length);
    memcpy(copy, from, length);
    int result = heritage_parse(copy, length, got, &why);
    free(copy);
    ck_assert(result == 0 || why.text[0] != '\0');
    return result;
}

/* The text with the first `old` replaced. */
static int parse_with(const char *old, const char *new)
{
    char *place = strstr(text, old), *changed = NULL;
    ck_assert_ptr_nonnull(place);
    ck_assert_int_ge(
        asprintf(&changed, "%.*s%s%s", (int)(place - text), text, new, place + strlen(old)), 0);
    int result = parse(changed, strlen(changed));
    free(changed);
    return result;
}

START_TEST(what_is_written_is_read_back)
{
    ck_assert_int_eq(parse(text, size), 0);
    ck_assert_mem_eq(got, written, sizeof(*got));
}
END_TEST

START_TEST(as_much_as_there_can_be_fits)
{
    memset(written->sockets, 0, sizeof(written->sockets));
    for (size_t i = 0; i < HERITAGE_SOCKETS_MAX; i++) {
        written->sockets[i].fd = (int64_t)(100000 + i);
        memset(written->sockets[i].service, 's', SERVICE_NAME_MAX);
    }
    written->socket_count = HERITAGE_SOCKETS_MAX;
    memset(written->given, 0, sizeof(written->given));
    written->given_count = 0;
    write_down();
    ck_assert_uint_lt(size, HERITAGE_BYTES_MAX);
    ck_assert_int_eq(parse(text, size), 0);
    ck_assert_mem_eq(got, written, sizeof(*got));
}
END_TEST

START_TEST(a_text_with_a_line_s_end_is_not_written)
{
    struct failure why;
    FILE *out = fopen("/dev/null", "w");
    strcpy(written->file.path, "/etc/fork\nechod.conf");
    ck_assert_int_lt(heritage_write(written, out, &why), 0);
    ck_assert_ptr_nonnull(strstr(why.text, "\\x0A"));
    fclose(out);
}
END_TEST

START_TEST(a_text_that_was_cut_is_refused)
{
    for (size_t length = 0; length < size; length++)
        ck_assert_int_lt(parse(text, length), 0);
}
END_TEST

START_TEST(a_byte_that_was_changed_is_survived)
{
    char *copy = malloc(size);
    srand(1);
    for (int i = 0; i < 20000; i++) {
        memcpy(copy, text, size);
        for (int j = 0; j <= i % 4; j++)
            copy[(size_t)rand() % size] = i % 3 ? "0 -,\n9"[rand() % 6] : (char)rand();
        parse(copy, size);
    }
    free(copy);
}
END_TEST

static const struct {
    const char *old, *new;
} wrong[] = {
    { "program 1 ", "program 2 " },    /* versions */
    { "end\n", "end\nend\n" },         /* something behind the end */
    { "end\n", "" },                   /* no end */
    { "end\n", "more 1\nend\n" },      /* a line that is not known */
    { "process", "processes" },        /* the same, and one missing */
    { "executable", "file" },          /* twice */
    { "socket 10 0", "socket 10 2" },  /* no flag */
    { "socket 10 0", "socket 010 0" }, /* not as it is written */
    { "socket 10 0", "socket +10 0" }, /* the same */
    { "socket 10 0", "socket 10  0" }, /* the same */
    { "socket 10 0", "socket 2 0" },   /* standard error */
    { "socket 10 0", "socket 11 0" },  /* the descriptor of another */
    { "socket 10 0", "socket 5 0" },   /* the board's */
    { "socket 10 0", "socket 9999999999 0" },
    { "0,2", "0,3" },  /* no such socket */
    { "0,2", "0,,2" }, /* no number */
    { "0,2", "" },
    { " echo\n", "\n" }, /* a value is missing */
    { " nobody\n", " a-name-that-is-far-longer-than-any-user-can-have-who-is-to-be-found-in-the-"
                   "file-of-users\n" },
    { "generation 4 12 0", "generation 4 13 0" }, /* from the future */
    { "generation 4 12 0", "generation 4 12 2" }, /* no such service */
    { "generation 4 12 0", "generation 4 12 1" }, /* not that whose current it is */
    { "generation 4 12 0", "generation 0 12 0" }, /* one block twice */
    { "generation 4 12 0", "generation 256 12 0" },
    { " 99 12 3", " 99 12 0" }, /* no state */
    { " 99 12 3", " 99 12 5" }, /* a dead one that serves */
    { " 99 12 3", " 1 12 3" },  /* init is no listener */
    { "- up\n", "- echo\n" },   /* two services of one name */
};

START_TEST(what_cannot_be_is_refused)
{
    ck_assert_msg(parse_with(wrong[_i].old, wrong[_i].new) < 0, "\"%s\" instead of \"%s\"",
                  wrong[_i].new, wrong[_i].old);
}
END_TEST

START_TEST(more_than_there_can_be_is_refused)
{
    char *many = NULL;
    size_t length;
    FILE *out = open_memstream(&many, &length);
    for (int i = 0; i <= HERITAGE_CLIENTS_MAX; i++)
        fprintf(out, "client %d 0 0\n", 100 + i);
    fprintf(out, "end\n");
    fclose(out);
    ck_assert_int_lt(parse_with("end\n", many), 0);
    free(many);
}
END_TEST

START_TEST(descriptors_are_listed_once)
{
    int *all = calloc(HERITAGE_DESCRIPTORS_MAX, sizeof(*all));
    ck_assert_uint_eq(heritage_descriptors(written, all), 8);
    free(all);
}
END_TEST

START_TEST(it_travels_in_a_sealed_memfd_alone)
{
    struct failure why;
    int fd = heritage_seal(written, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_lt(write(fd, "x", 1), 0);
    struct heritage *back = heritage_read(fd, &why);
    ck_assert_ptr_nonnull(back);
    ck_assert_mem_eq(back, written, sizeof(*back));
    free(back);
    close(fd);

    fd = memfd_create("open", MFD_ALLOW_SEALING);
    ck_assert_int_eq(io_write_full(fd, text, size), 0);
    ck_assert_ptr_null(heritage_read(fd, &why));
    close(fd);
    ck_assert_ptr_null(heritage_read(fd, &why));
    ck_assert_ptr_null(heritage_read(STDERR_FILENO, &why));
}
END_TEST

START_TEST(the_variable_names_a_descriptor)
{
    static const char *const bad[] = { "", "x", "-1", "2", "07", "99999999999", "7 " };
    unsetenv(HERITAGE_VARIABLE);
    ck_assert_int_eq(heritage_descriptor(), -1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setenv(HERITAGE_VARIABLE, bad[i], 1);
        ck_assert_int_eq(heritage_descriptor(), -1);
    }
    setenv(HERITAGE_VARIABLE, "7", 1);
    ck_assert_int_eq(heritage_descriptor(), 7);
    unsetenv(HERITAGE_VARIABLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heritage");
    TCase *tests = tcase_create("heritage");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_written_is_read_back);
    tcase_add_test(tests, as_much_as_there_can_be_fits);
    tcase_add_test(tests, a_text_with_a_line_s_end_is_not_written);
    tcase_add_test(tests, a_text_that_was_cut_is_refused);
    tcase_add_test(tests, a_byte_that_was_changed_is_survived);
    tcase_add_loop_test(tests, what_cannot_be_is_refused, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(tests, more_than_there_can_be_is_refused);
    tcase_add_test(tests, descriptors_are_listed_once);
    tcase_add_test(tests, it_travels_in_a_sealed_memfd_alone);
    tcase_add_test(tests, the_variable_names_a_descriptor);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return EXIT_SUCCESS;
}
