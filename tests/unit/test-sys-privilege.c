/* Privilege: found, cut, dropped, and gone. */
#include "test-sys.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "sys/privilege.h"

static struct failure why;
static struct identity who;
static bool can_change_users;

/* The six that a master needs. */
static const uint64_t needed = 1 << CAP_NET_BIND_SERVICE | 1 << CAP_SETUID | 1 << CAP_SETGID |
                               1 << CAP_SETPCAP | 1 << CAP_KILL | 1 << CAP_CHOWN;

/* A line of /proc/self/status, in its base. */
static uint64_t status_of(const char *key, int base)
{
    char text[8192];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    text[io_read_full(fd, text, sizeof text - 1)] = '\0';
    close(fd);
    const char *line = strstr(text, key);
    ck_assert_ptr_nonnull(line);
    return strtoull(line + strlen(key), NULL, base);
}

static int bind_port(uint16_t port)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int result = bind(fd, (struct sockaddr *)&name, sizeof name);
    close(fd);
    return result;
}

START_TEST(an_ordinary_user_serves_as_itself)
{
    become_nobody();
    ck_assert(!privilege_is_root());
    ck_assert_int_eq(privilege_find("", "", "forkechod", &who, &why), 0);
    ck_assert_uint_eq(who.uid, geteuid());
    ck_assert_uint_eq(who.gid, getegid());
    /* What is preset need not exist. */
    ck_assert_int_eq(privilege_find("no-such-user", "", "no-such-user", &who, &why), 0);
    ck_assert_uint_eq(who.uid, geteuid());
    const struct passwd *own = getpwuid(geteuid());
    if (own)
        ck_assert_int_eq(privilege_find(own->pw_name, "", "forkechod", &who, &why), 0);
}
END_TEST

START_TEST(an_ordinary_user_cannot_serve_as_another)
{
    become_nobody();
    ck_assert_int_eq(privilege_find("root", "", "forkechod", &who, &why), -1);
    ck_assert_str_eq(why.text, "user root: only root can serve as another user (start the daemon "
                               "as root, or take the key out)");
    ck_assert_int_eq(why.status, EX_CONFIG);
    ck_assert_int_eq(privilege_find("no-such-user", "", "forkechod", &who, &why), -1);
    ck_assert_int_eq(privilege_find("", "root", "forkechod", &who, &why), -1);
    ck_assert_ptr_nonnull(strstr(why.text, "group root: only root can serve as another group"));
    ck_assert_int_eq(privilege_find("", "no-such-group", "forkechod", &who, &why), -1);
    ck_assert_str_eq(why.text, "group no-such-group: there is no such group");
}
END_TEST

START_TEST(an_ordinary_master_needs_nothing)
{
    become_nobody();
    ck_assert_int_eq(privilege_limit_master(&why), 0);
    who = (struct identity){ geteuid(), getegid() };
    ck_assert_int_eq(privilege_drop(&who, &why), 0);
    ck_assert_uint_eq(status_of("\nCapEff:\t", 16), 0);
    ck_assert_uint_eq(status_of("\nCapPrm:\t", 16), 0);
    ck_assert_uint_eq(status_of("\nNoNewPrivs:\t", 10), 1);
}
END_TEST

START_TEST(root_finds_the_user_that_serves)
{
    if (!can_change_users)
        return;
    const struct passwd *nobody = getpwnam("nobody");
    ck_assert_ptr_nonnull(nobody);
    uid_t uid = nobody->pw_uid;
    gid_t gid = nobody->pw_gid;

    ck_assert(privilege_is_root());
    ck_assert_int_eq(privilege_find("nobody", "", "no-such-user", &who, &why), 0);
    ck_assert_uint_eq(who.uid, uid);
    ck_assert_uint_eq(who.gid, gid);
    ck_assert_int_eq(privilege_find("", "", "nobody", &who, &why), 0);
    ck_assert_uint_eq(who.uid, uid);
    ck_assert_int_eq(privilege_find("nobody", "daemon", "", &who, &why), 0);
    ck_assert_uint_eq(who.gid, getgrnam("daemon")->gr_gid);

    ck_assert_int_eq(privilege_find("root", "", "nobody", &who, &why), -1);
    ck_assert_str_eq(why.text, "user root: clients are not served as root (name another user)");
    ck_assert_int_eq(privilege_find("no-such-user", "", "nobody", &who, &why), -1);
    ck_assert_str_eq(why.text, "user no-such-user: there is no such user (make it with useradd "
                               "--system no-such-user)");
    ck_assert_int_eq(why.status, EX_CONFIG);
    ck_assert_int_eq(privilege_find("nobody", "no-such-group", "", &who, &why), -1);
}
END_TEST

START_TEST(a_root_master_keeps_six_capabilities)
{
    if (!can_change_users)
        return;
    ck_assert_int_eq(privilege_limit_master(&why), 0);
    ck_assert_uint_eq(status_of("\nCapEff:\t", 16), needed);
    ck_assert_uint_eq(status_of("\nCapPrm:\t", 16), needed);
    ck_assert_uint_eq(status_of("\nCapBnd:\t", 16), needed);
    ck_assert_uint_eq(status_of("\nCapInh:\t", 16), 0);
    ck_assert_uint_eq(status_of("\nCapAmb:\t", 16), 0);
#ifndef WITH_SANITIZERS
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
#endif
    ck_assert_int_eq(geteuid(), 0);
    ck_assert_int_eq(bind_port(1), 0);
    ck_assert_int_eq(privilege_limit_master(&why), 0); /* after it replaced itself */
    ck_assert_uint_eq(status_of("\nCapBnd:\t", 16), needed);
}
END_TEST

static void check_nothing_is_left(void)
{
    ck_assert_uint_eq(status_of("\nCapEff:\t", 16), 0);
    ck_assert_uint_eq(status_of("\nCapPrm:\t", 16), 0);
    ck_assert_uint_eq(status_of("\nCapInh:\t", 16), 0);
    ck_assert_uint_eq(status_of("\nCapAmb:\t", 16), 0);
    ck_assert_uint_eq(status_of("\nNoNewPrivs:\t", 10), 1);
}

START_TEST(a_listener_of_root_has_nothing)
{
    if (!can_change_users)
        return;
    const gid_t groups[] = { 0, 4 };
    ck_assert_int_eq(setgroups(2, groups), 0);
    ck_assert_int_eq(privilege_find("nobody", "", "", &who, &why), 0);
    ck_assert_int_eq(privilege_limit_master(&why), 0);
    ck_assert_int_eq(privilege_drop(&who, &why), 0);
    check_nothing_is_left();
    ck_assert_uint_eq(status_of("\nCapBnd:\t", 16), 0);
    ck_assert_uint_eq(getuid(), who.uid);
    ck_assert_uint_eq(getegid(), who.gid);
    ck_assert_int_eq(getgroups(0, NULL), 0);
    ck_assert_int_eq(setuid(0), -1);
    ck_assert_int_eq(seteuid(0), -1);
    ck_assert_int_eq(setgid(0), -1);
}
END_TEST

START_TEST(nobody_serves_as_root)
{
    if (!can_change_users)
        return;
    who = (struct identity){ 0, 0 };
    ck_assert_int_eq(privilege_drop(&who, &why), -1);
    ck_assert_str_eq(why.text, "clients are not served as root");
}
END_TEST

START_TEST(root_without_the_right_to_change_users_is_told)
{
    if (!can_change_users)
        return;
    capng_get_caps_process();
    capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETUID);
    ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
    ck_assert_int_eq(privilege_limit_master(&why), -1);
    ck_assert_int_eq(why.status, EX_NOPERM);
    ck_assert_ptr_nonnull(strstr(why.text, "root without CAP_SETUID and CAP_SETGID"));
}
END_TEST

/* As AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_SYS_TIME of a unit with User=nobody. */
static void become_the_units_user(void)
{
    capng_clear(CAPNG_SELECT_ALL);
    capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE,
                  CAP_NET_BIND_SERVICE, CAP_SYS_TIME, -1);
    ck_assert_int_eq(capng_change_id(65534, 65534, CAPNG_DROP_SUPP_GRP), 0);
    capng_updatev(CAPNG_ADD, CAPNG_AMBIENT, CAP_NET_BIND_SERVICE, CAP_SYS_TIME, -1);
    ck_assert_int_eq(capng_apply(CAPNG_SELECT_AMBIENT), 0);
}

START_TEST(a_units_master_keeps_its_port_and_its_listener_does_not)
{
    if (!can_change_users)
        return;
    become_the_units_user();
    ck_assert_int_eq(privilege_limit_master(&why), 0);
    ck_assert_uint_eq(status_of("\nCapEff:\t", 16), 1 << CAP_NET_BIND_SERVICE);
    ck_assert_uint_eq(status_of("\nCapPrm:\t", 16), 1 << CAP_NET_BIND_SERVICE);
    ck_assert_uint_eq(status_of("\nCapAmb:\t", 16), 1 << CAP_NET_BIND_SERVICE);
    ck_assert_int_eq(bind_port(1), 0);
    ck_assert_int_eq(privilege_find("", "", "forkechod", &who, &why), 0);
    ck_assert_int_eq(privilege_drop(&who, &why), 0);
    check_nothing_is_left();
}
END_TEST

/* As SystemCallFilter=~@privileged with SystemCallErrorNumber=EPERM. */
static void forbid_capset(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_capset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof rules / sizeof *rules, rules };

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(a_unit_that_forbids_capset_still_has_a_listener_without_rights)
{
    if (!can_change_users)
        return;
    become_the_units_user();
    forbid_capset();
    ck_assert_int_eq(privilege_limit_master(&why), 0);
    ck_assert_int_eq(bind_port(1), 0);
    ck_assert_int_eq(privilege_find("", "", "forkechod", &who, &why), 0);
    pid_t child = fork();
    if (child == 0) {
        if (privilege_drop(&who, &why) < 0)
            _exit(99);
        execl("/bin/sh", "sh", "-c",
              "grep -Eq '^CapEff:.0{16}$' /proc/self/status &&"
              "grep -Eq '^CapPrm:.0{16}$' /proc/self/status",
              NULL);
    }
    ck_assert_int_eq(reap(child), 0);
}
END_TEST

TCase *privilege_cases(void)
{
    capng_get_caps_process();
    can_change_users = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) &&
                       capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) &&
                       capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_BIND_SERVICE) &&
                       capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_TIME);
    TCase *tcase = tcase_create("privilege");
    tcase_add_test(tcase, an_ordinary_user_serves_as_itself);
    tcase_add_test(tcase, an_ordinary_user_cannot_serve_as_another);
    tcase_add_test(tcase, an_ordinary_master_needs_nothing);
    return tcase;
}

TCase *root_cases(void)
{
    TCase *tcase = group_where("root", can_change_users, "only root can change users");

    tcase_add_test(tcase, root_finds_the_user_that_serves);
    tcase_add_test(tcase, a_root_master_keeps_six_capabilities);
    tcase_add_test(tcase, a_listener_of_root_has_nothing);
    tcase_add_test(tcase, nobody_serves_as_root);
    tcase_add_test(tcase, root_without_the_right_to_change_users_is_told);
    tcase_add_test(tcase, a_units_master_keeps_its_port_and_its_listener_does_not);
    tcase_add_test(tcase, a_unit_that_forbids_capset_still_has_a_listener_without_rights);
    return tcase;
}
