/* Daytime, RFC 867: the date and time as one line, for people. Always UTC and English. */
#include <stdio.h>

#include "base/date.h"
#include "service/handlers.h"

size_t daytime_format(time_t now, char *line, size_t size)
{
    struct date date = date_of(now);
    return (size_t)snprintf(line, size, "%s, %s %u, %u %02u:%02u:%02u-UTC\r\n", date.weekday,
                            date.month_name, date.day, date.year, date.hour, date.minute,
                            date.second);
}

enum session_end daytime_serve(struct stream *stream, const struct manners *manners)
{
    char line[64];

    manners_delay(stream, manners);
    size_t size = daytime_format(time(NULL), line, sizeof line);
    return stream_write(stream, line, size) ? SESSION_COMPLETE : stream->end;
}
