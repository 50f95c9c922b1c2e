/* The listener's half of the layer: needs no configuration, and no INI library. */
#include "conf/service.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_inside(const struct service *service, struct span span, size_t item_size)
{
    if (!span.count)
        return true;
    return span.offset >= sizeof(*service) && span.offset % 8 == 0 &&
           span.offset <= service->size && span.count <= (service->size - span.offset) / item_size;
}

/* One check a type of option; see options.def. */
#define CHECK_BOOL(name)
#define CHECK_COUNT(name)
#define CHECK_DURATION(name)
#define CHECK_SIZE(name)
#define CHECK_RATE(name)
#define CHECK_MODE(name)
#define CHECK_CHOICE(name)
#define CHECK_TEXT(name)      &&is_text(service->name, sizeof(service->name))
#define CHECK_NAME(name)      CHECK_TEXT(name)
#define CHECK_PATH(name)      CHECK_TEXT(name)
#define CHECK_HANDLER(name)   CHECK_TEXT(name)
#define CHECK_ADDRESSES(name) &&is_inside(service, service->name, sizeof(struct address))
#define CHECK_NETWORKS(name)  &&is_inside(service, service->name, sizeof(struct network))
#define CHECK_IF_DAEMON(type, name)
#define CHECK_IF_SERVICE(type, name) CHECK_##type(name)
#define CHECK_IF_ONLY(type, name)    CHECK_##type(name)

static bool is_whole(const struct service *service)
{
    return is_text(service->service_name, sizeof(service->service_name))
#define THEME(title)
#define OPTION(scope, type, name, low, high, preset, words, reload, help)                          \
    CHECK_IF_##scope(type, name)
#include "conf/options.def"
#undef OPTION
#undef THEME
        ;
}

const struct service *service_map(int fd)
{
    const int sealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat stat;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || fstat(fd, &stat) < 0)
        return NULL;
    size_t size = (size_t)stat.st_size;
    if ((seals & sealed) != sealed || size < sizeof(struct service) || size > UINT32_MAX) {
        errno = EINVAL;
        return NULL;
    }
    struct service *service = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (service == MAP_FAILED)
        return NULL;
    if (service->size != size || !is_whole(service)) {
        munmap(service, size);
        errno = EINVAL;
        return NULL;
    }
    return service;
}
