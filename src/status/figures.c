#include "status/figures.h"

#include <time.h>

#include "base/date.h"

void figure_number(struct buffer *out, uint64_t number)
{
    uint64_t part = 1;
    while (number / part >= 1000)
        part *= 1000;
    buffer_number(out, number / part);
    while (part > 1) {
        number %= part;
        part /= 1000;
        buffer_format(out, "&#8239;%03u", (unsigned int)(number / part)); /* a narrow blank */
    }
}

void figure_bytes(struct buffer *out, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    size_t unit = 0;
    double value = (double)bytes;
    for (; value >= 1000; unit++)
        value /= 1024;
    buffer_format(out, unit > 0 && value < 10 ? "%.1f&nbsp;%s" : "%.0f&nbsp;%s", value,
                  units[unit]);
}

void figure_duration(struct buffer *out, uint64_t microseconds)
{
    uint64_t seconds = microseconds / 1000000;
    if (seconds < 10)
        buffer_format(out, "%.1f&nbsp;s", (double)microseconds / 1000000);
    else if (seconds < 60)
        buffer_format(out, "%u&nbsp;s", (unsigned int)seconds);
    else if (seconds < 3600)
        buffer_format(out, "%u&nbsp;min&nbsp;%02u&nbsp;s", (unsigned int)(seconds / 60),
                      (unsigned int)(seconds % 60));
    else if (seconds < 86400)
        buffer_format(out, "%u&nbsp;h&nbsp;%02u&nbsp;min", (unsigned int)(seconds / 3600),
                      (unsigned int)(seconds / 60 % 60));
    else
        buffer_format(out, "%u&nbsp;d&nbsp;%02u&nbsp;h", (unsigned int)(seconds / 86400),
                      (unsigned int)(seconds / 3600 % 24));
}

void figure_rate(struct buffer *out, uint64_t thousandths)
{
    if (thousandths < 100000)
        buffer_seconds(out, thousandths * 1000, thousandths > 0 && thousandths < 1000 ? 2 : 1);
    else
        figure_number(out, thousandths / 1000);
}

void figure_date(struct buffer *out, uint64_t seconds)
{
    struct date date = date_of((time_t)seconds);
    buffer_format(out, "%u %.3s %u, %02u:%02u:%02u UTC", date.day, date.month_name, date.year,
                  date.hour, date.minute, date.second);
}

void figure_state(struct buffer *out, const char *word, bool good)
{
    buffer_format(out, "<span class=\"state%s\">%s</span>", good ? "" : " warn", word);
}
