#include "client/pattern.h"

/* A prime, so that neither buffers nor messages repeat in step with it. */
enum { PERIOD = 65521, APART = 40503 };

static unsigned char table[PERIOD + PATTERN_CHUNK];

void pattern_init(void)
{
    uint32_t state = 0x9e3779b9;

    for (size_t i = 0; i < PERIOD; i++) {
        state ^= state << 13; /* Marsaglia's xorshift */
        state ^= state >> 17;
        state ^= state << 5;
        table[i] = (unsigned char)(state >> 24);
    }
    for (size_t i = 0; i < PATTERN_CHUNK; i++)
        table[PERIOD + i] = table[i % PERIOD];
}

const unsigned char *pattern_at(uint64_t connection, uint64_t position)
{
    return table + (connection % PERIOD * APART + position % PERIOD) % PERIOD;
}
