/* Descriptors: whole writes, close what is not one's own. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Reads until `size` bytes or end of file, retrying EINTR. Returns the count or -errno. */
ssize_t io_read_full(int fd, void *buffer, size_t size);
/* Writes all of it, retrying EINTR and short writes. Returns 0 or -errno. */
int io_write_full(int fd, const void *buffer, size_t size);
/* Opens /dev/null on whichever of 0, 1, 2 is closed, so that no socket ever lands there.
 * Returns 0 or -errno. */
int io_repair_standard(void);
/* Points 0, 1, 2 at /dev/null. Returns 0 or -errno. */
int io_null_standard(void);
/* Closes every descriptor from 3 up but those in keep[0..count-1] (any order, at most 512).
 * close_range(2), or a walk of /proc/self/fd where the kernel lacks it. */
void io_close_all_but(const int *keep, size_t count);
/* A sealed memfd, close-on-exec, holding these bytes. Returns the descriptor or -errno. */
int io_sealed_memfd(const char *name, const void *bytes, size_t size);
