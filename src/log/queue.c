#include "log/queue.h"

#include <stdint.h>
#include <string.h>

/* A ring of records, each behind its size. What was never used costs no memory: an empty ring
 * starts over at its begin. */
static char ring[QUEUE_BYTES];
static size_t start, used, count;

static void copy_in(size_t at, const void *from, size_t size)
{
    size_t first = at % QUEUE_BYTES, room = QUEUE_BYTES - first;
    size_t head = size < room ? size : room;
    memcpy(ring + first, from, head);
    memcpy(ring, (const char *)from + head, size - head);
}

static void copy_out(size_t at, void *to, size_t size)
{
    size_t first = at % QUEUE_BYTES, room = QUEUE_BYTES - first;
    size_t head = size < room ? size : room;
    memcpy(to, ring + first, head);
    memcpy((char *)to + head, ring, size - head);
}

bool queue_put(const char *bytes, size_t size)
{
    uint32_t length = (uint32_t)size;
    if (used + sizeof(length) + size > QUEUE_BYTES)
        return false;
    copy_in(start + used, &length, sizeof(length));
    copy_in(start + used + sizeof(length), bytes, size);
    used += sizeof(length) + size;
    count++;
    return true;
}

size_t queue_first(char *out)
{
    uint32_t length;
    if (count == 0)
        return 0;
    copy_out(start, &length, sizeof(length));
    copy_out(start + sizeof(length), out, length);
    return length;
}

void queue_drop_first(void)
{
    uint32_t length;
    copy_out(start, &length, sizeof(length));
    start = (start + sizeof(length) + length) % QUEUE_BYTES;
    used -= sizeof(length) + length;
    if (--count == 0)
        start = 0;
}

size_t queue_clear(void)
{
    size_t had = count;
    start = used = count = 0;
    return had;
}

size_t queue_count(void)
{
    return count;
}
