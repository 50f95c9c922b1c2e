/* The master's own malloc, so that the calls of libc and of the libraries fail as well. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>

#include "faults.h"

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

/* Without memory for its first look into nsswitch.conf, glibc dies (nss_database.c has an
 * assertion, and follows NULL): it looks there before anything is counted. */
__attribute__((constructor(1001))) static void look_for_somebody(void)
{
    (void)getpwnam("root");
}

void *malloc(size_t size)
{
    return shortage_hits() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return shortage_hits() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return shortage_hits() ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    if (__builtin_mul_overflow(count, size, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, size);
}
