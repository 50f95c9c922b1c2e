#include "master/heritage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "master/generation.h"

/* How the memfd itself, and the whole of what it says, are looked at. */

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static bool is_among_sockets(const struct heritage *heritage, int64_t fd)
{
    for (size_t i = 0; i < heritage->socket_count; i++)
        if (heritage->sockets[i].fd == fd)
            return true;
    return false;
}

size_t heritage_descriptors(const struct heritage *heritage, int *out)
{
    const struct heritage_process *process = &heritage->process;
    const int64_t own[] = { process->control, process->sessions, process->configuration,
                            process->pid_file, process->control_socket };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (own[i] >= 0)
            out[count++] = (int)own[i];
    for (size_t i = 0; i < heritage->socket_count; i++)
        if (heritage->sockets[i].fd >= 0)
            out[count++] = (int)heritage->sockets[i].fd;
    for (size_t i = 0; i < heritage->given_count; i++)
        if (!is_among_sockets(heritage, heritage->given[i].fd))
            out[count++] = (int)heritage->given[i].fd;
    for (size_t i = 0; i < heritage->generation_count; i++)
        if (heritage->generations[i].fd >= 0)
            out[count++] = (int)heritage->generations[i].fd;
    for (size_t i = 0; i < heritage->client_count; i++)
        out[count++] = (int)heritage->clients[i].fd;
    return count;
}

static int compare(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
}

static bool descriptors_are_single(const struct heritage *heritage)
{
    int *all = calloc(HERITAGE_DESCRIPTORS_MAX, sizeof(*all));
    if (all == NULL)
        return false;
    size_t count = heritage_descriptors(heritage, all);
    bool good = true;
    qsort(all, count, sizeof(*all), compare);
    for (size_t i = 0; i < count; i++)
        good = good && all[i] > STDERR_FILENO && (i == 0 || all[i] != all[i - 1]);
    free(all);
    return good;
}

static bool set_points(const struct heritage *heritage, const struct heritage_set *set)
{
    for (unsigned int i = 0; i < set->count; i++)
        if (set->index[i] >= heritage->socket_count)
            return false;
    return true;
}

static bool generations_fit(const struct heritage *heritage)
{
    bool used[BOARD_BLOCKS] = { false };
    for (size_t i = 0; i < heritage->generation_count; i++) {
        const struct heritage_generation *generation = &heritage->generations[i];
        if (used[generation->block] || generation->service >= (int64_t)heritage->service_count ||
            generation->number > heritage->process.last_number ||
            !set_points(heritage, &generation->sockets))
            return false;
        used[generation->block] = true;
    }
    return true;
}

/* Whether a living generation of this service is in that block. */
static bool is_generation_of(const struct heritage *heritage, int64_t block, size_t service)
{
    for (size_t i = 0; i < heritage->generation_count; i++) {
        const struct heritage_generation *generation = &heritage->generations[i];
        if (generation->block == block)
            return generation->service == (int64_t)service && generation->state != GENERATION_DEAD;
    }
    return false;
}

static bool services_fit(const struct heritage *heritage)
{
    for (size_t i = 0; i < heritage->service_count; i++) {
        const struct heritage_service *service = &heritage->services[i];
        if (service->name[0] == '\0' || !set_points(heritage, &service->sockets) ||
            (service->current >= 0 && !is_generation_of(heritage, service->current, i)))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(service->name, heritage->services[j].name) == 0)
                return false;
    }
    return true;
}

int heritage_check(const struct heritage *heritage, struct failure *why)
{
    if (descriptors_are_single(heritage) && generations_fit(heritage) && services_fit(heritage))
        return 0;
    return failure_set(why, EX_SOFTWARE, "the running program's state contradicts itself");
}

int heritage_descriptor(void)
{
    const char *text = getenv(HERITAGE_VARIABLE), *hint;
    uint64_t fd;
    if (text == NULL || text_parse_count(text, STDERR_FILENO + 1, INT_MAX, &fd, &hint) < 0)
        return -1;
    return (int)fd;
}

int heritage_seal(const struct heritage *heritage, struct failure *why)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return failure_errno(why, EX_OSERR, errno, "the state");
    int result = heritage_write(heritage, out, why);
    if (fclose(out) != 0 && result == 0)
        result = failure_errno(why, EX_OSERR, errno, "the state");
    if (result == 0 && (result = io_sealed_memfd("forkechod-state", text, size)) < 0)
        failure_errno(why, EX_OSERR, -result, "cannot hand the state on");
    free(text);
    return result < 0 ? -1 : result;
}

struct heritage *heritage_read(int fd, struct failure *why)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &status) < 0 ||
        status.st_size > HERITAGE_BYTES_MAX) {
        failure_set(why, EX_USAGE, HERITAGE_VARIABLE " names nothing that a forkechod left behind");
        return NULL;
    }
    size_t size = (size_t)status.st_size;
    char *text = malloc(size + 1);
    struct heritage *heritage = malloc(sizeof(*heritage));
    if (text == NULL || heritage == NULL)
        failure_errno(why, EX_OSERR, ENOMEM, "the running program's state");
    else if (pread(fd, text, size, 0) != (ssize_t)size)
        failure_errno(why, EX_OSERR, errno, "cannot read the running program's state");
    else if (heritage_parse(text, size, heritage, why) == 0) {
        free(text);
        return heritage;
    }
    free(text);
    free(heritage);
    return NULL;
}
