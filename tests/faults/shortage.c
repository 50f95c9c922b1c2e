/*
 * Linked into both of the daemon's programs for the fault tests: one allocation fails.
 *
 * Which one says a file of the test, /dev/shm/forkechod-shortage-SESSION (getsid(2), as in gate.c):
 * one long, which all processes of the session count down together; the one that counts it to 0
 * gets no memory. The test writes it when counting is to begin. Without the file none fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"

static _Atomic long *countdown;

bool shortage_hits(void)
{
    if (countdown == NULL || atomic_load(countdown) <= 0 || atomic_fetch_sub(countdown, 1) != 1)
        return false;
    errno = ENOMEM;
    return true;
}

/* After that of gate.c: the test makes the file while the process is at the gate. */
__attribute__((constructor(65535))) static void find_countdown(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/dev/shm/forkechod-shortage-%d", (int)getsid(0));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        countdown = map;
}
