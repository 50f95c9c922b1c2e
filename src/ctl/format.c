#include "ctl/format.h"

#include <stdio.h>

#define MOST_SECONDS 1e15 /* what is more does not fit into an integer */

static const char *scale(double number, double step, const char *first, char text[FORMAT_MAX])
{
    static const char units[] = " KMGTPE";
    unsigned int unit = 0;
    while (number >= step - 0.5 && unit < sizeof units - 2) {
        number /= step;
        unit++;
    }
    if (unit == 0)
        snprintf(text, FORMAT_MAX, "%.0f%s", number, number > 0 ? first : "");
    else
        snprintf(text, FORMAT_MAX, "%.*f%c", number < 9.95 ? 1 : 0, number, units[unit]);
    return text;
}

const char *format_count(double count, char text[FORMAT_MAX])
{
    return scale(count, 1000, "", text);
}

const char *format_bytes(double bytes, char text[FORMAT_MAX])
{
    return scale(bytes, 1024, "B", text);
}

const char *format_seconds(double seconds, char text[FORMAT_MAX])
{
    unsigned long long whole =
        (unsigned long long)(seconds < MOST_SECONDS ? seconds : MOST_SECONDS);
    if (seconds < 9.95)
        snprintf(text, FORMAT_MAX, "%.1fs", seconds);
    else if (whole < 60)
        snprintf(text, FORMAT_MAX, "%llus", whole);
    else if (whole < 3600)
        snprintf(text, FORMAT_MAX, "%llum%02llus", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(text, FORMAT_MAX, "%lluh%02llum", whole / 3600, whole / 60 % 60);
    else
        snprintf(text, FORMAT_MAX, "%llud%02lluh", whole / 86400, whole / 3600 % 24);
    return text;
}
