#include "client/wait.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/clock.h"

static volatile sig_atomic_t came[NSIG];
static sigset_t open_mask; /* the mask while waiting */
static bool recording;

static void record(int signal)
{
    came[signal] = 1;
}

void wait_record(const int *signals)
{
    struct sigaction action = { .sa_handler = record };
    sigset_t blocked;

    sigemptyset(&action.sa_mask);
    sigemptyset(&blocked);
    for (; *signals; signals++) {
        sigaddset(&blocked, *signals);
        sigaction(*signals, &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &blocked, &open_mask);
    recording = true;
}

bool wait_taken(int signal)
{
    bool taken = came[signal];

    came[signal] = 0;
    return taken;
}

bool wait_interrupted(void)
{
    return came[SIGINT];
}

int wait_for(struct pollfd *fds, nfds_t count, uint64_t deadline_us)
{
    struct timespec left = { 0 };
    uint64_t now = clock_us();

    if (deadline_us > now) {
        left.tv_sec = (time_t)((deadline_us - now) / 1000000);
        left.tv_nsec = (long)((deadline_us - now) % 1000000 * 1000);
    }
    int ready = ppoll(fds, count, deadline_us ? &left : NULL, recording ? &open_mask : NULL);
    return ready < 0 ? -errno : ready;
}

uint64_t wait_deadline(uint64_t timeout_us)
{
    return timeout_us ? clock_us() + timeout_us : 0;
}
