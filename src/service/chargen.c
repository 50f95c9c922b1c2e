/*
 * Character generator, RFC 864: lines of 72 of the 95 printing characters, each line starting one
 * character further on, until the client closes. Input is thrown away, so that a client that writes
 * before it reads is not held up.
 */
#include "service/handlers.h"

enum { PRINTING = 95, COLUMNS = 72 };

enum session_end chargen_serve(struct stream *stream, const struct manners *manners)
{
    static unsigned char lines[PRINTING][COLUMNS + 2]; /* then the pattern repeats */

    (void)manners;
    for (unsigned int line = 0; line < PRINTING; line++) {
        for (unsigned int column = 0; column < COLUMNS; column++)
            lines[line][column] = (unsigned char)(' ' + (line + column) % PRINTING);
        lines[line][COLUMNS] = '\r';
        lines[line][COLUMNS + 1] = '\n';
    }
    stream->discards = true;
    while (stream_write(stream, lines, sizeof lines))
        stream_discard(stream);
    /* With more always on its way, a client cannot close but by a reset. */
    return stream->end == SESSION_RESET ? SESSION_CLOSED : stream->end;
}
