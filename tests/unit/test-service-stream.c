/* What a stream does about clients that are slow, silent, gone, or done with their half. */
#include "test-service.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "talk.h"

enum { BULK = 2 << 20 };

static unsigned char bulk[BULK];

/* Sends it all from a process of its own, then closes its half. */
static void send_bulk(int fd)
{
    fill(bulk, sizeof bulk);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        bool failed = io_write_full(fd, bulk, sizeof bulk) < 0 || shutdown(fd, SHUT_WR) < 0;
        _exit(failed);
    }
}

/* Reads it all back, with a rest after each bit. */
static void expect_bulk(int fd, size_t bit, uint64_t rest_ms)
{
    for (size_t at = 0; at < sizeof bulk; at += bit) {
        expect(fd, bulk + at, sizeof bulk - at < bit ? sizeof bulk - at : bit);
        stream_pause(rest_ms);
    }
    expect_end(fd);
}

/* Writes to a client until that is over. */
static enum session_end pour(struct stream *stream, const struct manners *manners)
{
    (void)manners;
    while (stream_write(stream, bulk, STREAM_CHUNK))
        continue;
    return stream->end;
}

enum { PIECES = 8, PIECE = 16 << 10 };

/* Writes what the socket's buffers hold, then reads. Its turns are the milliseconds until the end.
 */
static enum session_end write_then_read(struct stream *stream, const struct manners *manners)
{
    uint64_t start = clock_ms();
    char byte;

    (void)manners;
    for (int i = 0; i < PIECES; i++)
        stream_write(stream, bulk, PIECE);
    stream_read(stream, &byte, 1);
    stream->turns = clock_ms() - start;
    return stream->end;
}

START_TEST(two_megabytes_half_closed_come_back_to_a_slow_reader)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct talk talk = tcp ? talk_tcp() : talk_unix();
        limit_time(talk.server, SO_SNDTIMEO, LONG_MS);
        talk_serve(&talk, "echo", &plain);
        send_bulk(talk.client);
        expect_bulk(talk.client, 128 << 10, 5);
        ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
        ck_assert_uint_eq(talk.counts->bytes_in, BULK);
        ck_assert_uint_eq(talk.counts->bytes_out, BULK);
    }
}
END_TEST

START_TEST(tiny_buffers_change_nothing)
{
    struct talk talk = talk_tcp();
    int least = 1;

    setsockopt(talk.server, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    setsockopt(talk.server, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    talk_serve(&talk, "echo", &plain);
    unsigned char bytes[20000];
    fill(bytes, sizeof bytes);
    for (size_t at = 0; at < sizeof bytes; at += 1000) {
        say(talk.client, bytes + at, 1000);
        expect(talk.client, bytes + at, 1000);
    }
    shutdown(talk.client, SHUT_WR);
    expect_end(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
}
END_TEST

static void ignore_alarm(int number)
{
    (void)number;
}

/* Every system call of the session is interrupted again and again. */
static enum session_end echo_interrupted(struct stream *stream, const struct manners *manners)
{
    struct sigaction action = { .sa_handler = ignore_alarm };
    struct itimerval often = { { 0, 1000 }, { 0, 1000 } };

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    return echo_serve(stream, manners);
}

START_TEST(interruptions_lose_no_byte)
{
    struct talk talk = talk_tcp();

    talk_run(&talk, echo_interrupted, &plain);
    send_bulk(talk.client);
    expect_bulk(talk.client, 64 << 10, 2);
    ck_assert_int_eq(talk_end(&talk), SESSION_CLOSED);
}
END_TEST

START_TEST(a_delay_is_whole_in_spite_of_interruptions)
{
    struct talk talk = talk_unix();
    uint64_t start = clock_ms();

    talk_run(&talk, echo_interrupted, &(struct manners){ .delay = 50, .once = true });
    say(talk.client, "A", 1);
    expect(talk.client, "A", 1);
    ck_assert_uint_ge(clock_ms() - start, 50);
    ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
}
END_TEST

/* A limit of time, and a client's rests, which are shorter. */
enum { LIMIT_MS = 100, REST_MS = 40 };

static uint64_t be_silent(struct talk *talk)
{
    return talk_silence(talk, handler_find("echo")->serve, LIMIT_MS);
}

START_TEST(a_silent_client_is_idle_when_its_time_is_up)
{
    expect_time(talk_tcp, be_silent, LIMIT_MS, 2 * LIMIT_MS);
}
END_TEST

static uint64_t read_with_rests(struct talk *talk)
{
    limit_time(talk->server, SO_RCVTIMEO, LIMIT_MS);
    talk_run(talk, write_then_read, &plain);
    for (int i = 0; i < PIECES; i++) {
        expect(talk->client, bulk, PIECE);
        stream_pause(REST_MS);
    }
    expect_end(talk->client);
    ck_assert_int_eq(talk_end(talk), SESSION_IDLE);
    ck_assert_uint_eq(talk->counts->bytes_out, PIECES * PIECE);
    return talk->counts->turns;
}

START_TEST(a_client_that_still_reads_is_not_idle)
{
    expect_time(talk_unix, read_with_rests, (PIECES - 1) * REST_MS, LONG_MS);
}
END_TEST

static uint64_t last_out, last_ms;

static void note_last_byte(struct stream *stream)
{
    if (stream->bytes_out != last_out)
        last_ms = clock_ms();
    last_out = stream->bytes_out;
}

/* Its turns are the milliseconds from the last byte that was taken until the end. */
static enum session_end pour_against_the_clock(struct stream *stream, const struct manners *manners)
{
    stream->progress = note_last_byte;
    enum session_end end = pour(stream, manners);
    stream->turns = clock_ms() - last_ms;
    return end;
}

static uint64_t take_no_byte(struct talk *talk)
{
    limit_time(talk->server, SO_SNDTIMEO, LIMIT_MS);
    talk_run(talk, pour_against_the_clock, &plain);
    ck_assert_int_eq(talk_end(talk), SESSION_STALLED);
    return talk->counts->turns;
}

START_TEST(a_client_that_takes_no_byte_is_given_up_in_time)
{
    expect_time(talk_unix, take_no_byte, LIMIT_MS - 1, 2 * LIMIT_MS);
    expect_time(talk_tcp, take_no_byte, LIMIT_MS - 1, 2 * LIMIT_MS);
}
END_TEST

enum { BITS = 16 };

/* Reads so little at a time that there is room for more only when the time limit is long over. How
 * long that was borne. */
static uint64_t take_little_by_little(struct talk *talk)
{
    unsigned char bytes[32 << 10];
    int room = 256 << 10;
    uint64_t start = clock_ms();

    setsockopt(talk->server, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    limit_time(talk->server, SO_SNDTIMEO, 3 * LIMIT_MS);
    talk_run(talk, pour, &plain);
    for (int i = 0; i < BITS; i++)
        if (io_read_full(talk->client, bytes, sizeof bytes) == sizeof bytes)
            stream_pause(REST_MS);
    uint64_t took = clock_ms() - start;
    close(talk->client);
    return talk_end(talk) == SESSION_RESET ? took : 0;
}

START_TEST(a_client_that_takes_little_by_little_is_kept)
{
    expect_time(talk_unix, take_little_by_little, BITS * REST_MS, LONG_MS);
    expect_time(talk_tcp, take_little_by_little, BITS * REST_MS, LONG_MS);
}
END_TEST

START_TEST(a_client_that_goes_in_the_middle_is_a_reset_and_no_signal)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct talk talk = tcp ? talk_tcp() : talk_unix();
        talk_run(&talk, pour, &plain);
        expect(talk.client, bulk, 100000);
        close(talk.client);
        ck_assert_int_eq(talk_end(&talk), SESSION_RESET);
    }
}
END_TEST

START_TEST(a_reset_while_waiting_for_a_message_is_a_reset)
{
    struct talk talk = talk_tcp();
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    talk_serve(&talk, "echo", &plain);
    say(talk.client, "A", 1);
    expect(talk.client, "A", 1);
    setsockopt(talk.client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(talk.client);
    ck_assert_int_eq(talk_end(&talk), SESSION_RESET);
}
END_TEST

START_TEST(a_peer_that_acknowledges_nothing_has_vanished)
{
    struct talk talk = talk_tcp();
    unsigned int limit = 100;

    setsockopt(talk.server, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    limit_time(talk.server, SO_SNDTIMEO, LONG_MS);
    talk_run(&talk, pour, &plain);
    ck_assert_int_eq(talk_end(&talk), SESSION_VANISHED);
}
END_TEST

START_TEST(junk_to_a_service_that_only_talks_gets_its_line_and_a_clean_end)
{
    unsigned char junk[5000] = { 0 };
    char line[100];

    for (int i = 0; i < 100; i++) {
        struct talk talk = talk_tcp();
        say(talk.client, junk, sizeof junk);
        talk_serve(&talk, "daytime", &plain);
        stream_pause(i % 5 == 0);
        say(talk.client, junk, sizeof junk);
        ssize_t size = io_read_full(talk.client, line, sizeof line);
        ck_assert_msg(size > 20, "read: %d", (int)size);
        ck_assert_mem_eq(line + size - 6, "-UTC\r\n", 6);
        shutdown(talk.client, SHUT_WR);
        ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
    }
}
END_TEST

static uint64_t never_close(struct talk *talk)
{
    uint64_t start = clock_ms();
    int status;

    talk->linger_ms = LIMIT_MS;
    talk_serve(talk, "time", &plain);
    ck_assert_int_eq(waitpid(talk->pid, &status, 0), talk->pid);
    uint64_t took = clock_ms() - start;
    close(talk->client);
    return took;
}

START_TEST(a_client_that_never_closes_holds_a_closing_session_only_so_long)
{
    expect_time(talk_tcp, never_close, LIMIT_MS, 2 * LIMIT_MS);
}
END_TEST

START_TEST(a_client_that_never_stops_sending_is_cut_short)
{
    struct talk talk = talk_tcp();
    uint64_t start = clock_ms();

    talk_serve(&talk, "time", &plain);
    while (send(talk.client, bulk, STREAM_CHUNK, MSG_NOSIGNAL) > 0)
        continue;
    ck_assert_int_eq(talk_end(&talk), SESSION_COMPLETE);
    ck_assert_uint_lt(clock_ms() - start, LONG_MS);
}
END_TEST

static unsigned int told_waiting;
static uint64_t told_out;

static void note(struct stream *stream)
{
    told_waiting += stream->state == STREAM_WRITES;
    told_out = stream->bytes_out;
}

START_TEST(progress_is_told_with_every_byte_and_every_wait)
{
    struct talk talk = talk_unix();
    struct stream stream = { .in = talk.server, .out = talk.server, .is_socket = true };
    char byte;

    stream.progress = note;
    limit_time(talk.server, SO_SNDTIMEO, 20);
    say(talk.client, "A", 1);
    ck_assert_uint_eq(stream_read(&stream, &byte, 1), 1);
    ck_assert(stream_write(&stream, &byte, 1));
    ck_assert_uint_eq(told_out, 1);
    ck_assert_uint_eq(told_waiting, 0);
    ck_assert_int_eq(pour(&stream, &plain), SESSION_STALLED);
    ck_assert_uint_eq(told_waiting, 1);
    ck_assert_uint_eq(told_out, stream.bytes_out);
    ck_assert(!stream_write(&stream, &byte, 1));
    ck_assert_uint_eq(stream_read(&stream, &byte, 1), 0);
    close(talk.client);
    stream_close(&stream, 0);
}
END_TEST

START_TEST(a_pair_of_pipes_is_served_like_a_socket)
{
    int in[2], out[2];

    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    struct stream stream = { .in = in[0], .out = out[1] };
    say(in[1], "pipes", 5);
    close(in[1]);
    ck_assert_int_eq(upper_serve(&stream, &plain), SESSION_CLOSED);
    stream_close(&stream, LONG_MS);
    expect(out[0], "PIPES", 5);
    expect_end(out[0]);
    ck_assert_uint_eq(stream.bytes_in, 5);
    ck_assert_uint_eq(stream.bytes_out, 5);
}
END_TEST

TCase *stream_cases(void)
{
    TCase *stream = tcase_create("stream");

    tcase_add_test(stream, two_megabytes_half_closed_come_back_to_a_slow_reader);
    tcase_add_test(stream, tiny_buffers_change_nothing);
    tcase_add_test(stream, interruptions_lose_no_byte);
    tcase_add_test(stream, a_delay_is_whole_in_spite_of_interruptions);
    tcase_add_test(stream, a_silent_client_is_idle_when_its_time_is_up);
    tcase_add_test(stream, a_client_that_still_reads_is_not_idle);
    tcase_add_test(stream, a_client_that_takes_no_byte_is_given_up_in_time);
    tcase_add_test(stream, a_client_that_takes_little_by_little_is_kept);
    tcase_add_test(stream, a_client_that_goes_in_the_middle_is_a_reset_and_no_signal);
    tcase_add_test(stream, a_reset_while_waiting_for_a_message_is_a_reset);
    tcase_add_test(stream, a_peer_that_acknowledges_nothing_has_vanished);
    tcase_add_test(stream, junk_to_a_service_that_only_talks_gets_its_line_and_a_clean_end);
    tcase_add_test(stream, a_client_that_never_closes_holds_a_closing_session_only_so_long);
    tcase_add_test(stream, a_client_that_never_stops_sending_is_cut_short);
    tcase_add_test(stream, progress_is_told_with_every_byte_and_every_wait);
    tcase_add_test(stream, a_pair_of_pipes_is_served_like_a_socket);
    return stream;
}
