/* Echo, RFC 862: every byte comes back. */
#include "service/handlers.h"

/* Reads of BULKY bytes, so many in a row, are a stream in bulk. */
enum { FIRST = 2048, BULKY = 16384, BULKY_READS = 4 };

enum session_end echo_serve(struct stream *stream, const struct manners *manners)
{
    static unsigned char large[STREAM_CHUNK];
    unsigned char first[FIRST]; /* in a page that the process has anyway: most need no more */
    unsigned char *buffer = first;
    size_t size, room = sizeof first;
    int bulky = 0;

    if (manners->delay || manners->once || (manners->quit && *manners->quit))
        return message_serve(stream, manners, NULL);
    while ((size = stream_read(stream, buffer, room)) > 0 && stream_write(stream, buffer, size)) {
        if (buffer == first && size == room) {
            buffer = large;
            room = sizeof large;
        }
        bulky = size >= BULKY ? bulky + 1 : 0;
        if (bulky == BULKY_READS && buffer != NULL && stream_use_pipe(stream))
            buffer = NULL;
    }
    return stream->end;
}
