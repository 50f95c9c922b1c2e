/* Echo, RFC 862: every byte comes back. */
#include "service/handlers.h"

enum session_end echo_serve(struct stream *stream, const struct manners *manners)
{
    static unsigned char buffer[STREAM_CHUNK];
    size_t size;

    if (manners->delay || manners->once || (manners->quit && *manners->quit))
        return message_serve(stream, manners, NULL);
    while ((size = stream_read(stream, buffer, sizeof buffer)) > 0)
        if (!stream_write(stream, buffer, size))
            break;
    return stream->end;
}
