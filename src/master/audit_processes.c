#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/audit.h"

static const char *name_of(const struct look *look, const struct generation *generation)
{
    return look->master->services[generation->service]->name;
}

/* Without memory, nothing is looked for among the processes. */
void look_expect(struct look *look, pid_t pid, pid_t group)
{
    if (look->count == look->room) {
        size_t room = 2 * look->room + 256;
        struct member *more = reallocarray(look->members, room, sizeof(*more));
        if (more == NULL) {
            look->blind = true;
            return;
        }
        look->members = more;
        look->room = room;
    }
    look->members[look->count++] = (struct member){ .pid = pid, .group = group };
}

static int compare_members(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    return (left->pid > right->pid) - (left->pid < right->pid);
}

static struct member *find_member(const struct look *look, pid_t pid)
{
    const struct member wanted = { .pid = pid };
    if (look->count == 0)
        return NULL;
    return bsearch(&wanted, look->members, look->count, sizeof(wanted), compare_members);
}

/* The parent's number, or 0; proc(5): the name is in parentheses and may hold anything. */
static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[got < 0 ? 0 : got] = '\0';
    const char *rest = strrchr(text, ')'); /* `) S 123 …`: state and parent */
    return rest == NULL || strlen(rest) < 5 ? 0 : (pid_t)strtol(rest + 4, NULL, 10);
}

static void look_at_process(struct look *look, pid_t pid)
{
    const struct master *master = look->master;
    struct member *member = find_member(look, pid);
    pid_t group = getpgid(pid);

    if (member != NULL) {
        member->seen = true;
        return;
    }
    for (unsigned int i = 0; i < BOARD_BLOCKS; i++) {
        const struct generation *generation = &master->generations[i];
        if (generation->state == GENERATION_NONE || generation->pid != group)
            continue;
        if (look->nameless[i] > 0) {
            look->nameless[i]--;
            return;
        }
        look_find(look, "service %s: process %d is in the group of its listener %d, and in no slot",
                  name_of(look, generation), pid, group);
        return;
    }
    pid_t parent = group == master->upgrade.child ? 0 : parent_of(pid);
    if (parent == getpid() || (parent > 0 && find_member(look, parent) != NULL))
        look_find(look, "process %d is the daemon's, and in no group that it knows", pid);
}

void look_at_processes(struct look *look)
{
    const struct dirent *entry;
    DIR *folder = opendir("/proc");

    if (look->count > 0)
        qsort(look->members, look->count, sizeof(*look->members), compare_members);
    while (!look->blind && folder != NULL && (entry = readdir(folder)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && pid != getpid())
            look_at_process(look, pid);
    }
    if (folder != NULL)
        closedir(folder);
    for (size_t i = 0; i < look->count; i++)
        look->blind |=
            !look->members[i].seen && getpgid(look->members[i].pid) == look->members[i].group;
}
