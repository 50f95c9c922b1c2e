#include "base/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(struct signals *signals, const int *numbers, size_t count)
{
    sigemptyset(&signals->set);
    for (size_t i = 0; i < count; i++) {
        signal(numbers[i], SIG_DFL);
        sigaddset(&signals->set, numbers[i]);
    }
    if (sigprocmask(SIG_SETMASK, &signals->set, NULL) < 0)
        return -errno;
    signals->fd = signalfd(-1, &signals->set, SFD_NONBLOCK | SFD_CLOEXEC);
    return signals->fd < 0 ? -errno : 0;
}

int signals_next(const struct signals *signals, pid_t *process)
{
    static const struct timespec at_once;
    siginfo_t info;
    int number = sigtimedwait(&signals->set, &info, &at_once);
    if (number <= 0)
        return 0;
    *process = info.si_pid;
    return number;
}

void signals_ignore(const int *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        signal(numbers[i], SIG_IGN);
}
