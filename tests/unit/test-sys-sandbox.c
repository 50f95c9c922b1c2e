/* The sandbox: what it holds, and what is let through. */
#include "test-sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "sys/confine.h"
#include "sys/sandbox.h"

enum { FRAMES = 1024 /* words of the stack */ };

static struct failure why;
static char missing[64];
/* The token's complement, since children look for the token itself in their memory. */
static unsigned long complement;

/* Who makes the token is another process outside of tests. */
static __attribute__((noinline)) void overwrite_stack(void)
{
    unsigned long words[2 * FRAMES];
    explicit_bzero(words, sizeof(words));
}

static void enter(bool off)
{
    int image = sandbox_make(off, &why);
    ck_assert_int_ge(image, 0);
    const struct confine_image *token =
        mmap(NULL, sizeof(*token), PROT_READ, MAP_PRIVATE, image, 0);
    complement = ~token->token;
    munmap((void *)token, sizeof(*token));
    overwrite_stack();
    ck_assert_int_eq(confine(image, missing, sizeof(missing), &why), 0);
    close(image);
}

/* As waitpid(2), which the sandbox does not know. */
static int status_of(pid_t child)
{
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
    return info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : info.si_status;
}

/* How a child ends that does this. */
static int end_of(void (*act)(void))
{
    pid_t child = confine_fork(SIGCHLD);
    if (child == 0) {
        act();
        _exit(0);
    }
    ck_assert_int_gt(child, 0);
    return status_of(child);
}

static void do_nothing(void)
{
}

static void open_file(void)
{
    open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void make_socket(void)
{
    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void signal_parent_as_keeper(void)
{
    confine_kill(getppid(), SIGTERM);
}

#ifndef WITH_SANITIZERS
static void wait_for_end(void)
{
    for (;;)
        poll(NULL, 0, -1);
}

static const volatile unsigned long *oldest_frame;

/* Whether a child finds the token on its stack, in frames that are left or in those that are not.
 * It calls nothing before it has looked, which would write over them. */
static bool is_left_to_child(void)
{
    pid_t child = confine_fork(SIGCHLD);
    if (child == 0) {
        const volatile unsigned long *word = __builtin_frame_address(0);
        for (word -= FRAMES; word < oldest_frame; word++)
            if (~*word == complement)
                _exit(1);
        _exit(0);
    }
    return status_of(child) != 0;
}

static void signal_parent(void)
{
    kill(getppid(), SIGTERM);
}

static void fork_as_keeper(void)
{
    confine_fork(SIGCHLD);
}

static void shut_as_keeper(void)
{
    confine_shut(STDIN_FILENO);
}

static void shut(void)
{
    shutdown(STDIN_FILENO, SHUT_RDWR);
}

static void shut_reading(void)
{
    shutdown(STDIN_FILENO, SHUT_RD);
}

static void receive(void)
{
    recvmsg(STDIN_FILENO, &(struct msghdr){ 0 }, MSG_DONTWAIT);
}

static void receive_as_keeper(void)
{
    confine_receive(STDIN_FILENO, &(struct msghdr){ 0 }, MSG_DONTWAIT);
}

static void send_to_somebody(void)
{
    const struct sockaddr name = { .sa_family = AF_UNIX };
    sendto(STDIN_FILENO, "x", 1, MSG_NOSIGNAL, &name, sizeof(name));
}

static void send_and_connect(void)
{
    send(STDIN_FILENO, "x", 1, MSG_NOSIGNAL | MSG_FASTOPEN);
}

/* Only what children get may be said of memory. */
static void advise(void)
{
    madvise(NULL, 0, MADV_MERGEABLE);
}

static void do_what_is_allowed(void)
{
    send(STDIN_FILENO, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(STDIN_FILENO, SHUT_WR);
    madvise(NULL, 0, MADV_DONTFORK);
    madvise(NULL, 0, MADV_DOFORK);
}

static bool is_violation(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

/* libcheck reports to a file: what a process under the filter finds out is its exit status. */
static int try_all(void)
{
    static void (*const forbidden[])(
        void) = { open_file,    make_socket,      signal_parent, shut,  send_to_somebody,
                  shut_reading, send_and_connect, receive,       advise };
    oldest_frame = __builtin_frame_address(0);
    enter(false);
    if (strstr(missing, "seccomp") != NULL || end_of(do_nothing) != 0 ||
        end_of(do_what_is_allowed) != 0)
        return 1;
    if (is_left_to_child())
        return 6;
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        if (!is_violation(end_of(forbidden[i])))
            return 10 + (int)i;
    /* The number that lets the parent through is not there any more. */
    if (WTERMSIG(end_of(signal_parent_as_keeper)) != SIGSEGV ||
        WTERMSIG(end_of(fork_as_keeper)) != SIGSEGV ||
        WTERMSIG(end_of(shut_as_keeper)) != SIGSEGV ||
        WTERMSIG(end_of(receive_as_keeper)) != SIGSEGV)
        return 2;
    if (confine_shut(-1) == 0 || errno != EBADF ||
        confine_receive(-1, &(struct msghdr){ 0 }, 0) == 0 || errno != EBADF)
        return 5;
    pid_t child = confine_fork(SIGCHLD);
    if (child == 0)
        wait_for_end();
    if (confine_kill(child, 0) < 0 || confine_queue(child, SIGRTMIN, 7) < 0 ||
        WTERMSIG(status_of(child)) != SIGRTMIN)
        return 3;
    return confine_kill(child, SIGTERM) < 0 && errno == ESRCH ? 0 : 4;
}

START_TEST(its_children_can_do_less_than_who_put_it_on)
{
    pid_t child = fork();
    if (child == 0)
        _exit(try_all());
    ck_assert_int_eq(status_of(child), 0);
}
END_TEST
#endif

START_TEST(off_is_no_sandbox_at_all)
{
    enter(true);
    ck_assert_str_eq(missing, "");
    ck_assert_int_eq(end_of(open_file), 0);
    ck_assert_int_eq(end_of(make_socket), 0);
    ck_assert_int_eq(end_of(do_nothing), 0);
    signal(SIGTERM, SIG_IGN);
    ck_assert_int_eq(end_of(signal_parent_as_keeper), 0);
}
END_TEST

START_TEST(each_has_a_number_of_its_own_and_nobody_can_change_it)
{
    struct confine_image images[2];
    for (int i = 0; i < 2; i++) {
        int fd = sandbox_make(false, &why);
        ck_assert_int_eq(pread(fd, &images[i], sizeof(images[i]), 0), sizeof(images[i]));
        ck_assert_int_lt(pwrite(fd, "x", 1, 0), 0);
        ck_assert_int_lt(ftruncate(fd, 1), 0);
        close(fd);
    }
    ck_assert_uint_ne(images[0].token, images[1].token);
    ck_assert_uint_gt(images[0].count, 50);
}
END_TEST

START_TEST(what_is_not_whole_is_not_put_on)
{
    struct confine_image image = { .count = 1 };
    int fds[] = { io_sealed_memfd("test", &image, sizeof(image)), io_sealed_memfd("test", "x", 1) };
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(confine(fds[i], missing, sizeof(missing), &why), -1);
        ck_assert_str_eq(why.text, "the sandbox is not whole");
        close(fds[i]);
    }
    ck_assert_int_eq(confine(-1, missing, sizeof(missing), &why), -1);
    ck_assert_int_eq(end_of(make_socket), 0);
}
END_TEST

START_TEST(an_old_landlock_is_told_from_a_whole_one)
{
    ck_assert_str_eq(confine_landlock_lacks(1), "landlock of truncation and ports");
    ck_assert_str_eq(confine_landlock_lacks(2), "landlock of truncation and ports");
    ck_assert_str_eq(confine_landlock_lacks(3), "landlock of ports");
    for (long version = 4; version < 10; version++)
        ck_assert_ptr_null(confine_landlock_lacks(version));
}
END_TEST

START_TEST(a_call_has_a_name_or_its_number)
{
    char text[48];
    ck_assert_str_eq(sandbox_call(SYS_openat + 1, text, sizeof(text)), "openat");
    ck_assert_str_eq(sandbox_call(1000001, text, sizeof(text)), "system call 1000000");
    ck_assert_str_eq(sandbox_call(UINT32_MAX, text, sizeof(text)), "system call -2");
    ck_assert_str_eq(sandbox_call(INT32_MAX + 1U, text, sizeof(text)), "system call 2147483647");
}
END_TEST

TCase *sandbox_cases(void)
{
    TCase *cases = tcase_create("sandbox");
#ifndef WITH_SANITIZERS
    tcase_add_test(cases, its_children_can_do_less_than_who_put_it_on);
#endif
    tcase_add_test(cases, off_is_no_sandbox_at_all);
    tcase_add_test(cases, each_has_a_number_of_its_own_and_nobody_can_change_it);
    tcase_add_test(cases, what_is_not_whole_is_not_put_on);
    tcase_add_test(cases, an_old_landlock_is_told_from_a_whole_one);
    tcase_add_test(cases, a_call_has_a_name_or_its_number);
    return cases;
}
