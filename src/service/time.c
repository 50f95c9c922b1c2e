/* Time, RFC 868: the seconds since 1900 in UTC, as four bytes, the highest first. They start again
 * at zero on 7 February 2036; a client that lives then has to know. */
#include <arpa/inet.h>
#include <time.h>

#include "service/handlers.h"

#define SECONDS_1900_TO_1970 2208988800U

enum session_end time_serve(struct stream *stream, const struct manners *manners)
{
    manners_delay(stream, manners);
    uint32_t answer = htonl((uint32_t)time(NULL) + SECONDS_1900_TO_1970);
    return stream_write(stream, &answer, sizeof answer) ? SESSION_COMPLETE : stream->end;
}
