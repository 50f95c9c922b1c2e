#include "sys/socketfile.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "sys/explain.h"
#include "sys/lockfile.h"

/* Which file was made for which socket: the kernel does not tell it from the socket. */
struct socketfile {
    struct socketfile *next;
    ino_t socket; /* of the socket itself (fstat(2) of the descriptor) */
    dev_t device;
    ino_t file;
};

static struct socketfile *files;

/* The file gets the mode that the socket has (fchmod(2) before bind), less the umask. */
static int bind_unmasked(int fd, const struct address *address)
{
    mode_t mask = umask(0);
    int result = bind(fd, &address->socket.any, address->length);
    int error = errno;

    umask(mask);
    errno = error;
    return result;
}

bool socketfile_is_one(const struct address *address)
{
    return address_is_unix(address) && address->socket.local.sun_path[0] == '/';
}

static int find_owner(const struct socket_settings *settings, uid_t *uid, gid_t *gid,
                      struct failure *why)
{
    const struct passwd *user = NULL;
    const struct group *group = NULL;

    if (*settings->socket_user && !(user = getpwnam(settings->socket_user)))
        return failure_set(why, EX_CONFIG, "socket_user %s: there is no such user",
                           settings->socket_user);
    if (*settings->socket_group && !(group = getgrnam(settings->socket_group)))
        return failure_set(why, EX_CONFIG, "socket_group %s: there is no such group",
                           settings->socket_group);
    *uid = user ? user->pw_uid : geteuid();
    *gid = group ? group->gr_gid : getegid();
    return 0;
}

/* Sets what differs, so that a file that is as it should be needs no right to change it. */
static int set_owner(const char *path, const struct socket_settings *settings, struct failure *why)
{
    struct stat file;
    uid_t uid = (uid_t)-1; /* which lchown(2) leaves as it is */
    gid_t gid = (gid_t)-1;

    if (find_owner(settings, &uid, &gid, why) < 0)
        return -1;
    if (lstat(path, &file) < 0)
        return explain(why, errno, NULL, "cannot look at %s", path);
    if ((file.st_uid == uid && file.st_gid == gid) || lchown(path, uid, gid) == 0)
        return 0;
    return explain(why, errno, "only root may give it to another user, or to a group it is not in",
                   "cannot set socket_user and socket_group of %s", path);
}

static int set_mode(const char *path, unsigned int wanted, struct failure *why)
{
    mode_t mode = wanted & 0777;
    struct stat file;

    if (lstat(path, &file) == 0 &&
        ((file.st_mode & 0777) == mode || fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) == 0))
        return 0;
    return explain(why, errno, NULL, "cannot set socket_mode of %s", path);
}

/* 0 when somebody listens at this address, ECONNREFUSED when it is stale, or another errno. */
static int probe(const struct address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int error = connect(fd, &address->socket.any, address->length) < 0 ? errno : 0;
    close(fd);
    return error == EAGAIN || error == EINPROGRESS ? 0 : error;
}

/* Makes room at the path, if nothing but a stale socket is there. */
static int clear_path(const struct address *address, struct failure *why)
{
    const char *path = address->socket.local.sun_path;
    struct stat file;

    if (lstat(path, &file) < 0)
        return errno == ENOENT ? 0 : explain(why, errno, NULL, "cannot listen on unix:%s", path);
    if (!S_ISSOCK(file.st_mode))
        return explain(why, EEXIST, "it is not a socket, and is left alone",
                       "cannot listen on unix:%s", path);
    int error = probe(address);
    if (error == 0)
        return explain(why, EADDRINUSE, "another program has it: see ss -lxp",
                       "cannot listen on unix:%s", path);
    if (error != ECONNREFUSED && error != ENOENT)
        return explain(why, error, "is it stale? then remove it",
                       "cannot try whether unix:%s lives", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return explain(why, errno, NULL, "cannot remove the stale socket unix:%s", path);
    return 0;
}

static const char *lock_hint(int error)
{
    if (error == ENOENT)
        return "its directory has to exist; RuntimeDirectory= of a unit makes one";
    if (error == EACCES)
        return "its directory has to let the daemon make files";
    return NULL;
}

static int lock_path(const char *lock, const char *path, struct failure *why)
{
    int fd = lockfile_open(lock, 0600);

    if (fd >= 0)
        return fd;
    if (fd == -EAGAIN)
        return explain(why, EADDRINUSE, "another daemon is setting it up at this moment",
                       "cannot listen on unix:%s", path);
    return explain(why, -fd, lock_hint(-fd), "cannot listen on unix:%s", path);
}

static int listen_locked(int fd, const struct address *address,
                         const struct socket_settings *settings, struct failure *why)
{
    const char *path = address->socket.local.sun_path;

    if (clear_path(address, why) < 0)
        return -1;
    if (fchmod(fd, settings->socket_mode & 0777) < 0 || bind_unmasked(fd, address) < 0)
        return explain(why, errno, NULL, "cannot listen on unix:%s", path);
    int result = socketfile_remember(fd, address);
    if (result < 0) {
        unlink(path); /* nobody else was here: the lock is held */
        return explain(why, -result, NULL, "cannot listen on unix:%s", path);
    }
    if (set_owner(path, settings, why) == 0) {
        if (listen(fd, (int)settings->backlog) == 0)
            return 0;
        explain(why, errno, NULL, "cannot listen on unix:%s", path);
    }
    int error = errno;
    socketfile_remove(fd, address);
    errno = error;
    return -1;
}

int socketfile_listen(int fd, const struct address *address, const struct socket_settings *settings,
                      struct failure *why)
{
    const char *path = address->socket.local.sun_path;
    char lock[sizeof address->socket.local.sun_path + sizeof ".lock"];
    uid_t uid;
    gid_t gid;

    /* Before anything is touched. */
    if (find_owner(settings, &uid, &gid, why) < 0)
        return -1;
    snprintf(lock, sizeof lock, "%s.lock", path);
    int held = lock_path(lock, path, why);
    if (held < 0)
        return -1;
    int result = listen_locked(fd, address, settings, why);
    int error = errno;
    lockfile_close(lock, held);
    errno = error;
    return result;
}

/* The place in the list that points at fd's entry, or at the end; NULL, with errno, where the
 * socket cannot be looked at. */
static struct socketfile **find(int fd)
{
    struct socketfile **place = &files;
    struct stat status;

    if (fstat(fd, &status) < 0)
        return NULL;
    while (*place && (*place)->socket != status.st_ino)
        place = &(*place)->next;
    return place;
}

/* 1, 0, or -errno where that cannot be known. */
static int is_ours(const struct socketfile *entry, const char *path)
{
    struct stat file;

    if (!entry)
        return 0;
    if (lstat(path, &file) < 0)
        return errno == ENOENT ? 0 : -errno;
    return S_ISSOCK(file.st_mode) && file.st_dev == entry->device && file.st_ino == entry->file;
}

int socketfile_remember(int fd, const struct address *address)
{
    struct socketfile **place = find(fd), *entry;
    struct stat socket, file;

    if (!place || fstat(fd, &socket) < 0 || lstat(address->socket.local.sun_path, &file) < 0)
        return -errno;
    if (!(entry = *place) && !(entry = *place = calloc(1, sizeof *entry)))
        return -ENOMEM;
    entry->socket = socket.st_ino;
    entry->device = file.st_dev;
    entry->file = file.st_ino;
    return 0;
}

int socketfile_adjust(int fd, const struct address *address, const struct socket_settings *settings,
                      struct failure *why)
{
    const char *path = address->socket.local.sun_path;
    struct socketfile **place = find(fd);

    if (!place || is_ours(*place, path) <= 0)
        return 0;
    return set_owner(path, settings, why) < 0 ? -1 : set_mode(path, settings->socket_mode, why);
}

int socketfile_remove(int fd, const struct address *address)
{
    struct socketfile **place = find(fd), *entry;

    if (!place)
        return -errno;
    entry = *place;
    int result = is_ours(entry, address->socket.local.sun_path);
    if (result > 0)
        result = unlink(address->socket.local.sun_path) < 0 ? -errno : 0;
    if (entry) {
        *place = entry->next;
        free(entry);
    }
    return result;
}
