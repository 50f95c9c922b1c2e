#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { KEEP_MAX = 512 };

ssize_t io_read_full(int fd, void *buffer, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t count = read(fd, (char *)buffer + have, size - have);
        if (count == 0)
            break;
        if (count > 0)
            have += (size_t)count;
        else if (errno != EINTR)
            return -errno;
    }
    return (ssize_t)have;
}

int io_write_full(int fd, const void *buffer, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t count = write(fd, (const char *)buffer + done, size - done);
        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int io_repair_standard(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The lowest free number is `fd` itself, and it has to survive an execve(2). */
        if (open("/dev/null", O_RDWR) < 0)
            return -errno;
    }
    return 0;
}

int io_null_standard(void)
{
    int result = io_repair_standard();
    if (result < 0)
        return result;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(null, fd) < 0)
            result = -errno;
    close(null);
    return result;
}

static int compare_descriptors(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
}

/* For kernels before 5.9, and for sandboxes that do not know the call. */
static void close_by_walk(const int *sorted, size_t count)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;

    if (!directory) {
        struct rlimit limit = { .rlim_cur = 1024 };
        getrlimit(RLIMIT_NOFILE, &limit);
        for (int fd = 3; (rlim_t)fd < limit.rlim_cur && fd < 65536; fd++)
            if (!bsearch(&fd, sorted, count, sizeof fd, compare_descriptors))
                close(fd);
        return;
    }
    while ((entry = readdir(directory))) {
        int fd = (int)strtol(entry->d_name, NULL, 10); /* 0: `.` and `..` */
        if (fd > 2 && fd != dirfd(directory) &&
            !bsearch(&fd, sorted, count, sizeof fd, compare_descriptors))
            close(fd);
    }
    closedir(directory);
}

void io_close_all_but(const int *keep, size_t count)
{
    int sorted[KEEP_MAX];
    unsigned int next = 3;

    if (count > KEEP_MAX)
        abort(); /* would close what the caller needs */
    if (count) {
        memcpy(sorted, keep, count * sizeof *keep);
        qsort(sorted, count, sizeof *sorted, compare_descriptors);
    }
    for (size_t i = 0; i <= count; i++) {
        unsigned int end = i < count ? (unsigned int)(sorted[i] < 3 ? 3 : sorted[i]) : UINT_MAX;
        if (end > next && close_range(next, i < count ? end - 1 : end, 0) < 0) {
            close_by_walk(sorted, count);
            return;
        }
        if (i < count && sorted[i] >= 3)
            next = end + 1;
    }
}

int io_sealed_memfd(const char *name, const void *bytes, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int result = io_write_full(fd, bytes, size);
    if (!result &&
        (lseek(fd, 0, SEEK_SET) < 0 ||
         fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0))
        result = -errno;
    if (result < 0) {
        close(fd);
        return result;
    }
    return fd;
}
