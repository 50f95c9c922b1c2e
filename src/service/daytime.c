/*
 * Daytime, RFC 867: the date and time as one line, for people. Always UTC and English: local time
 * would need the time zone's file, and a session opens no file (not even gmtime_r(3) avoids that).
 */
#include <inttypes.h>
#include <stdio.h>

#include "service/handlers.h"

enum { DAY = 24 * 60 * 60 };

static const char *const weekdays[] = { "Thursday", "Friday",  "Saturday", "Sunday",
                                        "Monday",   "Tuesday", "Wednesday" }; /* from 1.1.1970 */
static const struct {
    const char *name;
    unsigned int days;
} months[] = { { "January", 31 },   { "February", 28 }, { "March", 31 },    { "April", 30 },
               { "May", 31 },       { "June", 30 },     { "July", 31 },     { "August", 31 },
               { "September", 30 }, { "October", 31 },  { "November", 30 }, { "December", 31 } };

static bool is_leap(unsigned int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

size_t daytime_format(time_t now, char *line, size_t size)
{
    uint32_t second = (uint32_t)(now % DAY), day = (uint32_t)(now / DAY);
    const char *weekday = weekdays[day % 7];
    unsigned int year = 1970, month = 0;

    for (; day >= 365U + is_leap(year); year++)
        day -= 365U + is_leap(year);
    for (; day >= months[month].days + (month == 1 && is_leap(year)); month++)
        day -= months[month].days + (month == 1 && is_leap(year));
    return (size_t)snprintf(line, size, "%s, %s %u, %u %02u:%02u:%02u-UTC\r\n", weekday,
                            months[month].name, day + 1, year, second / 3600, second / 60 % 60,
                            second % 60);
}

enum session_end daytime_serve(struct stream *stream, const struct manners *manners)
{
    char line[64];

    manners_delay(manners);
    size_t size = daytime_format(time(NULL), line, sizeof line);
    return stream_write(stream, line, size) ? SESSION_COMPLETE : stream->end;
}
