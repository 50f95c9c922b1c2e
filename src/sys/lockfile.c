#include "sys/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 100 };

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_named(const char *path, const struct stat *locked)
{
    struct stat named;
    return !lstat(path, &named) && is_same(&named, locked);
}

/* A file that somebody linked here from elsewhere would be written to in the wrong place. */
static int check_kind(const struct stat *file)
{
    return S_ISREG(file->st_mode) && file->st_nlink <= 1 ? 0 : -EEXIST;
}

static int lock(int fd)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (!fcntl(fd, F_OFD_SETLK, &whole))
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

/* 1 with the file locked, 0 when it went away meanwhile and is to be tried again, or -errno. */
static int take(int fd, const char *path, mode_t mode)
{
    struct stat file;
    int result;

    if (fstat(fd, &file) < 0)
        return -errno;
    if ((result = check_kind(&file)) < 0 || (result = lock(fd)) < 0)
        return result;
    if (!is_named(path, &file)) /* its last holder removed it between our open and our lock */
        return 0;
    if ((file.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
        return -errno;
    return 1;
}

int lockfile_open(const char *path, mode_t mode)
{
    for (int i = 0; i < TRIES; i++) {
        /* Without O_NONBLOCK, a FIFO or a device at this place would keep us. */
        int fd =
            open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, mode);
        if (fd < 0)
            return errno == EISDIR || errno == ENXIO ? -EEXIST : -errno;
        int result = take(fd, path, mode);
        if (result > 0)
            return fd;
        close(fd);
        if (result < 0)
            return result;
    }
    return -EAGAIN;
}

/* A file without a name, in the directory of `path`. */
static int open_nameless(const char *path, mode_t mode)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char folder[PATH_MAX];

    if (length + sizeof "." > sizeof folder)
        return -ENAMETOOLONG;
    memcpy(folder, path, length);
    memcpy(folder + length, ".", sizeof ".");
    int fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

int lockfile_create(const char *path, mode_t mode, const char *text)
{
    char self[32];
    size_t size = strlen(text);
    int fd = open_nameless(path, mode), result;

    if (fd < 0)
        return fd;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if ((result = lock(fd)) == 0 &&
        (fchmod(fd, mode) < 0 || write(fd, text, size) != (ssize_t)size ||
         linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0))
        result = errno > 0 ? -errno : -EIO;
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

int lockfile_close(const char *path, int fd)
{
    struct stat locked, named;
    int result = 0;

    if (fstat(fd, &locked) < 0 || lstat(path, &named) < 0)
        result = errno == ENOENT ? 0 : -errno;
    else if (is_same(&locked, &named) && unlink(path) < 0)
        result = -errno;
    close(fd);
    return result;
}
