/*
 * Date and time of day in UTC and English, without the time zone's file: a session opens none, and
 * not even gmtime_r(3) avoids that.
 */
#pragma once

#include <time.h>

struct date {
    unsigned int year, month, day; /* month and day from 1 */
    unsigned int hour, minute, second;
    const char *weekday, *month_name; /* in full; the first three letters are the short forms */
};

/* Of a moment from 1970 on. */
struct date date_of(time_t now);
