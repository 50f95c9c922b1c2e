/* Echo in bulk, which goes through a pipe (stream_use_pipe), is an echo like any other. */
#include "test-service.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "talk.h"

enum { BULK = 2 << 20, PIECE = 64 << 10 };

static unsigned char bulk[BULK];

/* Through a pipe from the first byte. */
static enum session_end echo_by_pipe(struct stream *stream, const struct manners *manners)
{
    size_t size;

    (void)manners;
    if (!stream_use_pipe(stream))
        return SESSION_SYSTEM;
    while ((size = stream_read(stream, NULL, STREAM_CHUNK)) > 0)
        if (!stream_write(stream, NULL, size))
            break;
    return stream->end;
}

/* Sends it all from a process of its own, with a rest after each piece, then closes its half. */
static void send_bulk(int fd, uint64_t rest_ms)
{
    fill(bulk, sizeof bulk);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid > 0)
        return;
    for (size_t at = 0; at < sizeof bulk; at += PIECE) {
        if (io_write_full(fd, bulk + at, PIECE) < 0)
            _exit(1);
        stream_pause(rest_ms);
    }
    _exit(shutdown(fd, SHUT_WR) < 0);
}

START_TEST(two_megabytes_come_back_whoever_is_slow)
{
    for (int i = 0; i < 4; i++) {
        struct talk talk = i % 2 ? talk_tcp() : talk_unix();
        limit_time(talk.server, SO_RCVTIMEO, LONG_MS);
        limit_time(talk.server, SO_SNDTIMEO, LONG_MS);
        talk_run(&talk, echo_by_pipe, &plain);
        send_bulk(talk.client, i < 2 ? 0 : 2);
        for (size_t at = 0; at < sizeof bulk; at += PIECE) {
            expect(talk.client, bulk + at, PIECE);
            stream_pause(i < 2 ? 2 : 0);
        }
        expect_end(talk.client);
        ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
        ck_assert_uint_eq(talk.counts->bytes_in, BULK);
        ck_assert_uint_eq(talk.counts->bytes_out, BULK);
    }
}
END_TEST

enum { LIMIT_MS = 100 };

static uint64_t be_silent(struct talk *talk)
{
    return talk_silence(talk, echo_by_pipe, LIMIT_MS);
}

START_TEST(silence_is_idle_when_its_time_is_up)
{
    expect_time(talk_tcp, be_silent, LIMIT_MS, 2 * LIMIT_MS);
}
END_TEST

START_TEST(who_takes_no_byte_is_given_up)
{
    struct talk talk = talk_tcp();

    limit_time(talk.server, SO_SNDTIMEO, LIMIT_MS);
    talk_run(&talk, echo_by_pipe, &plain);
    while (send(talk.client, bulk, PIECE, MSG_NOSIGNAL) > 0) /* until the server has closed */
        continue;
    ck_assert_int_eq(talk_end(&talk), SESSION_STALLED);
}
END_TEST

/* proc(5): the process waits for something. */
static bool sleeps(pid_t pid)
{
    char path[32], text[256] = "";

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(io_read_full(fd, text, sizeof text - 1), 0);
    close(fd);
    return strstr(text, ") S ") != NULL;
}

/* splice(2) stops before an urgent byte, for ever. */
START_TEST(an_urgent_byte_neither_stops_the_echo_nor_keeps_the_processor_busy)
{
    struct talk talk = talk_tcp();

    talk_run(&talk, echo_by_pipe, &plain);
    fill(bulk, sizeof bulk);
    for (size_t at = 0; at < 8 * PIECE; at += PIECE) {
        say(talk.client, bulk + at, PIECE);
        ck_assert_int_eq(send(talk.client, "!", 1, MSG_OOB), 1);
        expect(talk.client, bulk + at, PIECE);
        for (uint64_t start = clock_ms(); !sleeps(talk.pid); stream_pause(1))
            ck_assert_uint_lt(clock_ms() - start, LONG_MS);
    }
    shutdown(talk.client, SHUT_WR);
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
    ck_assert_uint_lt(talk.counts->turns, 10000);
}
END_TEST

START_TEST(one_pipe_is_enough_for_a_stream_that_falters)
{
    struct talk talk = talk_unix();

    talk_serve(&talk, "echo", &plain);
    fill(bulk, sizeof bulk);
    say(talk.client, bulk, 1);
    expect(talk.client, bulk, 1);
    int without = __builtin_popcountll(talk_descriptors(&talk));
    for (int round = 0; round < 3; round++) {
        for (size_t at = 0; at < sizeof bulk; at += PIECE) {
            say(talk.client, bulk + at, PIECE);
            expect(talk.client, bulk + at, PIECE);
        }
        say(talk.client, bulk, 1);
        expect(talk.client, bulk, 1);
        ck_assert_int_eq(__builtin_popcountll(talk_descriptors(&talk)), without + 2);
    }
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
}
END_TEST

static enum session_end echo_without_descriptors(struct stream *stream,
                                                 const struct manners *manners)
{
    struct rlimit none = { (rlim_t)stream->in + 1, (rlim_t)stream->in + 1 };

    setrlimit(RLIMIT_NOFILE, &none);
    while (dup(stream->in) >= 0)
        continue;
    return stream_use_pipe(stream) ? SESSION_SYSTEM : echo_serve(stream, manners);
}

START_TEST(without_a_pipe_it_is_an_echo_still)
{
    struct talk talk = talk_tcp();

    talk_run(&talk, echo_without_descriptors, &plain);
    send_bulk(talk.client, 0);
    for (size_t at = 0; at < sizeof bulk; at += PIECE)
        expect(talk.client, bulk + at, PIECE);
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
}
END_TEST

TCase *bulk_cases(void)
{
    TCase *tcase = tcase_create("bulk");

    tcase_add_test(tcase, two_megabytes_come_back_whoever_is_slow);
    tcase_add_test(tcase, silence_is_idle_when_its_time_is_up);
    tcase_add_test(tcase, who_takes_no_byte_is_given_up);
    tcase_add_test(tcase, an_urgent_byte_neither_stops_the_echo_nor_keeps_the_processor_busy);
    tcase_add_test(tcase, one_pipe_is_enough_for_a_stream_that_falters);
    tcase_add_test(tcase, without_a_pipe_it_is_an_echo_still);
    return tcase;
}
