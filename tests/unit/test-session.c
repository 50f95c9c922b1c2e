/* A session's process, as its client, its listener and ps see it. */
#include "talk.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/title.h"
#include "session/session.h"

/* A service as the configuration makes one, and a client that is somebody. */
static struct service service;
static struct session_plan plan;
static struct address tcp_client, unix_client;
static struct board_session *row;

static void set_up(void)
{
    service = (struct service){ .service_name = "test", .linger_timeout = LONG_MS };
    tcp_client = (struct address){ .kind = ADDRESS_SOCKET, .length = sizeof(struct sockaddr_in) };
    tcp_client.socket.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(51234) };
    inet_pton(AF_INET, "192.0.2.7", &tcp_client.socket.v4.sin_addr);
    unix_client = (struct address){ .kind = ADDRESS_SOCKET, .length = sizeof(sa_family_t) };
    unix_client.socket.any.sa_family = AF_UNIX;
    row = mmap(NULL, sizeof *row, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(row, MAP_FAILED);
}

static void use(const char *handler)
{
    strcpy(service.handler, handler);
}

/* What a listener's child inherits: meanings of signals, some of them blocked, other descriptors.
 */
static void be_a_listener(void)
{
    sigset_t blocked;

    session_prepare_signals();
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGCHLD);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    for (int i = 0; i < 20; i++)
        ck_assert_int_ge(dup(0), 0);
}

static void start(struct talk *talk, const struct address *client)
{
    char text[ADDRESS_TEXT_MAX], title[SESSION_TITLE_MAX];

    session_plan(&plan, &service, NULL);
    address_format_peer(client, service.log_address, text, sizeof text);
    session_title(&plan, text, title);
    talk->pid = fork();
    ck_assert_int_ge(talk->pid, 0);
    if (talk->pid == 0) {
        be_a_listener();
        session_main(talk->server, client, &plan, title, row);
    }
    close(talk->server);
}

/* Why it ended, as whoever reaps it reads that; `asked` as in session_end_of. */
static enum session_end reap(struct talk *talk, enum session_end asked)
{
    siginfo_t info;

    ck_assert_int_eq(waitid(P_PID, (id_t)talk->pid, &info, WEXITED), 0);
    close(talk->client);
    return session_end_of(info.si_code, info.si_status, asked);
}

static bool is_alive(const struct talk *talk)
{
    siginfo_t info = { .si_pid = 0 };
    return waitid(P_PID, (id_t)talk->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && !info.si_pid;
}

/* Returns when the row says so, or when there is nobody left to say it. */
static void wait_until(const struct talk *talk, enum board_activity activity)
{
    while (row->activity != activity && is_alive(talk))
        stream_pause(1);
}

/* The session serves: one message was answered. */
static void expect_service(const struct talk *talk)
{
    say(talk->client, "A", 1);
    expect(talk->client, "A", 1);
}

START_TEST(a_session_serves_its_client_and_tells_the_board)
{
    struct talk talk = talk_tcp();

    use("echo");
    start(&talk, &tcp_client);
    expect_service(&talk);
    shutdown(talk.client, SHUT_WR);
    expect_end(talk.client);
    ck_assert_int_eq(reap(&talk, SESSION_CRASHED), SESSION_CLOSED);
    ck_assert_uint_eq(row->activity, SESSION_CLOSING);
    ck_assert_uint_eq(row->bytes_in, 1);
    ck_assert_uint_eq(row->bytes_out, 1);
    ck_assert_uint_eq(row->turns, 1);
    ck_assert_uint_le(row->active_us, clock_us());
    ck_assert_uint_eq(row->sequence % 2, 0);
}
END_TEST

START_TEST(the_exit_status_tells_why)
{
    struct talk once = talk_unix(), quit = talk_unix(), gone = talk_tcp();
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    use("next");
    service.once = true;
    start(&once, &unix_client);
    say(once.client, "A", 1);
    expect(once.client, "B", 1);
    expect_end(once.client);
    shutdown(once.client, SHUT_WR);
    ck_assert_int_eq(reap(&once, SESSION_CRASHED), SESSION_COMPLETE);

    strcpy(service.quit, "Bye");
    start(&quit, &unix_client);
    say(quit.client, "Bye\r\n", 5);
    expect_end(quit.client);
    shutdown(quit.client, SHUT_WR);
    ck_assert_int_eq(reap(&quit, SESSION_CRASHED), SESSION_QUIT);

    start(&gone, &tcp_client);
    setsockopt(gone.client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(gone.client);
    ck_assert_int_eq(reap(&gone, SESSION_CRASHED), SESSION_RESET);
}
END_TEST

START_TEST(a_unix_client_has_the_time_limits_too)
{
    struct talk silent = talk_unix(), stuck = talk_unix();

    service.idle_timeout = 60;
    service.write_timeout = 60;
    use("echo");
    start(&silent, &unix_client);
    use("chargen");
    start(&stuck, &unix_client);
    expect_end(silent.client);
    shutdown(silent.client, SHUT_WR);
    shutdown(stuck.client, SHUT_WR);
    ck_assert_int_eq(reap(&silent, SESSION_CRASHED), SESSION_IDLE);
    ck_assert_int_eq(reap(&stuck, SESSION_CRASHED), SESSION_STALLED);
}
END_TEST

START_TEST(the_board_tells_who_waits_for_whom)
{
    struct talk talk = talk_unix();

    use("echo");
    start(&talk, &unix_client);
    expect_service(&talk);
    while (row->turns == 0)
        stream_pause(1);
    wait_until(&talk, SESSION_READING);
    ck_assert_uint_eq(row->activity, SESSION_READING);
    kill(talk.pid, SIGTERM);
    reap(&talk, SESSION_STOPPED);

    talk = talk_unix();
    use("chargen");
    start(&talk, &unix_client);
    wait_until(&talk, SESSION_WRITING);
    ck_assert_uint_eq(row->activity, SESSION_WRITING);
    ck_assert_uint_gt(row->bytes_out, 10000);
    kill(talk.pid, SIGTERM);
    reap(&talk, SESSION_STOPPED);
}
END_TEST

START_TEST(a_session_ends_when_its_life_is_over)
{
    struct talk talk = talk_unix();
    uint64_t begin = clock_ms();

    use("echo");
    service.session_timeout = 80;
    start(&talk, &unix_client);
    expect_end(talk.client);
    ck_assert_uint_ge(clock_ms() - begin, 80);
    ck_assert_int_eq(reap(&talk, SESSION_CRASHED), SESSION_LIFETIME);
}
END_TEST

START_TEST(term_ends_a_session_at_once)
{
    struct talk talk = talk_unix();

    use("echo");
    start(&talk, &unix_client);
    expect_service(&talk);
    kill(talk.pid, SIGTERM);
    expect_end(talk.client);
    ck_assert_int_eq(reap(&talk, SESSION_STOPPED), SESSION_STOPPED);
}
END_TEST

START_TEST(signals_meant_for_the_master_do_not_disturb_a_session)
{
    static const int others[] = { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGCHLD };
    struct talk talk = talk_unix();

    use("echo");
    start(&talk, &unix_client);
    expect_service(&talk);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        kill(talk.pid, others[i]);
        expect_service(&talk);
    }
    shutdown(talk.client, SHUT_WR);
    ck_assert_int_eq(reap(&talk, SESSION_CRASHED), SESSION_CLOSED);
}
END_TEST

/* A line of /proc/PID/status that holds a number in hexadecimal. */
static unsigned long long status_of(pid_t pid, const char *key)
{
    char path[64], line[256];
    unsigned long long value = 0;
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_ne(file, NULL);
    while (!found && fgets(line, sizeof line, file)) {
        found = !strncmp(line, key, strlen(key));
        value = found ? strtoull(line + strlen(key) + 1, NULL, 16) : 0;
    }
    fclose(file);
    ck_assert(found);
    return value;
}

START_TEST(nothing_of_the_listener_is_left_in_a_session)
{
    struct talk talk = talk_unix();

    use("echo");
    start(&talk, &unix_client);
    expect_service(&talk);
    ck_assert_uint_eq(status_of(talk.pid, "SigBlk"), 0);
    ck_assert_uint_eq(status_of(talk.pid, "SigCgt") & (1U << (SIGTERM - 1) | 1U << (SIGCHLD - 1)),
                      0);
    ck_assert_uint_eq(talk_descriptors(&talk), 0xf);
    shutdown(talk.client, SHUT_WR);
    reap(&talk, SESSION_CRASHED);
}
END_TEST

/* What ps(1) shows of the session. */
static void expect_title(const struct talk *talk, const char *expected)
{
    char path[64], title[256] = "";

    snprintf(path, sizeof path, "/proc/%d/cmdline", talk->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_gt(io_read_full(fd, title, sizeof title - 1), 0);
    close(fd);
    ck_assert_str_eq(title, expected);
}

static void expect_title_for(const struct address *client, const char *expected)
{
    struct talk talk = talk_unix();

    start(&talk, client);
    expect_service(&talk);
    expect_title(&talk, expected);
    shutdown(talk.client, SHUT_WR);
    reap(&talk, SESSION_CRASHED);
}

START_TEST(ps_shows_service_and_client)
{
    use("echo");
    expect_title_for(&tcp_client, "forkechod: session test 192.0.2.7:51234");
    expect_title_for(&unix_client, "forkechod: session test unix");
    service.log_address = ADDRESS_MASKED;
    expect_title_for(&tcp_client, "forkechod: session test 192.0.2.0");
    service.log_address = ADDRESS_NONE;
    expect_title_for(&tcp_client, "forkechod: session test -");
}
END_TEST

/* One message, after which the connection is closed. */
static struct talk start_held(void)
{
    struct talk talk = talk_tcp();
    char answer;

    start(&talk, &tcp_client);
    say(talk.client, "A", 1);
    /* Nothing is asserted: a session whose time is up has no answer. */
    while (io_read_full(talk.client, &answer, 1) > 0)
        continue;
    shutdown(talk.client, SHUT_WR);
    wait_until(&talk, SESSION_HOLDING);
    return talk;
}

START_TEST(a_held_process_stays_when_its_connection_is_closed)
{
    enum { LIFE_MS = 100 }; /* of the connection */
    struct talk talk;
    uint64_t begin;

    use("next");
    service.once = true;
    service.hold_process = 10 * LONG_MS;
    service.session_timeout = LIFE_MS;
    for (;;) {
        begin = clock_ms();
        row->activity = SESSION_READING;
        talk = start_held();
        if (clock_ms() - begin < LIFE_MS)
            break;
        kill(talk.pid, SIGKILL); /* it may have outlived its connection's time */
        reap(&talk, SESSION_CRASHED);
    }
    stream_pause(LIFE_MS + 20);
    ck_assert(is_alive(&talk));
    ck_assert_uint_eq(row->activity, SESSION_HOLDING);
    kill(talk.pid, SIGTERM);
    ck_assert_int_eq(reap(&talk, SESSION_STOPPED), SESSION_COMPLETE);
}
END_TEST

START_TEST(a_held_process_goes_when_its_time_is_up)
{
    uint64_t begin = clock_ms();

    use("next");
    service.once = true;
    service.hold_process = 80;
    struct talk talk = start_held();
    ck_assert_int_eq(reap(&talk, SESSION_CRASHED), SESSION_COMPLETE);
    ck_assert_uint_ge(clock_ms() - begin, 80);
}
END_TEST

START_TEST(a_held_process_goes_at_once_when_the_daemon_stops)
{
    use("next");
    service.once = true;
    service.hold_process = 10 * LONG_MS;
    struct talk talk = start_held();
    uint64_t begin = clock_ms();
    stream_pause(10);
    kill(talk.pid, SIGTERM);
    ck_assert_int_eq(reap(&talk, SESSION_STOPPED), SESSION_COMPLETE);
    ck_assert_uint_lt(clock_ms() - begin, LONG_MS);
}
END_TEST

START_TEST(a_session_has_the_limits_of_its_service)
{
    struct talk talk = talk_unix();
    struct rlimit space, processor;

    use("echo");
    service.rlimit_as = UINT64_C(1) << 46; /* enough for a build with sanitizers */
    service.rlimit_cpu = 1500;
    start(&talk, &unix_client);
    expect_service(&talk);
    ck_assert_int_eq(prlimit(talk.pid, RLIMIT_AS, NULL, &space), 0);
    ck_assert_int_eq(prlimit(talk.pid, RLIMIT_CPU, NULL, &processor), 0);
    ck_assert_uint_eq(space.rlim_cur, UINT64_C(1) << 46);
    ck_assert_uint_eq(processor.rlim_cur, 2);
    shutdown(talk.client, SHUT_WR);
    reap(&talk, SESSION_CRASHED);
}
END_TEST

/* One-client mode, in a process whose descriptors 0 and 1 are these. */
static void start_standard(struct talk *talk, int in, int out)
{
    session_plan(&plan, &service, NULL);
    talk->pid = fork();
    ck_assert_int_ge(talk->pid, 0);
    if (talk->pid == 0) {
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        io_close_all_but(NULL, 0);
        _exit((int)session_serve_standard(&plan, talk->counts));
    }
    close(talk->server);
}

START_TEST(one_client_mode_serves_the_socket_it_is_given)
{
    struct talk talk = talk_tcp(), silent = talk_tcp();

    use("echo");
    fcntl(talk.server, F_SETFL, O_NONBLOCK); /* as some super-servers leave it */
    start_standard(&talk, talk.server, talk.server);
    stream_pause(5);
    expect_service(&talk);
    shutdown(talk.client, SHUT_WR);
    expect_end(talk.client);
    ck_assert_int_eq(reap(&talk, SESSION_CRASHED), SESSION_CLOSED);
    ck_assert_uint_eq(talk.counts->bytes_out, 1);

    service.idle_timeout = 80;
    start_standard(&silent, silent.server, silent.server);
    expect_end(silent.client);
    shutdown(silent.client, SHUT_WR);
    ck_assert_int_eq(reap(&silent, SESSION_CRASHED), SESSION_IDLE);
}
END_TEST

START_TEST(one_client_mode_serves_pipes)
{
    struct talk talk = talk_unix();
    int in[2], out[2];

    use("upper");
    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    start_standard(&talk, in[0], out[1]);
    close(out[1]);
    say(in[1], "pipes", 5);
    expect(out[0], "PIPES", 5);
    expect_title(&talk, "forkechod: session test -");
    close(in[1]);
    expect_end(out[0]);
    ck_assert_int_eq(reap(&talk, SESSION_CRASHED), SESSION_CLOSED);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("session");
    TCase *session = tcase_create("session"), *standard = tcase_create("one-client mode");

    title_init(argc, argv);
    tcase_add_checked_fixture(session, set_up, NULL);
    tcase_add_checked_fixture(standard, set_up, NULL);
    tcase_add_test(session, a_session_serves_its_client_and_tells_the_board);
    tcase_add_test(session, the_exit_status_tells_why);
    tcase_add_test(session, a_unix_client_has_the_time_limits_too);
    tcase_add_test(session, the_board_tells_who_waits_for_whom);
    tcase_add_test(session, a_session_ends_when_its_life_is_over);
    tcase_add_test(session, term_ends_a_session_at_once);
    tcase_add_test(session, signals_meant_for_the_master_do_not_disturb_a_session);
    tcase_add_test(session, nothing_of_the_listener_is_left_in_a_session);
    tcase_add_test(session, ps_shows_service_and_client);
    tcase_add_test(session, a_held_process_stays_when_its_connection_is_closed);
    tcase_add_test(session, a_held_process_goes_when_its_time_is_up);
    tcase_add_test(session, a_held_process_goes_at_once_when_the_daemon_stops);
    tcase_add_test(session, a_session_has_the_limits_of_its_service);
    tcase_add_test(standard, one_client_mode_serves_the_socket_it_is_given);
    tcase_add_test(standard, one_client_mode_serves_pipes);
    suite_add_tcase(suite, session);
    suite_add_tcase(suite, standard);

    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
