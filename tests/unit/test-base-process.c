/* What a process is to the outside: its descriptors, its title, its end, its deadlines. */
#include "test-base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/bucket.h"
#include "base/clock.h"
#include "base/exitcode.h"
#include "base/failure.h"
#include "base/io.h"
#include "base/title.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(closed_standard_descriptors_are_repaired)
{
    struct stat null, found;

    ck_assert_int_eq(stat("/dev/null", &null), 0);
    close(0);
    close(2);
    ck_assert_int_eq(io_repair_standard(), 0);
    ck_assert_int_eq(fstat(0, &found), 0);
    ck_assert(found.st_rdev == null.st_rdev);
    ck_assert_int_eq(fstat(2, &found), 0);
    ck_assert(found.st_rdev == null.st_rdev);
    ck_assert_int_eq(fcntl(2, F_GETFD), 0);
}
END_TEST

START_TEST(standard_descriptors_point_at_nothing_when_asked)
{
    struct stat null, found;

    ck_assert_int_eq(stat("/dev/null", &null), 0);
    int saved = dup(1);
    close(0);
    ck_assert_int_eq(io_null_standard(), 0);
    for (int fd = 0; fd <= 2; fd++) {
        ck_assert_int_eq(fstat(fd, &found), 0);
        ck_assert(found.st_rdev == null.st_rdev);
        ck_assert_int_eq(fcntl(fd, F_GETFD), 0);
    }
    dup2(saved, 1);
}
END_TEST

START_TEST(only_the_named_descriptors_stay_open)
{
    int fds[20], keep[] = { -1, 0, 0, 0, 1 };

    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = fcntl(0, F_DUPFD, 100 + 7 * (int)i);
    keep[1] = fds[11];
    keep[2] = fds[3];
    keep[3] = fds[11];
    io_close_all_but(keep, COUNT(keep));
    for (size_t i = 0; i < COUNT(fds); i++)
        ck_assert_int_eq(is_open(fds[i]), i == 3 || i == 11);
    ck_assert(is_open(0) && is_open(1) && is_open(2));
    io_close_all_but(NULL, 0);
    ck_assert(!is_open(fds[3]) && !is_open(fds[11]) && is_open(1));
}
END_TEST

START_TEST(adjacent_descriptors_stay_open)
{
    int keep[] = { fcntl(0, F_DUPFD, 51), fcntl(0, F_DUPFD, 50), fcntl(0, F_DUPFD, 3) };
    int other = fcntl(0, F_DUPFD, 52);

    io_close_all_but(keep, COUNT(keep));
    for (size_t i = 0; i < COUNT(keep); i++)
        ck_assert(is_open(keep[i]));
    ck_assert(!is_open(other));
    io_close_all_but(NULL, 0);
}
END_TEST

START_TEST(a_sealed_file_holds_its_bytes_for_good)
{
    char text[8] = "";
    int fd = io_sealed_memfd("test", "sealed", 7);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(io_read_full(fd, text, sizeof text), 7);
    ck_assert_str_eq(text, "sealed");
    ck_assert_int_eq(write(fd, "x", 1), -1);
    ck_assert_int_eq(ftruncate(fd, 0), -1);
    ck_assert_ptr_eq(mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    close(fd);
}
END_TEST

START_TEST(reads_and_writes_are_whole)
{
    static char out[300000], in[300001];
    int fds[2];

    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i * 31 + i / 255);
    ck_assert_int_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        _exit(io_write_full(fds[1], out, sizeof out) != 0);
    }
    close(fds[1]);
    ck_assert_int_eq(io_read_full(fds[0], in, sizeof in), (ssize_t)sizeof out);
    ck_assert_mem_eq(in, out, sizeof out);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(io_read_full(-1, in, 1), -EBADF);
    ck_assert_int_eq(io_write_full(-1, in, 1), -EBADF);
    close(fds[0]);
}
END_TEST

static size_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = io_read_full(fd, text, size - 1);

    ck_assert_int_ge(count, 0);
    close(fd);
    text[count] = '\0';
    return (size_t)count;
}

START_TEST(ps_shows_the_title)
{
    static char shown[65536], huge[65536];

    size_t room = read_file("/proc/self/cmdline", shown, sizeof shown);
    setenv("FORKECHOD_TEST", "still here", 1);
    title_init(test_argc, test_argv);
    ck_assert_str_eq(getenv("FORKECHOD_TEST"), "still here");
    ck_assert_ptr_nonnull(getenv("PATH"));
    ck_assert_ptr_nonnull(strstr(test_argv[0], "test-base"));

    title_set("forkechod: session %s %s", "echo", "192.0.2.7:51234");
    read_file("/proc/self/cmdline", shown, sizeof shown);
    ck_assert_str_eq(shown, "forkechod: session echo 192.0.2.7:51234");
    title_set("forkechod: x");
    read_file("/proc/self/cmdline", shown, sizeof shown);
    ck_assert_str_eq(shown, "forkechod: x");

    /* Up to the end of argv, and then less: nothing of the long one is left. */
    title_set("%.*s", (int)room - 2, "a long title, longer than the words that this program has");
    title_set("b");
    ck_assert_uint_eq(read_file("/proc/self/cmdline", shown, sizeof shown), room);
    for (size_t i = 1; i < room; i++)
        ck_assert_int_eq(shown[i], 0);

    memset(huge, 'a', sizeof huge - 1);
    title_set("%s", huge);
    title_set("short again");
    size_t size = read_file("/proc/self/cmdline", shown, sizeof shown);
    ck_assert_str_eq(shown, "short again");
    for (size_t i = strlen(shown); i < size; i++)
        ck_assert_int_eq(shown[i], 0);
    ck_assert_ptr_nonnull(strstr(test_argv[0], "test-base"));
    ck_assert_str_eq(getenv("FORKECHOD_TEST"), "still here");
}
END_TEST

START_TEST(pgrep_finds_the_short_name)
{
    char name[64];

    title_init(test_argc, test_argv);
    read_file("/proc/self/comm", name, sizeof name);
    ck_assert_str_eq(name, "forkechod\n");
}
END_TEST

START_TEST(an_exit_status_tells_why_a_session_ended)
{
    ck_assert_str_eq(session_end_text(SESSION_CLOSED), "client closed");
    ck_assert_str_eq(session_end_text(SESSION_IDLE), "idle timeout");
    ck_assert_str_eq(session_end_text((enum session_end)99), "unknown exit status");
    ck_assert(!session_end_is_error(SESSION_STOPPED));
    ck_assert(session_end_is_error(SESSION_CRASHED));
    for (int i = 0; i < SESSION_END_COUNT; i++)
        ck_assert_int_eq(session_end_of(CLD_EXITED, i, SESSION_CRASHED), (enum session_end)i);
    ck_assert_int_eq(session_end_of(CLD_EXITED, 77, SESSION_CRASHED), SESSION_UNKNOWN);
}
END_TEST

START_TEST(a_death_by_our_signal_is_told_by_its_reason)
{
    ck_assert_int_eq(session_end_of(CLD_KILLED, SIGTERM, SESSION_STOPPED), SESSION_STOPPED);
    ck_assert_int_eq(session_end_of(CLD_KILLED, SIGKILL, SESSION_KILLED), SESSION_KILLED);
    ck_assert_int_eq(session_end_of(CLD_KILLED, SIGKILL, SESSION_CRASHED), SESSION_CRASHED);
    ck_assert_int_eq(session_end_of(CLD_DUMPED, SIGSEGV, SESSION_STOPPED), SESSION_CRASHED);
    ck_assert_int_eq(session_end_of(CLD_KILLED, SIGALRM, SESSION_CRASHED), SESSION_LIFETIME);
    ck_assert_int_eq(session_end_of(CLD_STOPPED, SIGSTOP, SESSION_CRASHED), SESSION_UNKNOWN);
}
END_TEST

START_TEST(a_failure_names_what_and_why)
{
    struct failure why;
    char long_name[2 * FAILURE_TEXT_MAX];

    ck_assert_int_eq(failure_set(&why, EX_CONFIG, "%s: wrong", "that"), -1);
    ck_assert_str_eq(why.text, "that: wrong");
    ck_assert_int_eq(why.status, EX_CONFIG);
    ck_assert_int_eq(failure_errno(&why, EX_OSERR, ENOENT, "cannot open %s", "/x"), -1);
    ck_assert_str_eq(why.text, "cannot open /x: No such file or directory");
    ck_assert_int_eq(why.status, EX_OSERR);
    failure_errno(&why, EX_OSERR, EACCES, "x");
    ck_assert_int_eq(why.status, EX_NOPERM);
    failure_errno(&why, EX_CONFIG, EACCES, "x");
    ck_assert_int_eq(why.status, EX_CONFIG);
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    failure_errno(&why, EX_OSERR, EIO, "%s", long_name);
    ck_assert_uint_eq(strlen(why.text), sizeof why.text - 1);
    ck_assert_int_eq(failure_set(NULL, EX_OSERR, "x"), -1);
}
END_TEST

START_TEST(deadlines_are_counted_down)
{
    ck_assert_int_eq(clock_until(1000, 0, 500), 500);
    ck_assert_int_eq(clock_until(1000, 0, -1), -1);
    ck_assert_int_eq(clock_until(1000, 999, 500), 0);
    ck_assert_int_eq(clock_until(1000, 1000, -1), 0);
    ck_assert_int_eq(clock_until(1000, 1100, 500), 100);
    ck_assert_int_eq(clock_until(1000, 1100, -1), 100);
    ck_assert_int_eq(clock_until(1000, 9000, 500), 500);
    ck_assert_int_eq(clock_until(0, UINT64_MAX, -1), INT_MAX);
    uint64_t before = clock_us(), middle = clock_ms(), after = clock_us();
    ck_assert(before / 1000 <= middle && middle <= after / 1000);
}
END_TEST

START_TEST(a_rate_gives_its_burst_and_then_its_pace)
{
    struct rate rate = { .tokens = 2, .period_ms = 1000, .burst = 3 };
    struct bucket bucket;

    bucket_fill(&bucket);
    ck_assert(bucket_is_full(&bucket, &rate, 1000));
    for (int i = 0; i < 3; i++)
        ck_assert(bucket_take(&bucket, &rate, 1000));
    ck_assert(!bucket_take(&bucket, &rate, 1000));
    ck_assert_uint_eq(bucket_next(&bucket, &rate, 1000), 1500);
    ck_assert(!bucket_take(&bucket, &rate, 1499));
    ck_assert(bucket_take(&bucket, &rate, 1500));
    ck_assert(!bucket_take(&bucket, &rate, 1500));
    ck_assert(!bucket_is_full(&bucket, &rate, 2999));
    ck_assert(bucket_is_full(&bucket, &rate, 3000));
    ck_assert_uint_eq(bucket_next(&bucket, &rate, 3000), 3000);
}
END_TEST

START_TEST(a_rate_keeps_its_pace_over_any_time)
{
    struct rate rate = { .tokens = 7, .period_ms = 3600000, .burst = 1 };
    struct bucket bucket;
    unsigned int given = 0;

    bucket_fill(&bucket);
    for (uint64_t now = 0; now <= 10 * 3600000; now += 997)
        given += bucket_take(&bucket, &rate, now);
    ck_assert_uint_eq(given, 70);
    /* Neither a clock that stands still for ever nor one that goes back gives anything away. */
    bucket_fill(&bucket);
    ck_assert(bucket_take(&bucket, &rate, UINT64_MAX - 1));
    ck_assert(!bucket_take(&bucket, &rate, 5));
    ck_assert(!bucket_take(&bucket, &rate, UINT64_MAX - 1));
}
END_TEST

START_TEST(a_rate_of_nothing_gives_always)
{
    struct rate off = { .tokens = 0, .period_ms = 1000, .burst = 0 };
    struct bucket bucket;

    bucket_fill(&bucket);
    for (int i = 0; i < 100; i++)
        ck_assert(bucket_take(&bucket, &off, 1));
    ck_assert(bucket_is_full(&bucket, &off, 1));
    ck_assert_uint_eq(bucket_next(&bucket, &off, 1), 1);
}
END_TEST

TCase *process_cases(void)
{
    TCase *cases = tcase_create("process");

    tcase_add_test(cases, closed_standard_descriptors_are_repaired);
    tcase_add_test(cases, standard_descriptors_point_at_nothing_when_asked);
    tcase_add_test(cases, only_the_named_descriptors_stay_open);
    tcase_add_test(cases, adjacent_descriptors_stay_open);
    tcase_add_test(cases, a_sealed_file_holds_its_bytes_for_good);
    tcase_add_test(cases, reads_and_writes_are_whole);
    tcase_add_test(cases, ps_shows_the_title);
    tcase_add_test(cases, pgrep_finds_the_short_name);
    tcase_add_test(cases, an_exit_status_tells_why_a_session_ended);
    tcase_add_test(cases, a_death_by_our_signal_is_told_by_its_reason);
    tcase_add_test(cases, a_failure_names_what_and_why);
    tcase_add_test(cases, deadlines_are_counted_down);
    tcase_add_test(cases, a_rate_gives_its_burst_and_then_its_pace);
    tcase_add_test(cases, a_rate_keeps_its_pace_over_any_time);
    tcase_add_test(cases, a_rate_of_nothing_gives_always);
    return cases;
}
