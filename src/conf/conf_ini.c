#include "conf/conf_ini.h"

#include <errno.h>
#include <iniparser/iniparser.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/title.h"

enum { AGREED, DIFFERENT, UNREADABLE };

enum { LIMIT_MS = 5000 };

static bool complained;

/* The library's complaints hold raw text of the file, and ours are better. */
static int complain(const char *format, ...)
{
    (void)format;
    complained = true;
    return 0;
}

static bool holds(const dictionary *found, const struct setting *setting)
{
    char name[2 * SCAN_NAME_MAX + 2];
    const struct conf_place *place = &setting->place;

    if (!place->key)
        return iniparser_find_entry(found, place->section);
    snprintf(name, sizeof(name), "%s:%s", place->section, place->key);
    const char *value = iniparser_getstring(found, name, NULL);
    return value && !strcmp(value, setting->value);
}

/* The reading process's exit status. */
static int compare(int fd, const struct scan *scan)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    iniparser_set_error_callback(complain);
    const dictionary *found = iniparser_load(path);
    if (!found || complained)
        return UNREADABLE;
    for (size_t i = 0; i < scan->count; i++)
        if (!holds(found, &scan->settings[i]))
            return DIFFERENT;
    return (size_t)found->n == scan->count ? AGREED : DIFFERENT;
}

/* A reader that somebody has stopped holds up a reload for no longer than this. */
static void end_late(pid_t reader)
{
    struct pollfd end = { .fd = pidfd_open(reader, 0), .events = POLLIN };
    if (end.fd < 0)
        return;
    if (poll(&end, 1, LIMIT_MS) == 0)
        kill(reader, SIGKILL);
    close(end.fd);
}

/* AGREED, DIFFERENT or UNREADABLE, or -errno. */
static int compare_apart(int fd, const struct scan *scan)
{
    int status;
    pid_t reader = fork();

    if (reader < 0)
        return -errno;
    if (reader == 0) {
        title_set("forkechod: reads the configuration");
        _exit(compare(fd, scan));
    }
    end_late(reader);
    while (waitpid(reader, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : UNREADABLE;
}

void conf_ini_confirm(struct findings *findings, const struct scan *scan)
{
    struct conf_place place = { .file = scan->file.path };

    if (!scan->count || !scan->file.path) /* nothing in it, or no file but -o */
        return;
    place.source = scan->settings->place.source;
    int fd = io_sealed_memfd("forkechod.conf", scan->file.bytes, scan->file.size);
    int result = fd < 0 ? fd : compare_apart(fd, scan);
    if (fd >= 0)
        close(fd);
    if (result < 0)
        findings_error(findings, &place, "cannot be read a second time: %s", strerror(-result));
    else if (result == DIFFERENT)
        findings_error(findings, &place,
                       "is not what the INI library reads in it (out of memory, "
                       "or an unusual file)");
    else if (result != AGREED)
        findings_error(findings, &place,
                       "cannot be read by the INI library (out of memory or "
                       "descriptors, no /proc, or no answer in %d s)",
                       LIMIT_MS / 1000);
}
