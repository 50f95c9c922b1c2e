/* Discard, RFC 863: takes everything, answers nothing. */
#include "service/handlers.h"

enum session_end discard_serve(struct stream *stream, const struct manners *manners)
{
    static unsigned char buffer[STREAM_CHUNK];

    (void)manners;
    while (stream_read(stream, buffer, sizeof buffer) > 0)
        continue;
    return stream->end;
}
