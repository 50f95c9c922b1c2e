#include "base/date.h"

#include <stdbool.h>
#include <stdint.h>

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

struct date date_of(time_t now)
{
    uint32_t second = (uint32_t)(now % DAY), day = (uint32_t)(now / DAY);
    const char *weekday = weekdays[day % 7];
    unsigned int year = 1970, month = 0;

    for (; day >= 365U + is_leap(year); year++)
        day -= 365U + is_leap(year);
    for (; day >= months[month].days + (month == 1 && is_leap(year)); month++)
        day -= months[month].days + (month == 1 && is_leap(year));
    return (struct date){ .year = year,
                          .month = month + 1,
                          .day = day + 1,
                          .hour = second / 3600,
                          .minute = second / 60 % 60,
                          .second = second % 60,
                          .weekday = weekday,
                          .month_name = months[month].name };
}
