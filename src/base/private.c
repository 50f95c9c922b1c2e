#include "base/private.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

void *private_new(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    int error = private_keep(memory, size);
    if (error == 0)
        return memory;
    munmap(memory, size);
    errno = -error;
    return NULL;
}

void private_free(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}

int private_keep(const void *memory, size_t size)
{
    return madvise((void *)(uintptr_t)memory, size, MADV_DONTFORK) < 0 ? -errno : 0;
}

int private_hand_on(void *memory, size_t size)
{
    return madvise(memory, size, MADV_DOFORK) < 0 ? -errno : 0;
}
