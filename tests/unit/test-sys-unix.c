/* Unix sockets that have a file: who may use it, and whose it is. */
#include "test-sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/address.h"
#include "base/io.h"
#include "sys/lockfile.h"
#include "sys/sockets.h"

static struct failure why;

static const struct socket_settings preset = {
    .backlog = 7, .bind_to_device = "", .socket_mode = 0660, .socket_user = "", .socket_group = ""
};

static struct address address_at(const char *path)
{
    char text[256];
    struct address out[2];
    const char *hint;

    snprintf(text, sizeof text, "unix:%s", path);
    ck_assert_int_eq(address_parse(text, out, &hint), 1);
    return out[0];
}

static int connect_to(const struct address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connect(fd, &address->socket.any, address->length) == 0)
        return fd;
    close(fd);
    return -1;
}

static unsigned int mode_of(const char *path)
{
    struct stat file;
    return lstat(path, &file) < 0 ? 0 : file.st_mode;
}

/* A socket file whose socket is gone. */
static void leave_stale(const char *path)
{
    struct address address = address_at(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, &address.socket.any, address.length), 0);
    close(fd);
}

START_TEST(the_file_has_its_mode_whatever_the_umask)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path), before = address;

    umask(077);
    int fd = sockets_listen(&address, &preset, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0660);
    ck_assert_mem_eq(&address, &before, sizeof address);
    ck_assert_uint_eq(umask(0), 077);
    ck_assert_int_ge(connect_to(&address), 0);
    ck_assert_uint_eq(mode_of(scratch_path("socket.lock")), 0);
    sockets_unlink(fd, &address);
    ck_assert_uint_eq(mode_of(path), 0);
}
END_TEST

START_TEST(a_stale_socket_is_replaced)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path);

    leave_stale(path);
    int fd = sockets_listen(&address, &preset, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(connect_to(&address), 0);
    sockets_unlink(fd, &address);
}
END_TEST

START_TEST(a_live_socket_is_left_alone)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path);
    char wanted[256];
    int fd = sockets_listen(&address, &preset, &why);

    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    snprintf(wanted, sizeof wanted,
             "cannot listen on unix:%s: Address already in use (another program has it: see ss "
             "-lxp)",
             path);
    ck_assert_str_eq(why.text, wanted);
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_int_ge(connect_to(&address), 0);
    /* Alive, though its queue is full. */
    while (connect_to(&address) >= 0)
        ;
    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    sockets_unlink(fd, &address);
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
    const char *path = scratch_path("socket"), *target = scratch_path("target");
    struct address address = address_at(path);

    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "(it is not a socket, and is left alone)"));
    ck_assert_uint_eq(mode_of(path), S_IFREG | 0600);
    unlink(path);

    leave_stale(target); /* behind a symbolic link, even a stale socket is somebody else's */
    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "(it is not a socket, and is left alone)"));
    ck_assert(S_ISLNK(mode_of(path)));
    ck_assert(S_ISSOCK(mode_of(target)));
    unlink(path);
    unlink(target);
}
END_TEST

START_TEST(a_socket_of_another_kind_is_left_alone)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(bind(fd, &address.socket.any, address.length), 0);
    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    ck_assert_int_eq(errno, EPROTOTYPE);
    ck_assert(S_ISSOCK(mode_of(path)));
    unlink(path);
}
END_TEST

START_TEST(a_missing_directory_is_explained)
{
    const char *path = scratch_path("missing/socket");
    struct address address = address_at(path);
    char wanted[256];

    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    snprintf(wanted, sizeof wanted,
             "cannot listen on unix:%s: No such file or directory (its directory has to exist; "
             "RuntimeDirectory= of a unit makes one)",
             path);
    ck_assert_str_eq(why.text, wanted);
}
END_TEST

START_TEST(an_unknown_owner_is_found_before_anything_is_touched)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path);
    struct socket_settings settings = preset;

    leave_stale(path);
    settings.socket_user = "no-such-user-here";
    ck_assert_int_eq(sockets_listen(&address, &settings, &why), -1);
    ck_assert_str_eq(why.text, "socket_user no-such-user-here: there is no such user");
    ck_assert_int_eq(why.status, EX_CONFIG);
    settings.socket_user = "";
    settings.socket_group = "no-such-group-here";
    ck_assert_int_eq(sockets_listen(&address, &settings, &why), -1);
    ck_assert_str_eq(why.text, "socket_group no-such-group-here: there is no such group");
    ck_assert(S_ISSOCK(mode_of(path)));
    unlink(path);
}
END_TEST

START_TEST(an_owner_that_cannot_be_set_leaves_no_file)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path);
    struct socket_settings settings = preset;

    become_nobody();
    settings.socket_user = "root";
    ck_assert_int_eq(sockets_listen(&address, &settings, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "(only root may give it to another user"));
    ck_assert_int_eq(why.status, EX_NOPERM);
    ck_assert_uint_eq(mode_of(path), 0);
}
END_TEST

START_TEST(a_reload_can_change_the_mode)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path);
    struct socket_settings settings = preset;
    int fd = sockets_listen(&address, &settings, &why);

    settings.socket_mode = 0600;
    ck_assert_int_eq(sockets_adjust(fd, &address, &settings, &why), 0);
    ck_assert_uint_eq(mode_of(path), S_IFSOCK | 0600);
    /* A file of the same name that is not the socket's stays as it is. */
    ck_assert_int_eq(unlink(path), 0);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    ck_assert_int_eq(sockets_adjust(fd, &address, &settings, &why), 0);
    ck_assert_uint_eq(mode_of(path), S_IFREG | 0644);
    unlink(path);
}
END_TEST

START_TEST(while_one_daemon_is_at_work_others_keep_off)
{
    const char *path = scratch_path("socket"), *lock = scratch_path("socket.lock");
    struct address address = address_at(path);

    leave_stale(path);
    int held = lockfile_open(lock, 0600);
    ck_assert_int_ge(held, 0);
    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(why.text, "(another daemon is setting it up at this moment)"));
    ck_assert(S_ISSOCK(mode_of(path)));
    lockfile_close(lock, held);
    int fd = sockets_listen(&address, &preset, &why);
    ck_assert_int_ge(fd, 0);
    sockets_unlink(fd, &address);
}
END_TEST

START_TEST(only_the_sockets_own_file_is_removed)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path), found;
    int fd = sockets_listen(&address, &preset, &why);

    /* Somebody removed the file, and another daemon listens there now. */
    ck_assert_int_eq(unlink(path), 0);
    int other = sockets_listen(&address, &preset, &why);
    ck_assert_int_ge(other, 0);
    sockets_unlink(fd, &address);
    ck_assert(S_ISSOCK(mode_of(path)));
    ck_assert_int_ge(connect_to(&address), 0);
    /* A socket that was passed on brings its file along. */
    ck_assert_int_eq(sockets_adopt(other, &found, &why), 0);
    ck_assert(address_equal(&found, &address));
    sockets_unlink(other, &found);
    ck_assert_uint_eq(mode_of(path), 0);
}
END_TEST

START_TEST(an_abstract_socket_has_no_file)
{
    char name[64];

    snprintf(name, sizeof name, "@forkechod-test-unix-%d", getpid());
    struct address address = address_at(name), found;
    int fd = sockets_listen(&address, &preset, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(connect_to(&address), 0);
    ck_assert_int_eq(sockets_adopt(fd, &found, &why), 0);
    ck_assert(address_equal(&found, &address));
    ck_assert_int_eq(sockets_listen(&address, &preset, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "Address already in use (another program has it"));
}
END_TEST

enum { RACERS = 6, ROUNDS = 20 };

/* Holds its socket until all have tried. The exit status says whether it had one. */
static _Noreturn void race(struct address *address, int start, int tried, int finish)
{
    char byte;

    (void)!read(start, &byte, 1);
    int fd = sockets_listen(address, &preset, NULL);
    io_write_full(tried, "x", 1);
    (void)!read(finish, &byte, 1);
    _exit(fd >= 0);
}

START_TEST(of_many_daemons_one_replaces_a_stale_socket)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path);

    for (int round = 0; round < ROUNDS; round++) {
        int start[2], tried[2], finish[2], winners = 0;
        pid_t racers[RACERS];
        char bytes[RACERS];

        leave_stale(path);
        ck_assert_int_eq(pipe2(start, O_CLOEXEC) | pipe2(tried, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(finish, O_CLOEXEC), 0);
        for (int i = 0; i < RACERS; i++)
            if ((racers[i] = fork()) == 0) {
                close(start[1]);
                close(finish[1]);
                race(&address, start[0], tried[1], finish[0]);
            }
        close(start[1]);
        io_read_full(tried[0], bytes, RACERS);
        int client = connect_to(&address);
        close(finish[1]);
        for (int i = 0; i < RACERS; i++)
            winners += reap(racers[i]);
        ck_assert_int_eq(winners, 1);
        ck_assert_int_ge(client, 0); /* and the winner is the one whom clients reach */
        ck_assert_int_eq(unlink(path), 0);
        close(client);
        close(start[0]);
        close(tried[0]);
        close(tried[1]);
        close(finish[0]);
    }
}
END_TEST

TCase *unix_cases(void)
{
    TCase *tcase = tcase_create("unix");

    tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
    tcase_add_test(tcase, the_file_has_its_mode_whatever_the_umask);
    tcase_add_test(tcase, a_stale_socket_is_replaced);
    tcase_add_test(tcase, a_live_socket_is_left_alone);
    tcase_add_test(tcase, what_is_no_socket_is_left_alone);
    tcase_add_test(tcase, a_socket_of_another_kind_is_left_alone);
    tcase_add_test(tcase, a_missing_directory_is_explained);
    tcase_add_test(tcase, an_unknown_owner_is_found_before_anything_is_touched);
    tcase_add_test(tcase, an_owner_that_cannot_be_set_leaves_no_file);
    tcase_add_test(tcase, a_reload_can_change_the_mode);
    tcase_add_test(tcase, while_one_daemon_is_at_work_others_keep_off);
    tcase_add_test(tcase, only_the_sockets_own_file_is_removed);
    tcase_add_test(tcase, an_abstract_socket_has_no_file);
    tcase_add_test(tcase, of_many_daemons_one_replaces_a_stale_socket);
    return tcase;
}

START_TEST(a_socket_can_be_given_to_another_user)
{
    const char *path = scratch_path("socket");
    struct address address = address_at(path);
    struct socket_settings settings = preset;
    struct stat file;

    if (geteuid() != 0)
        return;
    settings.socket_user = "nobody";
    settings.socket_group = "daemon";
    int fd = sockets_listen(&address, &settings, &why);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(lstat(path, &file), 0);
    ck_assert_uint_eq(file.st_uid, getpwnam("nobody")->pw_uid);
    ck_assert_uint_eq(file.st_gid, getgrnam("daemon")->gr_gid);
    ck_assert_uint_eq(file.st_mode, S_IFSOCK | 0660);
    settings.socket_user = "";
    ck_assert_int_eq(sockets_adjust(fd, &address, &settings, &why), 0);
    ck_assert_int_eq(lstat(path, &file), 0);
    ck_assert_uint_eq(file.st_uid, 0);
    ck_assert_uint_eq(file.st_gid, getgrnam("daemon")->gr_gid);
    sockets_unlink(fd, &address);
}
END_TEST

TCase *unix_root_cases(void)
{
    TCase *tcase = group_where("unix", geteuid() == 0, "only root can give files away");

    tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
    tcase_add_test(tcase, a_socket_can_be_given_to_another_user);
    return tcase;
}
