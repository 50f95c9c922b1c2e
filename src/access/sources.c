#include "access/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bucket.h"

enum { WORDS = 4, NOBODY = 0 };

/* Entries are named by their index; 0 is nobody, so that it can end a list. An entry in use is in
 * the chain of its hash; one without sessions is in the idle list as well. */
struct source {
    struct network network;
    uint32_t live;
    uint32_t chain;
    uint32_t older, newer; /* in the idle list */
    struct bucket bucket;
};

struct sources {
    unsigned int prefix_v4, prefix_v6, per_source;
    struct rate rate;
    uint64_t key[1 + WORDS];
    uint32_t room, used; /* entries 1..used have been handed out */
    uint32_t mask;
    uint32_t *chains;
    struct source *entries; /* [0] holds the ends of the idle list: newer is the oldest one */
};

struct sources *sources_new(size_t room, unsigned int prefix_v4, unsigned int prefix_v6,
                            unsigned int per_source, const struct rate *rate)
{
    struct sources *sources = calloc(1, sizeof *sources);
    uint32_t size = 16;

    if (!sources)
        return NULL;
    sources->room = room < INT32_MAX ? (uint32_t)room : INT32_MAX;
    while (size < sources->room)
        size *= 2;
    sources->mask = size - 1;
    sources->prefix_v4 = prefix_v4;
    sources->prefix_v6 = prefix_v6;
    sources->per_source = per_source;
    sources->rate = *rate;
    sources->chains = calloc(size, sizeof *sources->chains);
    sources->entries = calloc((size_t)sources->room + 1, sizeof *sources->entries);
    if (!sources->chains || !sources->entries ||
        getrandom(sources->key, sizeof sources->key, 0) != sizeof sources->key) {
        int error = errno;
        sources_free(sources);
        errno = error;
        return NULL;
    }
    return sources;
}

void sources_free(struct sources *sources)
{
    if (!sources)
        return;
    free(sources->chains);
    free(sources->entries);
    free(sources);
}

/* Multilinear hashing (Lemire and Kaser 2014, "Strongly universal string hashing is fast"): without
 * the key, no two networks can be chosen that collide more often than by chance. */
static uint32_t *chain_of(struct sources *sources, const struct network *network)
{
    uint32_t words[WORDS];
    uint64_t sum = sources->key[0];

    memcpy(words, network->bytes, sizeof words);
    for (unsigned int i = 0; i < WORDS; i++)
        sum += sources->key[1 + i] * words[i];
    return &sources->chains[(uint32_t)(sum >> 32) & sources->mask];
}

static void idle_add(struct sources *sources, uint32_t index)
{
    struct source *entries = sources->entries;

    entries[index].newer = NOBODY;
    entries[index].older = entries[NOBODY].older;
    entries[entries[NOBODY].older].newer = index;
    entries[NOBODY].older = index;
}

static void idle_remove(struct sources *sources, uint32_t index)
{
    struct source *entries = sources->entries;

    entries[entries[index].older].newer = entries[index].newer;
    entries[entries[index].newer].older = entries[index].older;
}

static uint32_t find(struct sources *sources, const struct network *network)
{
    uint32_t index = *chain_of(sources, network);

    while (index != NOBODY && network_compare(&sources->entries[index].network, network))
        index = sources->entries[index].chain;
    return index;
}

static void forget(struct sources *sources, uint32_t index)
{
    uint32_t *link = chain_of(sources, &sources->entries[index].network);

    while (*link != index)
        link = &sources->entries[*link].chain;
    *link = sources->entries[index].chain;
    idle_remove(sources, index);
}

/* An entry for a newcomer: one that has nothing to remember any more, or one never used, or the one
 * that has been idle for longest. */
static uint32_t take(struct sources *sources, const struct network *network, uint64_t now_ms)
{
    uint32_t index = sources->entries[NOBODY].newer;
    bool fresh = sources->used < sources->room;

    if (index != NOBODY &&
        (!fresh || bucket_is_full(&sources->entries[index].bucket, &sources->rate, now_ms)))
        forget(sources, index);
    else if (fresh)
        index = ++sources->used;
    else
        return NOBODY;

    uint32_t *chain = chain_of(sources, network);
    struct source *entry = &sources->entries[index];
    *entry = (struct source){ .network = *network, .chain = *chain };
    bucket_fill(&entry->bucket, &sources->rate, now_ms);
    *chain = index;
    idle_add(sources, index);
    return index;
}

enum source_verdict sources_enter(struct sources *sources, const struct address *client,
                                  uint64_t now_ms, uint32_t *entry)
{
    bool v4 = client->socket.any.sa_family == AF_INET;
    struct network network = network_of(client, v4 ? sources->prefix_v4 : sources->prefix_v6);

    *entry = NOBODY;
    if (!network.family || (!sources->per_source && !sources->rate.tokens))
        return SOURCE_ALLOWED;
    uint32_t index = find(sources, &network);
    if (index == NOBODY)
        index = take(sources, &network, now_ms);
    if (index == NOBODY)
        return SOURCE_ALLOWED;
    struct source *source = &sources->entries[index];
    if (sources->per_source && source->live >= sources->per_source)
        return SOURCE_TOO_MANY;
    if (!bucket_take(&source->bucket, &sources->rate, now_ms))
        return SOURCE_TOO_FAST;
    if (source->live++ == 0)
        idle_remove(sources, index);
    *entry = index;
    return SOURCE_ALLOWED;
}

void sources_leave(struct sources *sources, uint32_t entry)
{
    if (entry != NOBODY && --sources->entries[entry].live == 0)
        idle_add(sources, entry);
}
