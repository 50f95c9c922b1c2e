#include "sys/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "sys/explain.h"
#include "sys/lockfile.h"

/* The holder has perhaps not written its number yet; then the text does without. */
static int tell_holder(const char *path, struct failure *why)
{
    char text[16] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd >= 0) {
        ssize_t size = read(fd, text, sizeof text - 1);
        text[size > 0 ? size : 0] = '\0';
        close(fd);
    }
    text[strspn(text, "0123456789")] = '\0';
    errno = EAGAIN;
    return failure_set(why, EX_OSERR, "another forkechod runs: process %s holds %s (stop it first)",
                       *text ? text : "unknown", path);
}

static int refuse(const char *path, int error, struct failure *why)
{
    static const struct {
        int error;
        const char *hint;
    } hints[] = {
        { ENOENT, "its directory has to exist; or set pid_file" },
        { ENOTDIR, "set pid_file to a path below a directory" },
        { EACCES, "its directory has to be writable for the daemon; or set pid_file" },
        { EROFS, "set pid_file to a path in /run" },
        { ELOOP, "it is a symbolic link, which is not followed: remove it" },
        { EEXIST, "it is not a regular file with one name: remove it" },
    };
    const char *hint = NULL;

    if (error == EAGAIN)
        return tell_holder(path, why);
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (hints[i].error == error)
            hint = hints[i].hint;
    return explain(why, error, hint, "cannot take the pid file %s", path);
}

/* In this order a reader never finds the file empty, and finds the whole number in its first line.
 */
static int write_number(int fd, const char *text)
{
    size_t size = strlen(text);
    ssize_t written = pwrite(fd, text, size, 0);

    if (written < 0)
        return -errno;
    if (written < (ssize_t)size)
        return -ENOSPC;
    return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

int pidfile_open(const char *path, struct failure *why)
{
    char text[16];

    snprintf(text, sizeof text, "%d\n", getpid());
    int fd = lockfile_create(path, 0644, text);
    if (fd >= 0)
        return fd;
    fd = lockfile_open(path, 0644);
    if (fd < 0)
        return refuse(path, -fd, why);
    int result = write_number(fd, text);
    if (!result)
        return fd;
    lockfile_close(path, fd);
    return refuse(path, -result, why);
}

int pidfile_close(const char *path, int fd)
{
    return fd < 0 ? 0 : lockfile_close(path, fd);
}
