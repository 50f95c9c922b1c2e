/* Listening over TCP, and what connections inherit. */
#include "test-sys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/address.h"
#include "sys/sockets.h"
#include "sys/streams.h"

static struct failure why;

static const struct socket_settings preset = {
    .backlog = 7, .bind_to_device = "", .socket_user = "", .socket_group = ""
};

static struct address address_of(const char *text)
{
    struct address out[2];
    const char *hint;

    ck_assert_int_eq(address_parse(text, out, &hint), 1);
    return out[0];
}

static int connect_to(const struct address *address)
{
    int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, &address->socket.any, address->length) == 0)
        return fd;
    close(fd);
    return -1;
}

static int number_of(int fd, int level, int name)
{
    int number = -1;
    socklen_t size = sizeof number;
    ck_assert_int_eq(getsockopt(fd, level, name, &number, &size), 0);
    return number;
}

START_TEST(a_socket_listens_and_tells_its_port)
{
    struct address address = address_of("127.0.0.1:0");
    int fd = sockets_listen(&address, &preset, &why);

    ck_assert_int_ge(fd, 0);
    ck_assert_uint_ne(address.socket.v4.sin_port, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(number_of(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    ck_assert_int_ge(connect_to(&address), 0);
}
END_TEST

START_TEST(both_families_have_sockets_of_their_own)
{
    int other = -1;

    for (int tries = 0; tries < 20 && other < 0; tries++) { /* others may have the port */
        struct address v6 = address_of("[::]:0"), v4 = address_of("0.0.0.0:0");
        int fd = sockets_listen(&v6, &preset, &why);

        if (fd < 0) { /* no IPv6 in this kernel: then it must say so */
            ck_assert_int_eq(errno, EAFNOSUPPORT);
            return;
        }
        ck_assert_int_eq(number_of(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
        v4.socket.v4.sin_port = v6.socket.v6.sin6_port;
        other = sockets_listen(&v4, &preset, &why);
    }
    ck_assert_int_ge(other, 0);
}
END_TEST

START_TEST(a_taken_port_is_named)
{
    struct address address = address_of("127.0.0.1:0");
    char wanted[256];

    ck_assert_int_ge(sockets_listen(&address, &preset, &why), 0);
    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    snprintf(wanted, sizeof wanted,
             "cannot listen on 127.0.0.1:%d: Address already in use (another program has it: see "
             "ss -ltnp)",
             ntohs(address.socket.v4.sin_port));
    ck_assert_str_eq(why.text, wanted);
    ck_assert_int_eq(why.status, EX_OSERR);
}
END_TEST

START_TEST(a_port_is_free_again_at_once)
{
    struct address address = address_of("127.0.0.1:0");
    int fd = sockets_listen(&address, &preset, &why);
    int client = connect_to(&address);
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    ck_assert_int_eq(poll(&ready, 1, -1), 1);
    int served = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(served, 0);
    close(served); /* the side that closes first keeps the address, in TIME_WAIT */
    close(client);
    close(fd);
    ck_assert_int_ge(sockets_listen(&address, &preset, &why), 0);
}
END_TEST

START_TEST(a_reload_can_go_from_one_address_to_all)
{
    struct address one = address_of("127.0.0.1:0"), all = address_of("0.0.0.0:0"), third;
    struct socket_settings settings = preset;
    int fd = sockets_listen(&one, &preset, &why);

    all.socket.v4.sin_port = one.socket.v4.sin_port;
    third = all;
    ck_assert_int_eq(sockets_listen(&all, &preset, &why), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    sockets_share(fd, true);
    settings.shared = true;
    int beside = sockets_listen(&all, &settings, &why);
    ck_assert_int_ge(beside, 0);
    sockets_share(fd, false);
    sockets_share(beside, false);
    ck_assert_int_eq(sockets_listen(&third, &preset, &why), -1);
    close(fd);
    ck_assert_int_ge(connect_to(&one), 0);
}
END_TEST

START_TEST(an_address_that_is_not_there_is_named)
{
    struct address address = address_of("192.0.2.1:0");
    struct socket_settings settings = preset;

    ck_assert_int_eq(sockets_listen(&address, &settings, &why), -1);
    ck_assert_str_eq(why.text, "cannot listen on 192.0.2.1:0: Cannot assign requested address (no "
                               "interface has this address; with freebind = yes it need not be "
                               "there yet)");
    settings.freebind = true;
    ck_assert_int_ge(sockets_listen(&address, &settings, &why), 0);
    address = address_of("[2001:db8::1]:0");
    ck_assert(sockets_listen(&address, &settings, &why) >= 0 || errno == EAFNOSUPPORT);
}
END_TEST

START_TEST(a_family_that_the_kernel_lacks_can_be_told_from_a_mistake)
{
    struct address address = address_of("127.0.0.1:0");

    address.socket.any.sa_family = AF_MAX;
    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    ck_assert_int_eq(errno, EAFNOSUPPORT);
    ck_assert_ptr_nonnull(strstr(why.text, "(this kernel lacks the address family"));
}
END_TEST

START_TEST(a_device_takes_connections_of_its_own)
{
    struct address address = address_of("0.0.0.0:0");
    struct socket_settings settings = preset;

    settings.bind_to_device = "nosuch0";
    ck_assert_int_eq(sockets_listen(&address, &settings, &why), -1);
    ck_assert_str_eq(why.text, "bind_to_device nosuch0: No such device (see ip link)");
    settings.bind_to_device = "lo";
    become_nobody();
    int fd = sockets_listen(&address, &settings, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(sockets_adjust(fd, &address, &settings, &why), 0);
    settings.bind_to_device = "";
    ck_assert_int_eq(sockets_adjust(fd, &address, &settings, &why), -1);
    ck_assert_str_eq(why.text, "cannot change bind_to_device from \"lo\" to \"\": Operation not "
                               "permitted (restart the daemon to have it)");
    ck_assert_int_eq(why.status, EX_NOPERM);
}
END_TEST

START_TEST(a_reload_can_change_the_backlog)
{
    struct address address = address_of("127.0.0.1:0");
    struct socket_settings settings = preset;
    struct tcp_info info;
    socklen_t size = sizeof info;
    int fd = sockets_listen(&address, &settings, &why);

    settings.backlog = 11;
    ck_assert_int_eq(sockets_adjust(fd, &address, &settings, &why), 0);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    ck_assert_uint_eq(info.tcpi_sacked, 11); /* what ss -ltn shows as Send-Q */
}
END_TEST

START_TEST(a_passed_socket_is_adopted_whatever_its_flags)
{
    struct address address = address_of("127.0.0.1:0"), found;
    int fd = sockets_listen(&address, &preset, &why);

    fcntl(fd, F_SETFL, 0);
    fcntl(fd, F_SETFD, 0);
    ck_assert_int_eq(sockets_adopt(fd, &found, &why), 0);
    ck_assert(address_equal(&found, &address));
    ck_assert_mem_eq(&found, &address, sizeof found);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(what_is_no_listening_stream_is_not_adopted)
{
    struct address found;
    int others[] = { socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                     socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                     open("/dev/null", O_RDWR | O_CLOEXEC), 999 };
    char wanted[128];

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        ck_assert_int_eq(sockets_adopt(others[i], &found, &why), -1);
        snprintf(wanted, sizeof wanted, "descriptor %d is not a listening stream socket",
                 others[i]);
        ck_assert_str_eq(why.text, wanted);
    }
}
END_TEST

static int64_t milliseconds_of(int fd, int name)
{
    struct timeval time;
    socklen_t size = sizeof time;
    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, name, &time, &size), 0);
    return (int64_t)time.tv_sec * 1000 + time.tv_usec / 1000;
}

static const struct stream_settings streams = { .tcp_nodelay = true,
                                                .keepalive = true,
                                                .keepalive_time = 60500,
                                                .keepalive_interval = 15000,
                                                .keepalive_probes = 4,
                                                .tcp_user_timeout = 90000,
                                                .defer_accept = 0,
                                                .idle_timeout = 300250,
                                                .write_timeout = 60000 };

/* Pins the kernel's behaviour: a session sets none of these for itself. */
START_TEST(a_tcp_connection_inherits_every_option)
{
    struct address address = address_of("127.0.0.1:0");
    int fd = sockets_listen(&address, &preset, &why);
    struct pollfd ready = { .fd = fd, .events = POLLIN };

    sockets_prepare_streams(fd, &streams);
    ck_assert_int_ge(connect_to(&address), 0);
    ck_assert_int_eq(poll(&ready, 1, -1), 1);
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_eq(number_of(client, IPPROTO_TCP, TCP_NODELAY), 1);
    ck_assert_int_eq(number_of(client, SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(number_of(client, IPPROTO_TCP, TCP_KEEPIDLE), 61);
    ck_assert_int_eq(number_of(client, IPPROTO_TCP, TCP_KEEPINTVL), 15);
    ck_assert_int_eq(number_of(client, IPPROTO_TCP, TCP_KEEPCNT), 4);
    ck_assert_int_eq(number_of(client, IPPROTO_TCP, TCP_USER_TIMEOUT), 90000);
    /* The kernel counts in its own ticks, of 10 ms at most. */
    ck_assert_int_ge(milliseconds_of(client, SO_RCVTIMEO), 300250);
    ck_assert_int_lt(milliseconds_of(client, SO_RCVTIMEO), 300250 + 10);
    ck_assert_int_eq(milliseconds_of(client, SO_SNDTIMEO), 60000);
    /* But it blocks, though the listening socket does not. */
    ck_assert_int_eq(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

/* Pins the kernel's behaviour: a session of a Unix socket has to set its own. */
START_TEST(a_unix_connection_inherits_none)
{
    char name[64];

    snprintf(name, sizeof name, "unix:@forkechod-test-%d", getpid());
    struct address address = address_of(name);
    int fd = sockets_listen(&address, &preset, &why);
    ck_assert_int_ge(fd, 0);
    sockets_prepare_streams(fd, &streams);
    ck_assert_int_ge(connect_to(&address), 0);
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(client, 0);
    ck_assert_int_eq(milliseconds_of(client, SO_RCVTIMEO), 0);
    sockets_prepare_streams(client, &streams);
    ck_assert_int_ge(milliseconds_of(client, SO_RCVTIMEO), 300250);
    ck_assert_int_eq(milliseconds_of(client, SO_SNDTIMEO), 60000);
}
END_TEST

START_TEST(limits_that_are_off_or_beyond_the_kernels_are_set_so)
{
    struct address address = address_of("127.0.0.1:0");
    int fd = sockets_listen(&address, &preset, &why);
    struct stream_settings settings = streams;

    settings.keepalive_time = 86400000; /* the kernel's limit is 32767 s */
    settings.defer_accept = 2500;
    sockets_prepare_streams(fd, &settings);
    ck_assert_int_eq(number_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 32767);
    ck_assert_int_ge(number_of(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 3);
    settings = (struct stream_settings){ 0 };
    sockets_prepare_streams(fd, &settings);
    ck_assert_int_eq(number_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(number_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    ck_assert_int_eq(number_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    ck_assert_int_eq(number_of(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    ck_assert_int_eq(milliseconds_of(fd, SO_RCVTIMEO), 0);
    ck_assert_int_eq(milliseconds_of(fd, SO_SNDTIMEO), 0);
}
END_TEST

/* Pins the kernel's behaviour: of a Unix socket's queue it tells whether there is one. */
START_TEST(clients_that_wait_are_counted)
{
    char name[64];

    snprintf(name, sizeof name, "unix:@forkechod-test-%d", getpid());
    struct address tcp = address_of("127.0.0.1:0"), local = address_of(name);
    int fd = sockets_listen(&tcp, &preset, &why), unix_fd = sockets_listen(&local, &preset, &why);
    ck_assert_uint_eq(sockets_waiting(fd), 0);
    ck_assert_uint_eq(sockets_waiting(unix_fd), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ge(connect_to(&tcp), 0);
        ck_assert_int_ge(connect_to(&local), 0);
    }
    while (sockets_waiting(fd) < 3) /* connect(2) does not wait for the other end's queue */
        poll(NULL, 0, 1);
    ck_assert_uint_eq(sockets_waiting(fd), 3);
    ck_assert_uint_eq(sockets_waiting(unix_fd), 1);
}
END_TEST

TCase *sockets_cases(void)
{
    TCase *tcase = tcase_create("sockets");

    tcase_add_test(tcase, a_socket_listens_and_tells_its_port);
    tcase_add_test(tcase, both_families_have_sockets_of_their_own);
    tcase_add_test(tcase, a_taken_port_is_named);
    tcase_add_test(tcase, a_port_is_free_again_at_once);
    tcase_add_test(tcase, a_reload_can_go_from_one_address_to_all);
    tcase_add_test(tcase, an_address_that_is_not_there_is_named);
    tcase_add_test(tcase, a_family_that_the_kernel_lacks_can_be_told_from_a_mistake);
    tcase_add_test(tcase, a_device_takes_connections_of_its_own);
    tcase_add_test(tcase, a_reload_can_change_the_backlog);
    tcase_add_test(tcase, a_passed_socket_is_adopted_whatever_its_flags);
    tcase_add_test(tcase, what_is_no_listening_stream_is_not_adopted);
    tcase_add_test(tcase, a_tcp_connection_inherits_every_option);
    tcase_add_test(tcase, a_unix_connection_inherits_none);
    tcase_add_test(tcase, clients_that_wait_are_counted);
    tcase_add_test(tcase, limits_that_are_off_or_beyond_the_kernels_are_set_so);
    return tcase;
}
