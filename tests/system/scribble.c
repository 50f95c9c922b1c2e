/*
 * A handler that has gone wrong, for tests: in a listener linked with this file, `discard` waits
 * for a message and then writes over memory.
 *
 *   shared SEED   whatever it shares with other processes and may write; it lives on
 *   hang          nothing at all, for ever
 *   eat           as much memory as it gets, until that is its end
 *   all SEED      then everything else as well, until it dies of that
 *
 * SEED chooses the bytes: 0 and 255 are written as they are, others begin a random series.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/handlers.h"

/* Larger mappings are a sanitizer's, and would take for ever. */
enum { MAPS_MAX = 1 << 16, RANGES_MAX = 256, MAPPING_MAX = 1 << 30, LARDER = 1 << 26, PAGE = 4096 };

/* Costs nothing until it is eaten from, which takes no system call. */
static volatile unsigned char larder[LARDER];

/* Volatile, so that a loop that does nothing else is one that a compiler has to keep. */
static volatile unsigned int series;

static unsigned char next_byte(unsigned int seed)
{
    if (seed == 0 || seed == 255)
        return (unsigned char)seed;
    series = series * 1103515245U + 12345U;
    return (unsigned char)(series >> 16);
}

struct range {
    volatile unsigned char *from, *to;
};

/* The mappings of a kind, kept on the stack, which is the last of them. */
static void write_over(const char *maps, const char *kind, unsigned int seed)
{
    struct range ranges[RANGES_MAX];
    unsigned int count = 0;
    for (const char *line = maps; line != NULL && *line != '\0' && count < RANGES_MAX;) {
        char *dash, *rest;
        unsigned long from = strtoul(line, &dash, 16), to = strtoul(dash + 1, &rest, 16);
        if (to - from <= MAPPING_MAX && strncmp(rest + 1, kind, strlen(kind)) == 0)
            ranges[count++] = (struct range){ (unsigned char *)from, (unsigned char *)to };
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    for (unsigned int i = 0; i < count; i++)
        for (volatile unsigned char *at = ranges[i].from; at < ranges[i].to; at++)
            *at = next_byte(seed);
}

enum session_end discard_serve(struct stream *stream, const struct manners *manners)
{
    static char maps[MAPS_MAX];
    char message[64] = "";

    (void)manners;
    if (stream_read(stream, message, sizeof(message) - 1) == 0)
        return stream->end;
    while (strncmp(message, "hang", 4) == 0)
        next_byte(1);
    for (size_t at = 0; strncmp(message, "eat", 3) == 0; at = (at + PAGE) % LARDER)
        larder[at] = 1;
    const char *number = strchr(message, ' ');
    unsigned int seed = number == NULL ? 1 : (unsigned int)strtoul(number, NULL, 10);
    series = seed;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    for (size_t size = 0; fd >= 0 && size < sizeof(maps) - 1;) {
        ssize_t got = read(fd, maps + size, sizeof(maps) - 1 - size);
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    stream->progress = NULL; /* which would write a row that is whole again */
    write_over(maps, "rw-s", seed);
    stream_write(stream, "done", 4);
    if (strncmp(message, "all", 3) == 0)
        write_over(maps, "rw-p", seed);
    for (;;)
        pause();
}
