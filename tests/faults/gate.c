/*
 * Linked into both of the daemon's programs for the fault tests: a gate, at which each process
 * waits until the test has attached strace to it.
 *
 * The gate is the abstract Unix socket "forkechod-gate-SESSION", after the process's session
 * (getsid(2)): the listener, whose environment the master makes, finds it too. A process connects,
 * says who it is in one byte, and goes on when it gets one: 'm' is the master before its main, 'c'
 * a child that it forked, 's' one of a listener. Without a gate nobody waits.
 */
#include "faults.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

extern pid_t __real_fork(void);
extern pid_t __wrap_fork(void);
extern pid_t __real__Fork(void);
extern pid_t __wrap__Fork(void);
extern long __real_syscall(long number, ...);
extern long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

bool gate_pass(char who)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int before = errno;
    int length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "forkechod-gate-%d",
                          (int)getsid(0));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    bool open = connect(fd, (const struct sockaddr *)&address, size) == 0 &&
                write(fd, &who, 1) == 1 && read(fd, &who, 1) == 1;
    close(fd);
    errno = before;
    return open;
}

pid_t __wrap_fork(void)
{
    pid_t pid = __real_fork();
    if (pid == 0)
        gate_pass('c');
    return pid;
}

pid_t __wrap__Fork(void)
{
    pid_t pid = __real__Fork();
    if (pid == 0)
        gate_pass('s');
    return pid;
}

/* The same without glibc's function. */
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    long result = __real_syscall(number, a, b, c, d, e, f);
    if (number == SYS_clone && result == 0)
        gate_pass('s');
    return result;
}

/* The gate has the name of a session that begins with this process: it may not be there yet. */
__attribute__((constructor(1000))) static void wait_for_gate(void)
{
    if (getenv("FORKECHOD_GATE") == NULL)
        return;
    while (!gate_pass('m'))
        poll(NULL, 0, 1);
}
