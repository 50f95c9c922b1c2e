/*
 * How many live sessions, and how fast, from each source: `per_source`, `per_source_rate`. A table
 * of the sources that have a live session or an unfilled bucket, sized once, so that nothing is
 * allocated while serving and every step takes the same time however many there are. Each entry is
 * changed by single atomic steps, so that the processes of a pool can share the table. Keyed hash:
 * a client cannot choose collisions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/text.h"

struct sources;

enum source_verdict { SOURCE_ALLOWED, SOURCE_TOO_MANY, SOURCE_TOO_FAST };

/* Room for `room` sources at once. Where an entry is wanted and there is none, a source without
 * sessions is forgotten, one with a full bucket first; where every one has some, newcomers are let
 * in uncounted. `shared`: children inherit this very table; else they have none. NULL with errno.
 */
struct sources *sources_new(size_t room, unsigned int prefix_v4, unsigned int prefix_v6,
                            unsigned int per_source, const struct rate *rate, bool shared);
void sources_free(struct sources *sources);

/* Gets a shared table into the page tables of the process, which fork(2) has left out, before it is
 * used while somebody waits. */
void sources_touch(const struct sources *sources);

/* Counts a new session of `client` (un-mapped), or says why not; then nothing is counted. *entry
 * gets what sources_leave wants: 0 for a client that is not counted (Unix peers). */
enum source_verdict sources_enter(struct sources *sources, const struct address *client,
                                  uint64_t now_ms, uint32_t *entry);
void sources_leave(struct sources *sources, uint32_t entry);

/* After a process has died that may have left something counted: nobody has sessions; then each
 * session that lives is counted again. Who comes or goes just then can be lost, which lets one more
 * in, or counted twice, which keeps one more out, until all are forgotten when nobody is left. */
void sources_forget_sessions(struct sources *sources);
void sources_count_again(struct sources *sources, uint32_t entry);
