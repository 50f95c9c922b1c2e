/* systemd's protocols, from the manager's side. */
#include "test-sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "sys/notify.h"
#include "sys/sockets.h"
#include "sys/systemd.h"

static struct failure why;
static struct systemd_socket *passed;
static char message[4096];
static int received; /* the descriptor that came with it, or -1 */

/* The manager's socket, under that name and in the environment. */
static int make_manager(const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t size = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, name, size);
    if (*name == '@')
        address.sun_path[0] = '\0';
    else
        unlink(name);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static int open_manager(void)
{
    int manager = make_manager(scratch_path("notify"));

    ck_assert_int_eq(systemd_adopt(&passed, &why), 0);
    ck_assert(systemd_is_manager());
    return manager;
}

/* The next message, or NULL. */
static const char *next(int manager)
{
    char room[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec body = { .iov_base = message, .iov_len = sizeof message - 1 };
    struct msghdr header = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room
    };
    ssize_t size = recvmsg(manager, &header, MSG_CMSG_CLOEXEC);

    if (size < 0)
        return NULL;
    message[size] = '\0';
    received = -1;
    if (CMSG_FIRSTHDR(&header))
        memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof received);
    return message;
}

START_TEST(the_manager_is_told_each_state)
{
    int manager = open_manager();
    char wanted[128];
    uint64_t then;

    systemd_ready("2 services");
    snprintf(wanted, sizeof wanted, "READY=1\nMAINPID=%d\nSTATUS=2 services", getpid());
    ck_assert_str_eq(next(manager), wanted);
    uint64_t before = clock_us();
    systemd_reloading();
    ck_assert_int_eq(sscanf(next(manager), "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &then), 1);
    ck_assert(before <= then && then <= clock_us());
    systemd_stopping("draining");
    ck_assert_str_eq(next(manager), "STOPPING=1\nSTATUS=draining");
    systemd_status("one line\nWATCHDOG=trigger");
    ck_assert_str_eq(next(manager), "STATUS=one line");
    systemd_extend(5000);
    ck_assert_str_eq(next(manager), "EXTEND_TIMEOUT_USEC=5000000");
    systemd_watchdog();
    ck_assert_str_eq(next(manager), "WATCHDOG=1");
    ck_assert_ptr_null(next(manager));
}
END_TEST

START_TEST(children_do_not_find_the_manager)
{
    char own[16];

    make_manager(scratch_path("notify"));
    snprintf(own, sizeof own, "%d", getpid());
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", own, 1);
    setenv("LISTEN_PID", "1", 1); /* meant for somebody else */
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_FDNAMES", "echo", 1);
    ck_assert_int_eq(systemd_adopt(&passed, &why), 0);
    ck_assert_uint_eq(systemd_watchdog_period(), 1500);
    static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                         "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(!getenv(names[i]), "%s is still set", names[i]);
    ck_assert(systemd_is_manager());
}
END_TEST

START_TEST(a_manager_with_an_abstract_name_is_found)
{
    char name[64];

    snprintf(name, sizeof name, "@forkechod-test-notify-%d", getpid());
    int manager = make_manager(name);
    ck_assert_int_eq(systemd_adopt(&passed, &why), 0);
    systemd_watchdog();
    ck_assert_str_eq(next(manager), "WATCHDOG=1");
}
END_TEST

START_TEST(without_a_manager_nothing_happens)
{
    struct address address = { .kind = ADDRESS_SOCKET };

    unsetenv("NOTIFY_SOCKET");
    ck_assert_int_eq(systemd_adopt(&passed, &why), 0);
    ck_assert(!systemd_is_manager());
    ck_assert_uint_eq(systemd_watchdog_period(), 0);
    systemd_ready("x");
    systemd_store(0, &address);
    setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
    ck_assert_int_eq(systemd_adopt(&passed, &why), 0);
    ck_assert(!systemd_is_manager());
}
END_TEST

/* Nothing takes that long because a machine is slow. */
enum { LONG_MS = 20000 };

START_TEST(a_manager_that_does_not_read_costs_no_time)
{
    int manager = open_manager();
    uint64_t begin = clock_ms();

    for (int i = 0; i < 1000; i++)
        systemd_watchdog();
    ck_assert_uint_lt(clock_ms() - begin, LONG_MS);
    begin = clock_ms();
    ck_assert_int_eq(notify_send("READY=1", -1, 50), -EAGAIN);
    ck_assert_uint_ge(clock_ms() - begin, 45);
    ck_assert_uint_lt(clock_ms() - begin, LONG_MS);
    /* A state that matters waits until there is room. */
    pid_t child = fork();
    if (child == 0)
        _exit(notify_send("READY=1", -1, LONG_MS) == 0 ? 0 : 1);
    usleep(20000);
    ck_assert_ptr_nonnull(next(manager));
    ck_assert_int_eq(reap(child), 0);
    const char *last = "";
    while (next(manager))
        last = message;
    ck_assert_str_eq(last, "READY=1");
}
END_TEST

static struct address address_of(const char *text)
{
    struct address out[2];
    const char *hint;

    ck_assert_msg(address_parse(text, out, &hint) == 1, "%s: %s", text, hint);
    return out[0];
}

/* The name under which an address is stored. */
static const char *name_of(int manager, const char *text)
{
    struct address address = address_of(text);

    systemd_unstore(&address);
    ck_assert_ptr_nonnull(next(manager));
    ck_assert_int_eq(strncmp(message, "FDSTOREREMOVE=1\nFDNAME=store-", 29), 0);
    return message + 29;
}

START_TEST(a_stored_socket_has_a_name_that_tells_its_address)
{
    int manager = open_manager();
    char name[512], path[160] = "unix:/";

    ck_assert_str_eq(name_of(manager, "127.0.0.1:7"), "127.0.0.1+7");
    ck_assert_str_eq(name_of(manager, "[2001:db8::1]:7"), "[2001+db8++1]+7");
    ck_assert_str_eq(name_of(manager, "unix:/run/a+b%c:ö"), "unix+/run/a%2Bb%25c+%C3%B6");
    ck_assert_str_eq(name_of(manager, "unix:@echo"), "unix+@echo");
    /* The longest path, of bytes that do not show, still has a name of its own. */
    for (int i = 0; i < 53; i++)
        strcat(path, "ö");
    snprintf(name, sizeof name, "%s", name_of(manager, path));
    ck_assert_uint_le(strlen(name) + strlen("store-"), 255);
    ck_assert_uint_eq(strspn(name, "%0123456789ABCDEF"), strlen(name));
    path[strlen(path) - 1]++;
    ck_assert_str_ne(name_of(manager, path), name);
}
END_TEST

START_TEST(the_store_gets_the_socket_itself)
{
    int manager = open_manager();
    struct address address = address_of("127.0.0.1:0");
    const struct socket_settings settings = {
        .backlog = 1, .bind_to_device = "", .socket_user = "", .socket_group = ""
    };
    struct stat sent, got;
    int fd = sockets_listen(&address, &settings, &why);

    systemd_store(fd, &address);
    ck_assert_ptr_nonnull(next(manager));
    ck_assert_int_eq(strncmp(message, "FDSTORE=1\nFDNAME=store-127.0.0.1+", 33), 0);
    ck_assert_int_ge(received, 0);
    ck_assert_int_eq(fstat(fd, &sent) | fstat(received, &got), 0);
    ck_assert_uint_eq(sent.st_ino, got.st_ino);
}
END_TEST

/* What systemd passes, from descriptor 3 on, and for this process. In a process of its own, because
 * libcheck has its descriptors there. */
static void pass(const int *sockets, size_t count, const char *names)
{
    char text[16];
    int moved[8];

    for (size_t i = 0; i < count; i++)
        moved[i] = fcntl(sockets[i], F_DUPFD, 100);
    for (size_t i = 0; i < count; i++)
        dup2(moved[i], 3 + (int)i);
    snprintf(text, sizeof text, "%d", getpid());
    setenv("LISTEN_PID", text, 1);
    snprintf(text, sizeof text, "%zu", count);
    setenv("LISTEN_FDS", text, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

static int adopt_in_child(void)
{
    struct address addresses[2] = { address_of("127.0.0.1:0"), address_of("127.0.0.1:0") };
    const struct socket_settings settings = {
        .backlog = 1, .bind_to_device = "", .socket_user = "", .socket_group = ""
    };
    int sockets[3] = { sockets_listen(&addresses[0], &settings, &why),
                       open("/dev/null", O_RDWR | O_CLOEXEC),
                       sockets_listen(&addresses[1], &settings, &why) };
    int kept[8];

    pass(sockets, 3, "echo:store-junk:store-127.0.0.1+9");
    if (systemd_adopt(&passed, &why) != 2)
        return 1;
    if (passed[0].fd != 3 || strcmp(passed[0].name, "echo") || passed[0].stored ||
        !address_equal(&passed[0].address, &addresses[0]))
        return 2;
    if (passed[1].fd != 5 || strcmp(passed[1].name, "store-127.0.0.1+9") || !passed[1].stored ||
        !address_equal(&passed[1].address, &addresses[1]))
        return 3;
    if (passed[0].taken || passed[1].taken)
        return 4;
    if (fcntl(3, F_GETFD) != FD_CLOEXEC || !(fcntl(3, F_GETFL) & O_NONBLOCK))
        return 5;
    if (fcntl(4, F_GETFD) != -1) /* what is no socket can only be forgotten */
        return 6;
    if (systemd_descriptors(kept, 8) != 2 || kept[0] != 3 || kept[1] != 5)
        return 7;
    return getenv("LISTEN_FDS") ? 8 : 0;
}

START_TEST(passed_sockets_are_known_by_name_and_address)
{
    pid_t child = fork();
    if (child == 0)
        _exit(adopt_in_child());
    ck_assert_int_eq(reap(child), 0);
}
END_TEST

static int refuse_in_child(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    pass(&null, 1, "echo");
    if (systemd_adopt(&passed, &why) != -1 || why.status != EX_CONFIG)
        return 1;
    return strcmp(why.text, "systemd passed echo: descriptor 3 is not a listening stream socket "
                            "(its .socket unit needs ListenStream= and Accept=no)") != 0;
}

START_TEST(a_unit_that_passes_the_wrong_thing_is_named)
{
    pid_t child = fork();
    if (child == 0)
        _exit(refuse_in_child());
    ck_assert_int_eq(reap(child), 0);
}
END_TEST

TCase *systemd_cases(void)
{
    TCase *tcase = tcase_create("systemd");

    tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
    tcase_add_test(tcase, the_manager_is_told_each_state);
    tcase_add_test(tcase, children_do_not_find_the_manager);
    tcase_add_test(tcase, a_manager_with_an_abstract_name_is_found);
    tcase_add_test(tcase, without_a_manager_nothing_happens);
    tcase_add_test(tcase, a_manager_that_does_not_read_costs_no_time);
    tcase_add_test(tcase, a_stored_socket_has_a_name_that_tells_its_address);
    tcase_add_test(tcase, the_store_gets_the_socket_itself);
    tcase_add_test(tcase, passed_sockets_are_known_by_name_and_address);
    tcase_add_test(tcase, a_unit_that_passes_the_wrong_thing_is_named);
    return tcase;
}
