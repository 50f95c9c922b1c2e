/*
 * A handler that somebody has taken over, for tests: in a listener linked with this file, `discard`
 * waits for a word and then does what it stands for. Should that work, it says `done`.
 *
 * SIGNAL and those that follow it make whatever process gets them, listener or session, commit one
 * of `by_signal`.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/handlers.h"

#define SIGNAL (SIGRTMIN + 5)

enum { CLIENT = 3, PAGE = 4096, DESCRIPTORS = 64, NOBODYS_PORT = 1 };

/* Where nobody listens. */
static struct sockaddr_in away(void)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(NOBODYS_PORT),
                                 .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static long rests(void)
{
    return 0;
}

static long opens(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long opens_folder(void)
{
    return open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
}

static long creates(void)
{
    return open("/tmp/forkechod-violation", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static long removes(void)
{
    return unlink("/tmp/forkechod-violation");
}

static long makes_memory_file(void)
{
    return memfd_create("violation", MFD_CLOEXEC);
}

static long changes_mode(void)
{
    return chmod("/", 0777);
}

static long makes_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long makes_pair(void)
{
    int pair[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

static long connects(void)
{
    const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
    return connect(CLIENT, &nobody, sizeof(nobody));
}

/* The listening socket of a listener or of a pool's process; -1: this one has none. */
static int port(void)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } name;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        socklen_t size = sizeof(name), peer_size = 0;
        if (getsockname(fd, &name.any, &size) == 0 && name.any.sa_family == AF_INET &&
            getpeername(fd, &name.any, &peer_size) < 0)
            return fd;
    }
    return -1;
}

static long send_away(int flags)
{
    const struct sockaddr_in to = away();
    return sendto(port(), "x", 1, flags, (const struct sockaddr *)&to, sizeof(to));
}

static long shuts_port(void)
{
    return shutdown(port(), SHUT_RD);
}

static long shuts_port_wholly(void)
{
    return shutdown(port(), SHUT_RDWR);
}

static long guesses_shutting(void)
{
    return syscall(SYS_shutdown, port(), SHUT_RDWR, 0, 0, 0, 1234567890123UL);
}

/* A listening socket can, once it is shut. */
static long connects_at_once(void)
{
    long result = send_away(MSG_FASTOPEN);
    if (result < 0 && shuts_port() == 0)
        result = send_away(MSG_FASTOPEN);
    return result;
}

static long sends_elsewhere(void)
{
    return send_away(MSG_DONTWAIT | MSG_NOSIGNAL);
}

static long sends_urgently(void)
{
    return send(CLIENT, "x", 1, MSG_OOB);
}

static long passes_message(void)
{
    char byte = 'x';
    struct iovec part = { &byte, 1 };
    const struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    return sendmsg(CLIENT, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static long receives_descriptor(void)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
    };
    if (recvmsg(CLIENT, &message, 0) < 0 || CMSG_FIRSTHDR(&message) == NULL)
        return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

static long connects_newly(void)
{
    const struct sockaddr_in to = away();
    return connect((int)makes_socket(), (const struct sockaddr *)&to, sizeof(to));
}

static long binds_newly(void)
{
    const struct sockaddr_in here = { .sin_family = AF_INET };
    return bind((int)makes_socket(), (const struct sockaddr *)&here, sizeof(here));
}

static long binds(void)
{
    const struct sockaddr_un name = { .sun_family = AF_UNIX };
    return bind(CLIENT, (const struct sockaddr *)&name, sizeof(sa_family_t));
}

static long listens(void)
{
    return listen(CLIENT, 1);
}

static long picks_interface(void)
{
    return setsockopt(CLIENT, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
}

static long lists_interfaces(void)
{
    struct ifconf list = { 0 };
    return ioctl(CLIENT, SIOCGIFCONF, &list);
}

static long executes(void)
{
    return execl("/bin/true", "true", NULL);
}

static long forks(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : waitpid(pid, NULL, 0);
}

static long clones(void)
{
    return syscall(SYS_clone, CLONE_VM | CLONE_FILES | SIGCHLD, 0, NULL, NULL, 0);
}

static long clones_newly(void)
{
    return syscall(SYS_clone3, NULL, 0);
}

static void *nothing(void *context)
{
    return context;
}

static long starts_thread(void)
{
    pthread_t thread;
    return -pthread_create(&thread, NULL, nothing, NULL);
}

static long kills(void)
{
    return kill(getppid(), SIGKILL);
}

static long guesses(void)
{
    return syscall(SYS_kill, getppid(), SIGKILL, 0, 0, 0, 1234567890123UL);
}

static long queues(void)
{
    union sigval value = { 0 };
    return sigqueue(getppid(), SIGKILL, value);
}

static long kills_thread(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), SIGKILL);
}

static long aims_descriptor(void)
{
    return fcntl(CLIENT, F_SETOWN, getppid());
}

static long opens_process(void)
{
    return syscall(SYS_pidfd_open, getppid(), 0);
}

static long traces(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long reads_memory(void)
{
    char byte;
    struct iovec part = { &byte, 1 };
    return process_vm_readv(getppid(), &part, 1, &part, 1, 0);
}

static long maps_code(void)
{
    return mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? -1
               : 0;
}

static long makes_code(void)
{
    static char page[2 * PAGE];
    return mprotect((void *)(((uintptr_t)page + PAGE - 1) & ~(uintptr_t)(PAGE - 1)), PAGE,
                    PROT_READ | PROT_EXEC);
}

static long becomes_root(void)
{
    return setuid(0);
}

static long becomes_group(void)
{
    return setgid(0);
}

static long limits_listener(void)
{
    const struct rlimit limit = { 0, 0 };
    return prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL);
}

static long mounts(void)
{
    return mount("none", "/tmp", "tmpfs", 0, NULL);
}

static long leaves_root(void)
{
    return chroot("/tmp");
}

static long unshares(void)
{
    return unshare(CLONE_NEWUSER);
}

static long loads_filter(void)
{
    return syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0);
}

static long makes_ring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL);
}

static long asks_keys(void)
{
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0);
}

static long measures(void)
{
    return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static long handles_faults(void)
{
    return syscall(SYS_userfaultfd, 0);
}

static long names_itself(void)
{
    return prctl(PR_SET_NAME, "violation");
}

static long becomes_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1);
}

static long renames_machine(void)
{
    return sethostname("violation", 9);
}

static long reboots(void)
{
    return reboot(-1);
}

static long sets_clock(void)
{
    return syscall(SYS_clock_settime, CLOCK_REALTIME, NULL);
}

static long aborts(void)
{
    abort();
}

static long blocks_signal(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return makes_socket();
}

/* getpid(2) as a program of another architecture makes it. */
static long speaks_foreign(void)
{
#if defined(__x86_64__)
    long result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return result;
#else
    return blocks_signal();
#endif
}

static const struct {
    const char *word;
    long (*act)(void);
} acts[] = {
#define ACT(name)                                                                                  \
    {                                                                                              \
#name, name                                                                                \
    }
    ACT(rests),
    ACT(opens),
    ACT(opens_folder),
    ACT(creates),
    ACT(removes),
    ACT(changes_mode),
    ACT(makes_socket),
    ACT(makes_pair),
    ACT(connects),
    ACT(connects_newly),
    ACT(connects_at_once),
    ACT(sends_elsewhere),
    ACT(sends_urgently),
    ACT(passes_message),
    ACT(receives_descriptor),
    ACT(shuts_port),
    ACT(shuts_port_wholly),
    ACT(guesses_shutting),
    ACT(binds_newly),
    ACT(binds),
    ACT(listens),
    ACT(picks_interface),
    ACT(lists_interfaces),
    ACT(executes),
    ACT(forks),
    ACT(starts_thread),
    ACT(kills),
    ACT(guesses),
    ACT(queues),
    ACT(kills_thread),
    ACT(aims_descriptor),
    ACT(opens_process),
    ACT(traces),
    ACT(reads_memory),
    ACT(maps_code),
    ACT(makes_code),
    ACT(becomes_root),
    ACT(becomes_group),
    ACT(limits_listener),
    ACT(mounts),
    ACT(leaves_root),
    ACT(unshares),
    ACT(loads_filter),
    ACT(makes_ring),
    ACT(asks_keys),
    ACT(measures),
    ACT(handles_faults),
    ACT(names_itself),
    ACT(becomes_dumpable),
    ACT(renames_machine),
    ACT(reboots),
    ACT(sets_clock),
    ACT(aborts),
    ACT(blocks_signal),
    ACT(speaks_foreign),
    ACT(makes_memory_file),
    ACT(clones),
    ACT(clones_newly),
};

enum session_end discard_serve(struct stream *stream, const struct manners *manners)
{
    char word[64] = "", answer[64];

    (void)manners;
    stream_read(stream, word, sizeof(word) - 1);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (strcmp(word, acts[i].word) == 0) {
            long result = acts[i].act();
            int error = result < 0 ? errno : 0;
            int length = snprintf(answer, sizeof(answer), "done %ld %d", result, error);
            stream_write(stream, answer, (size_t)length);
            return SESSION_COMPLETE;
        }
    return SESSION_SYSTEM;
}

static long (*const by_signal[])(void) = { makes_socket, connects_at_once, shuts_port };

static void act_on_signal(int number)
{
    by_signal[number - SIGNAL]();
}

__attribute__((constructor)) static void wait_for_signals(void)
{
    for (size_t i = 0; i < sizeof(by_signal) / sizeof(by_signal[0]); i++)
        signal(SIGNAL + (int)i, act_on_signal);
}
