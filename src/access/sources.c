#include "access/sources.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/bucket.h"
#include "base/private.h"

enum { WORDS = 4, NOBODY = 0, WAYS = 8, LIVE_BITS = 24 };

/* Around a page that is read the kernel maps so many bytes of those that are there already. */
enum { TOUCHED = 65536 };

#define LIVE_MASK ((UINT64_C(1) << LIVE_BITS) - 1)

/* One source: the tag of its network above, its sessions below; 0: never used. The tags of a set's
 * entries differ, but for the moment in which two processes bring in the same newcomer. */
struct source {
    _Atomic uint64_t word;
    struct bucket bucket;
};

/* Entries are named by their index + 1. */
struct sources {
    unsigned int prefix_v4, prefix_v6, per_source;
    struct rate rate;
    uint64_t key[2][1 + WORDS];
    uint32_t sets; /* a power of two */
    struct source *entries;
};

static size_t size_of(const struct sources *sources)
{
    return (size_t)sources->sets * WAYS * sizeof(struct source);
}

static void *new_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

struct sources *sources_new(size_t room, unsigned int prefix_v4, unsigned int prefix_v6,
                            unsigned int per_source, const struct rate *rate, bool shared)
{
    struct sources *sources = private_new(sizeof *sources);
    if (!sources)
        return NULL;
    sources->prefix_v4 = prefix_v4;
    sources->prefix_v6 = prefix_v6;
    sources->per_source = per_source;
    sources->rate = *rate;
    sources->sets = 1;
    while (sources->sets < (1U << 24) && (size_t)sources->sets * WAYS < 2 * room)
        sources->sets *= 2;
    sources->entries = shared ? new_shared(size_of(sources)) : private_new(size_of(sources));
    if (sources->entries == NULL || (shared && private_hand_on(sources, sizeof *sources) < 0) ||
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
    private_free(sources->entries, size_of(sources));
    private_free(sources, sizeof *sources);
}

void sources_touch(const struct sources *sources)
{
    const volatile unsigned char *bytes = (const volatile unsigned char *)sources->entries;
    for (size_t i = 0; i < size_of(sources); i += TOUCHED)
        (void)bytes[i];
    (void)bytes[size_of(sources) - 1];
}

/* Multilinear hashing (Lemire and Kaser 2014, "Strongly universal string hashing is fast"): without
 * the key, no two networks can be chosen that collide more often than by chance. */
static uint32_t hash(const uint64_t key[1 + WORDS], const struct network *network)
{
    uint32_t words[WORDS];
    uint64_t sum = key[0];

    memcpy(words, network->bytes, sizeof words);
    for (unsigned int i = 0; i < WORDS; i++)
        sum += key[1 + i] * words[i];
    return (uint32_t)(sum >> 32);
}

/* A source's tag, never 0: the hash of its network that its set was not chosen by, and its family.
 */
static uint64_t tag_of(const struct sources *sources, const struct network *network)
{
    uint64_t tag = (uint64_t)hash(sources->key[1], network) << 1 | (network->family == AF_INET);
    return (tag | UINT64_C(1) << 39) << LIVE_BITS;
}

static uint64_t word_of(const struct source *source)
{
    return atomic_load_explicit(&source->word, memory_order_relaxed);
}

static bool change(struct source *source, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong(&source->word, &from, to);
}

/* When there will be nothing to remember of the source any more; 0: already. */
static uint64_t remembered_until(const struct sources *sources, const struct source *source,
                                 uint64_t now_ms)
{
    return word_of(source) == 0 || bucket_is_full(&source->bucket, &sources->rate, now_ms)
               ? 0
               : atomic_load_explicit(&source->bucket.full_ns, memory_order_relaxed);
}

/* The entry that the newcomer gets, or NULL: of those without sessions the one of which the least
 * is forgotten. */
static struct source *find_place(const struct sources *sources, struct source *set, uint64_t now_ms)
{
    struct source *place = NULL;
    uint64_t best = 0;
    for (unsigned int i = 0; i < WAYS; i++) {
        if ((word_of(&set[i]) & LIVE_MASK) != 0)
            continue;
        uint64_t until = remembered_until(sources, &set[i], now_ms);
        if (place == NULL || until < best) {
            best = until;
            place = &set[i];
        }
    }
    return place;
}

static struct source *find(struct source *set, uint64_t tag)
{
    for (unsigned int i = 0; i < WAYS; i++)
        if ((word_of(&set[i]) & ~LIVE_MASK) == tag)
            return &set[i];
    return NULL;
}

static void drop(struct source *source)
{
    uint64_t word = word_of(source);
    while ((word & LIVE_MASK) > 0 &&
           !atomic_compare_exchange_weak(&source->word, &word, word - 1)) {
    }
}

/* One more session of it; a fresh one begins with a full bucket. */
static enum source_verdict count(struct sources *sources, struct source *source, bool fresh,
                                 uint64_t now_ms)
{
    if (fresh)
        bucket_fill(&source->bucket);
    if (bucket_take(&source->bucket, &sources->rate, now_ms))
        return SOURCE_ALLOWED;
    drop(source);
    return SOURCE_TOO_FAST;
}

enum source_verdict sources_enter(struct sources *sources, const struct address *client,
                                  uint64_t now_ms, uint32_t *entry)
{
    bool v4 = client->socket.any.sa_family == AF_INET;
    struct network network = network_of(client, v4 ? sources->prefix_v4 : sources->prefix_v6);

    *entry = NOBODY;
    if (!network.family || (!sources->per_source && !sources->rate.tokens))
        return SOURCE_ALLOWED;
    uint32_t index = (hash(sources->key[0], &network) & (sources->sets - 1)) * WAYS;
    struct source *set = &sources->entries[index];
    uint64_t tag = tag_of(sources, &network);
    for (;;) {
        struct source *source = find(set, tag);
        bool fresh = source == NULL;
        if (fresh && (source = find_place(sources, set, now_ms)) == NULL)
            return SOURCE_ALLOWED;
        uint64_t word = word_of(source), live = fresh ? 0 : word & LIVE_MASK;
        if (fresh ? (word & LIVE_MASK) != 0 : (word & ~LIVE_MASK) != tag)
            continue; /* somebody else was here meanwhile */
        if (sources->per_source && live >= sources->per_source)
            return SOURCE_TOO_MANY;
        if (live == LIVE_MASK) /* without a limit, and more than can be counted */
            return SOURCE_ALLOWED;
        if (!change(source, word, tag | (live + 1)))
            continue;
        enum source_verdict verdict = count(sources, source, fresh, now_ms);
        if (verdict == SOURCE_ALLOWED)
            *entry = (uint32_t)(source - sources->entries) + 1;
        return verdict;
    }
}

void sources_leave(struct sources *sources, uint32_t entry)
{
    if (entry != NOBODY && entry <= sources->sets * WAYS)
        drop(&sources->entries[entry - 1]);
}

void sources_forget_sessions(struct sources *sources)
{
    for (uint32_t i = 0; i < sources->sets * WAYS; i++) {
        struct source *source = &sources->entries[i];
        uint64_t word = word_of(source);
        while ((word & LIVE_MASK) > 0 &&
               !atomic_compare_exchange_weak(&source->word, &word, word & ~LIVE_MASK)) {
        }
    }
}

void sources_count_again(struct sources *sources, uint32_t entry)
{
    if (entry == NOBODY || entry > sources->sets * WAYS)
        return;
    struct source *source = &sources->entries[entry - 1];
    uint64_t word = word_of(source);
    while (word != 0 && (word & LIVE_MASK) < LIVE_MASK &&
           !atomic_compare_exchange_weak(&source->word, &word, word + 1)) {
    }
}
