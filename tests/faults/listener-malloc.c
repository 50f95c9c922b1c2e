/* What the listener allocates itself; its calls are renamed when it is linked (ld(1), --wrap). */
#include <stdlib.h>

#include "faults.h"

extern void *__real_malloc(size_t size);
extern void *__real_calloc(size_t count, size_t size);
extern void *__real_realloc(void *old, size_t size);
extern void *__wrap_malloc(size_t size);
extern void *__wrap_calloc(size_t count, size_t size);
extern void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return shortage_hits() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return shortage_hits() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return shortage_hits() ? NULL : __real_realloc(old, size);
}
