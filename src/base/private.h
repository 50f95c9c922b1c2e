/*
 * Memory that children do not get (madvise(2), MADV_DONTFORK): a fork has nothing of it to copy,
 * the parent's next write to it costs no copy either, and no child can read what is in it. In whole
 * pages: for what a process that forks for every client keeps for itself.
 */
#pragma once

#include <stddef.h>

/* Zeroed; NULL with errno when there is none. */
void *private_new(size_t size);

/* `memory` may be NULL; `size` as in private_new. */
void private_free(void *memory, size_t size);

/* For any mapping of whole pages: children do not get it from now on. 0 or -errno. */
int private_keep(const void *memory, size_t size);

/* Children get it from now on, as they get all else. 0 or -errno. */
int private_hand_on(void *memory, size_t size);
