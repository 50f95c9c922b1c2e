#include "sys/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "sys/confine.h"
#include "sys/explain.h"

enum { CHECKS_MAX = 2, TOKEN_ARGUMENT = 5 };

/* (argument & mask) == value. An int counts with its 32 bits. */
struct check {
    unsigned int argument;
    uint64_t mask, value;
};

/* A call that may be made if all checks hold; more than one line for a call: if those of one do. */
struct rule {
    int call;
    struct check checks[CHECKS_MAX];
};

#define ANY(name)                                                                                  \
    {                                                                                              \
        .call = SCMP_SYS(name)                                                                     \
    }
#define IF(name, ...)                                                                              \
    {                                                                                              \
        .call = SCMP_SYS(name), .checks = { __VA_ARGS__ }                                          \
    }
#define IS(argument, value)                                                                        \
    {                                                                                              \
        argument, UINT32_MAX, (uint32_t)(value)                                                    \
    }
#define NOTHING_BUT(argument, bits)                                                                \
    {                                                                                              \
        argument, (uint32_t) ~(uint32_t)(bits), 0                                                  \
    }
#define OPTION(call, level, name) IF(call, IS(1, level), IS(2, name))
#define MEMORY_FOR_DATA                                                                            \
    NOTHING_BUT(2, PROT_READ | PROT_WRITE),                                                        \
    {                                                                                              \
        3, MAP_ANONYMOUS, MAP_ANONYMOUS                                                            \
    }

/* All that serving takes, by what it is for. What no source calls by its name says
 * whose it is: tests/checks/sandbox.sh. */
static const struct rule serving[] = {
    /* Clients and their bytes. There is no socket(2) to get another socket by. */
    IF(accept4, NOTHING_BUT(3, SOCK_CLOEXEC | SOCK_NONBLOCK)),
    ANY(read),
    ANY(write),
    ANY(writev),   /* the C library's last words */
    ANY(recvfrom), /* recv(2) */
    /* Who holds a listening socket must not turn it into one that connects (MSG_FASTOPEN). */
    IF(sendto, NOTHING_BUT(3, MSG_DONTWAIT | MSG_NOSIGNAL), { 4, ULONG_MAX, 0 }), /* send(2) */
    ANY(splice),
    IF(pipe2, NOTHING_BUT(1, O_CLOEXEC | O_NONBLOCK)),
    IF(shutdown, IS(1, SHUT_WR)), /* which does nothing to a listening socket */
    ANY(getsockname),
    ANY(getpeername),
    IF(ioctl, IS(1, SIOCOUTQ)),
    IF(ioctl, IS(1, SIOCGIFNAME)), /* the name in fe80::1%eth0 */
    OPTION(getsockopt, SOL_SOCKET, SO_DOMAIN),
    OPTION(getsockopt, SOL_SOCKET, SO_SNDTIMEO),
    OPTION(getsockopt, SOL_SOCKET, SO_RCVTIMEO),
    OPTION(getsockopt, IPPROTO_TCP, TCP_INFO),
    OPTION(setsockopt, SOL_SOCKET, SO_KEEPALIVE),
    OPTION(setsockopt, SOL_SOCKET, SO_RCVTIMEO),
    OPTION(setsockopt, SOL_SOCKET, SO_SNDTIMEO),
    OPTION(setsockopt, IPPROTO_TCP, TCP_NODELAY),
    OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPIDLE),
    OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPINTVL),
    OPTION(setsockopt, IPPROTO_TCP, TCP_KEEPCNT),
    OPTION(setsockopt, IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(setsockopt, IPPROTO_TCP, TCP_DEFER_ACCEPT),

    /* Descriptors that are there already. */
    ANY(close),
    ANY(close_range),
    ANY(dup2),
    ANY(dup3), /* dup2(2) of newer machines */
    IF(fcntl, IS(1, F_GETFL)),
    IF(fcntl, IS(1, F_SETFL)),
    IF(fcntl64, IS(1, F_GETFL)),
    IF(fcntl64, IS(1, F_SETFL)),

    /* Waiting, and the time. */
    ANY(poll),
    ANY(ppoll),        /* poll(2) of newer machines */
    ANY(ppoll_time64), /* ...and of 32 bits */
    ANY(epoll_create1),
    ANY(epoll_ctl),
    ANY(epoll_wait),
    ANY(epoll_pwait), /* epoll_wait(2) of newer machines */
    ANY(clock_gettime),
    ANY(clock_gettime64), /* of 32 bits */
    ANY(time),
    IF(setitimer, IS(0, ITIMER_REAL)),
    ANY(restart_syscall), /* the kernel, after a stop */
    ANY(sched_yield),

    /* Signals that come, and a process's own end. */
    ANY(rt_sigaction), /* sigaction(2) */
    ANY(rt_sigprocmask),
    ANY(rt_sigreturn),           /* each handler's end */
    ANY(sigreturn),              /* ...of 32 bits */
    ANY(rt_sigtimedwait),        /* sigtimedwait(2) */
    ANY(rt_sigtimedwait_time64), /* ...of 32 bits */
    ANY(exit_group),             /* _exit(2) */
    ANY(waitid),
    ANY(getpid),
    ANY(gettid), /* abort(3) */
    ANY(getppid),
    ANY(getuid),
    ANY(sysinfo), /* qsort(3) of older C libraries, which looks how much memory there is */
    IF(prlimit64, IS(0, 0)), /* setrlimit(2): its own, which it can only lower */

    /* Memory for data. */
    ANY(brk), /* malloc(3) */
    ANY(munmap),
    IF(mmap, MEMORY_FOR_DATA),
    IF(mmap2, MEMORY_FOR_DATA),                 /* 32 bits */
    IF(mremap, NOTHING_BUT(3, MREMAP_MAYMOVE)), /* realloc(3) */
    IF(madvise, IS(2, MADV_DONTFORK)),          /* what children get: sessions have none */
    IF(madvise, IS(2, MADV_DOFORK)),
    ANY(getrandom),
};

/* What only the keeper of the token may do (confine.h). */
static const struct rule keeping[] = {
#ifdef __s390__
    IF(clone, IS(0, 0), NOTHING_BUT(1, CSIGNAL)),
#else
    IF(clone, NOTHING_BUT(0, CSIGNAL), IS(1, 0)),
#endif
    ANY(kill),
    ANY(rt_sigqueueinfo),
    IF(shutdown, IS(1, SHUT_RDWR)),
    ANY(recvmsg), /* which can bring descriptors: unix(7), SCM_RIGHTS */
};

#ifdef WITH_SANITIZERS
const char sandbox_profile[] = "sanitizers";
enum { LOOSE = 1 };
/* They read /proc, start a thread that traces, and signal it. */
static const struct rule loose[] = {
    IF(openat, NOTHING_BUT(2, O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK)),
    IF(open, NOTHING_BUT(1, O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK)),
    ANY(readlink),
    ANY(readlinkat),
    ANY(fstat),
    ANY(newfstatat),
    ANY(stat),
    ANY(lseek),
    ANY(pread64),
    ANY(dup),
    ANY(getdents),
    ANY(getdents64),
    ANY(mmap),
    ANY(mprotect),
    ANY(madvise),
    ANY(mincore),
    ANY(futex),
    ANY(clone),
    ANY(ptrace),
    ANY(prctl),
    ANY(tgkill),
    ANY(tkill),
    ANY(wait4),
    ANY(exit),
    ANY(nanosleep),
    ANY(sigaltstack),
    ANY(sched_yield),
    ANY(sched_getaffinity),
    ANY(set_robust_list),
    ANY(process_vm_readv),
    ANY(personality),
    ANY(uname),
    ANY(pipe),
};
#else
const char sandbox_profile[] = "strict";
enum { LOOSE = 0 };
#endif

/* The lists, and whose calls need the token. */
static const struct {
    const struct rule *rules;
    size_t count;
    bool needs_token;
} lists[] = { { serving, sizeof(serving) / sizeof(*serving), false },
              { keeping, sizeof(keeping) / sizeof(*keeping), true },
#ifdef WITH_SANITIZERS
              { loose, sizeof(loose) / sizeof(*loose), false }
#endif
};

static struct scmp_arg_cmp comparison(const struct check *check)
{
    return (struct scmp_arg_cmp){ .arg = check->argument,
                                  .op = SCMP_CMP_MASKED_EQ,
                                  .datum_a = check->mask,
                                  .datum_b = check->value };
}

static int add(scmp_filter_ctx filter, const struct rule *rule, const struct check *also)
{
    struct scmp_arg_cmp all[CHECKS_MAX + 1];
    unsigned int count = 0;
    for (int i = 0; i < CHECKS_MAX; i++)
        if (rule->checks[i].mask != 0)
            all[count++] = comparison(&rule->checks[i]);
    if (also != NULL)
        all[count++] = comparison(also);
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, count, all);
}

/* Calls that fail without being a violation. */
static int add_refusals(scmp_filter_ctx filter)
{
    if (LOOSE) /* which allows them */
        return 0;
    /* abort(3) then dies of an instruction that crashes, which tells more than SIGSYS would. */
    int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, SIGABRT));
    /* Before Linux 5.9 io_close_all_but would like to list them, and can do without. */
    if (result == 0 && close_range(~0U, ~0U, 0) < 0 && errno == ENOSYS)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, O_DIRECTORY, O_DIRECTORY));
    return result;
}

static int fill(scmp_filter_ctx filter, unsigned long token)
{
    const struct check right = { TOKEN_ARGUMENT, ULONG_MAX, token };
    int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (result == 0) /* a search by halves: what is called most is not far behind */
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (size_t j = 0; j < lists[i].count && result == 0; j++)
            result = add(filter, &lists[i].rules[j], lists[i].needs_token ? &right : NULL);
    return result == 0 ? add_refusals(filter) : result;
}

/* The filter's instructions behind the header. Returns their number or -errno. */
static int compile(unsigned long token, struct sock_filter *out)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    int fd = memfd_create("forkechod-filter", MFD_CLOEXEC);
    int result = filter == NULL ? -ENOMEM : fd < 0 ? -errno : fill(filter, token);
    if (result == 0)
        result = seccomp_export_bpf(filter, fd);
    if (result == 0 && lseek(fd, 0, SEEK_SET) == 0) {
        ssize_t size = io_read_full(fd, out, BPF_MAXINSNS * sizeof(*out));
        result = size < 0 ? (int)size : (int)((size_t)size / sizeof(*out));
    }
    if (fd >= 0)
        close(fd);
    seccomp_release(filter);
    return result == 0 ? -EIO : result;
}

int sandbox_make(bool off, struct failure *why)
{
    struct {
        struct confine_image head;
        struct sock_filter program[BPF_MAXINSNS];
    } *image = calloc(1, sizeof(*image));
    int result = image == NULL ? -ENOMEM : 0;

    if (image != NULL && !off) {
        image->head.loose = LOOSE;
        result = getrandom(&image->head.token, sizeof(image->head.token), 0) < 0
                     ? -errno
                     : compile(image->head.token, image->program);
        image->head.count = result > 0 ? (uint32_t)result : 0;
    }
    if (result >= 0)
        result = io_sealed_memfd("forkechod-sandbox", image,
                                 sizeof(image->head) + image->head.count * sizeof(*image->program));
    free(image);
    return result < 0 ? explain(why, -result, NULL, "cannot make the sandbox") : result;
}

const char *sandbox_call(uint32_t call, char *text, size_t size)
{
    int number = (int)(call - 1);
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    if (name != NULL)
        snprintf(text, size, "%s", name);
    else
        snprintf(text, size, "system call %d", number);
    free(name);
    return text;
}
