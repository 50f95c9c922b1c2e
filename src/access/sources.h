/*
 * How many live sessions, and how fast, from each source: `per_source`, `per_source_rate`. A hash
 * table of the sources that have a live session or an unfilled bucket; private to one listener;
 * sized once, so that nothing is allocated while serving, and every step takes the same time
 * however many there are. Keyed hash: a client cannot choose collisions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/text.h"

struct sources;

enum source_verdict { SOURCE_ALLOWED, SOURCE_TOO_MANY, SOURCE_TOO_FAST };

/* Room for `room` sources at once. A table that is full forgets the source that has been without
 * sessions for longest; where every one has some, newcomers are let in uncounted. NULL with errno.
 */
struct sources *sources_new(size_t room, unsigned int prefix_v4, unsigned int prefix_v6,
                            unsigned int per_source, const struct rate *rate);
void sources_free(struct sources *sources);

/* Counts a new session of `client` (un-mapped), or says why not; then nothing is counted. *entry
 * gets what sources_leave wants: 0 for a client that is not counted (Unix peers). */
enum source_verdict sources_enter(struct sources *sources, const struct address *client,
                                  uint64_t now_ms, uint32_t *entry);
void sources_leave(struct sources *sources, uint32_t entry);
