/* systemd.h in a build without systemd: nobody passes sockets, nobody is notified. */
#include "sys/systemd.h"

int systemd_adopt(struct systemd_socket **sockets, struct failure *why)
{
    (void)why;
    *sockets = NULL;
    return 0;
}

size_t systemd_descriptors(int *out, size_t size)
{
    (void)out;
    (void)size;
    return 0;
}

void systemd_leave(void)
{
}

void systemd_stay(void)
{
}

bool systemd_is_manager(void)
{
    return false;
}

uint64_t systemd_watchdog_period(void)
{
    return 0;
}

void systemd_ready(const char *status)
{
    (void)status;
}

void systemd_reloading(void)
{
}

void systemd_stopping(const char *status)
{
    (void)status;
}

void systemd_status(const char *status)
{
    (void)status;
}

void systemd_extend(uint64_t milliseconds)
{
    (void)milliseconds;
}

void systemd_watchdog(void)
{
}

void systemd_store(int fd, const struct address *address)
{
    (void)fd;
    (void)address;
}

void systemd_unstore(const struct address *address)
{
    (void)address;
}
