#include "sys/confine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/private.h"
#include "sys/explain.h"

/* See confine.h. A page of its own, which children do not have. */
static const unsigned long nothing;
static const unsigned long *token = &nothing;

/* struct landlock_ruleset_attr of the newest kernel; older ones take it as long as what they do not
 * know is zero. */
struct ruleset {
    uint64_t files, ports, scopes;
};

/* What each version of Landlock's interface can forbid (landlock(7)). */
static const struct ruleset known[] = {
    [1] = { 0x1fff, 0, 0 }, /* each way to use a file */
    [2] = { 0x3fff, 0, 0 }, /* ...to move it */
    [3] = { 0x7fff, 0, 0 }, /* ...to cut it */
    [4] = { 0x7fff, 3, 0 }, /* bind(2) and connect(2) to TCP ports */
    [5] = { 0xffff, 3, 0 }, /* ioctl(2) on devices */
    [6] = { 0xffff, 3, 1 }, /* abstract Unix sockets. Signals can be too, but sessions of a listener
                               that died are not of this domain, and may have to be ended */
};

enum {
    KNOWN = sizeof(known) / sizeof(known[0]),
    RULESET_VERSION = 1,
    CUTTING = 0x4000,
    PAGE = 4096
};

/* What to ask of a kernel of this version; newer ones know all that is asked of the last. */
static const struct ruleset *ruleset_of(long version)
{
    return &known[version < KNOWN ? version : KNOWN - 1];
}

const char *confine_landlock_lacks(long version)
{
    const struct ruleset *all = ruleset_of(version);
    if (all->ports != 0)
        return NULL;
    return all->files & CUTTING ? "landlock of ports" : "landlock of truncation and ports";
}

/* Returns the version of what it has put on, or -1. */
static long landlock(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
    if (version < 1)
        return version < 0 ? -1 : (errno = ENOSYS, -1);
    const struct ruleset *all = ruleset_of(version);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, all, sizeof(*all), 0);
    if (ruleset < 0)
        return -1;
    long result = syscall(SYS_landlock_restrict_self, ruleset, 0);
    int error = errno;
    close(ruleset);
    errno = error;
    return result < 0 ? -1 : version;
}

/* prctl(2) does what seccomp(2) would, also under a unit's filter that does not list the latter. */
static int filter(const struct confine_image *image)
{
    struct sock_fprog program = { .len = (unsigned short)image->count,
                                  .filter = (struct sock_filter *)(void *)(image + 1) };
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void lacks(const char *part, const char *reason, char *missing, size_t size)
{
    size_t length = strlen(missing);
    snprintf(missing + length, size - length, "%s%s (%s)", length > 0 ? ", " : "", part, reason);
}

static void put_on_landlock(char *missing, size_t size)
{
    char reason[32];
    long version = landlock();
    if (version < 0) {
        lacks("landlock", strerrorname_np(errno), missing, size);
    } else if (confine_landlock_lacks(version) != NULL) {
        snprintf(reason, sizeof(reason), "version %ld", version);
        lacks(confine_landlock_lacks(version), reason, missing, size);
    }
}

static int keep_token(const struct confine_image *image, struct failure *why)
{
    unsigned long *page = private_new(PAGE);
    if (page == NULL)
        return explain(why, errno, NULL, "cannot keep the sandbox's token");
    madvise(page, PAGE, MADV_DONTDUMP);
    *page = image->token;
    token = page;
    return 0;
}

static int put_on(const struct confine_image *image, char *missing, size_t size,
                  struct failure *why)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return explain(why, errno, NULL, "cannot set no_new_privs");
    if (!image->loose) {
        prctl(PR_SET_DUMPABLE, 0);
        put_on_landlock(missing, size);
    }
    if (keep_token(image, why) < 0)
        return -1;
    if (filter(image) < 0) {
        if (errno == ENOMEM)
            return explain(why, errno, NULL, "cannot put on the sandbox");
        lacks("seccomp", strerrorname_np(errno), missing, size);
    }
    return 0;
}

int confine(int fd, char *missing, size_t size, struct failure *why)
{
    struct stat status;
    missing[0] = '\0';
    if (fstat(fd, &status) < 0)
        return explain(why, errno, NULL, "cannot read the sandbox");
    size_t length = (size_t)status.st_size;
    /* Mapped, not read: the token is to be nowhere in memory that children get. */
    struct confine_image *image = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (image == MAP_FAILED)
        return explain(why, errno, NULL, "cannot map the sandbox");
    int result = 0;
    if (length < sizeof(*image) || image->count > BPF_MAXINSNS ||
        length != sizeof(*image) + image->count * sizeof(struct sock_filter))
        result = failure_set(why, EX_SOFTWARE, "the sandbox is not whole");
    else if (image->count > 0)
        result = put_on(image, missing, size, why);
    munmap(image, length);
    return result;
}

__attribute__((hot)) static long take_places(long number, long a, long b, long c, long d, long e,
                                             unsigned long right)
{
    return number + a + b + c + d + e + (long)right;
}

/* By a pointer that might be any other, so that the arguments are really passed. */
static long (*volatile forget)(long number, long a, long b, long c, long d, long e,
                               unsigned long right) = take_places;

/* The child of a fork has what its parent had in registers and on the stack. There the token was
 * the last argument: other arguments take its places before anything else is done. */
__attribute__((hot, noinline)) static long call(long number, long a, long b, long c)
{
    long result = syscall(number, a, b, c, 0L, 0L, *token);
    forget(0, 0, 0, 0, 0, 0, 0);
    return result;
}

pid_t confine_fork(int end)
{
#ifdef __s390__
    return (pid_t)call(SYS_clone, 0, end, 0);
#else
    return (pid_t)call(SYS_clone, end, 0, 0);
#endif
}

int confine_kill(pid_t pid, int number)
{
    return (int)call(SYS_kill, pid, number, 0);
}

int confine_queue(pid_t pid, int number, int value)
{
    siginfo_t info = { .si_signo = number, .si_code = SI_QUEUE };
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = value;
    return (int)call(SYS_rt_sigqueueinfo, pid, number, (long)&info);
}

int confine_shut(int fd)
{
    return (int)call(SYS_shutdown, fd, SHUT_RDWR, 0);
}

ssize_t confine_receive(int fd, struct msghdr *message, int flags)
{
    return call(SYS_recvmsg, fd, (long)message, flags);
}
