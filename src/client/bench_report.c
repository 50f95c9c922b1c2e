#include "client/bench_report.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "client/bench_options.h"

enum { BAR_WIDTH = 40, LOWEST_POWER = 10, HIGHEST_POWER = 43 };

static const struct {
    const char *name; /* for people */
    const char *key;  /* in JSON */
    double fraction;
} quantiles[] = {
    { "p50", "p50", 0.5 },       { "p90", "p90", 0.9 }, { "p99", "p99", 0.99 },
    { "p99.9", "p99_9", 0.999 }, { "max", "max", 1 },
};

enum { QUANTILE_COUNT = sizeof quantiles / sizeof *quantiles };

static const struct {
    const char *key, *words;
} troubles[LINK_TROUBLE_COUNT] = {
#define TROUBLE(name, key, words) { key, words },
    LINK_TROUBLES(TROUBLE)
#undef TROUBLE
};

static double seconds(const struct load_result *result)
{
    return (double)result->took_ns / 1e9;
}

static double bytes_a_second(const struct load_result *result)
{
    return result->took_ns ? (double)result->bytes / seconds(result) : 0;
}

/* ---- for people ---- */

static const char *format_ns(uint64_t ns, char text[32])
{
    if (ns < 1000000)
        snprintf(text, 32, "%.1f us", (double)ns / 1e3);
    else if (ns < 1000000000)
        snprintf(text, 32, "%.2f ms", (double)ns / 1e6);
    else
        snprintf(text, 32, "%.2f s", (double)ns / 1e9);
    return text;
}

static void print_latency(const struct histogram *latency)
{
    char low[32], high[32];
    uint64_t most = 1;
    int first = HIGHEST_POWER, last = 0;

    printf("latency   ");
    for (int i = 0; i < QUANTILE_COUNT; i++)
        printf("  %s %s", quantiles[i].name,
               format_ns(histogram_quantile(latency, quantiles[i].fraction), low));
    printf("\n\n");
    for (int i = LOWEST_POWER; i < HIGHEST_POWER; i++) {
        uint64_t count =
            histogram_between(latency, i == LOWEST_POWER ? 0 : UINT64_C(1) << i, UINT64_C(2) << i);
        most = count > most ? count : most;
        first = count && i < first ? i : first;
        last = count ? i : last;
    }
    for (int i = first; i <= last; i++) {
        uint64_t from = i == LOWEST_POWER ? 0 : UINT64_C(1) << i, to = UINT64_C(2) << i;
        uint64_t count = histogram_between(latency, from, to);
        int width = (int)((count * BAR_WIDTH + most - 1) / most);
        printf("%9s to %9s %8" PRIu64 " %5.1f%% %.*s\n", format_ns(from, low), format_ns(to, high),
               count, 100.0 * (double)count / (double)latency->total, width,
               "########################################");
    }
}

static void print_troubles(const struct load_result *result)
{
    for (int i = 0; i < LINK_TROUBLE_COUNT; i++)
        if (result->troubles[i])
            printf("FAILED      %" PRIu64 " %s\n", result->troubles[i], troubles[i].words);
    if (*result->first_trouble)
        printf("first       %s\n", result->first_trouble);
}

void bench_report_text(const struct load_plan *plan, const struct peer *peer,
                       const struct load_result *result)
{
    printf("FORKECHO BENCH %s %s: %u at a time, %zu bytes\n", bench_mode_names[plan->mode],
           peer->name, plan->concurrency, plan->size);
    if (plan->mode == LOAD_HOLD)
        printf("held        %u of %u connections\n", result->held, plan->concurrency);
    printf("requests    %" PRIu64 " in %.2f s, %.1f a second\n", result->done, seconds(result),
           load_rate(result));
    if (plan->mode != LOAD_CONNECT)
        printf("bytes       %" PRIu64 " came back, %.2f MB a second\n", result->bytes,
               bytes_a_second(result) / 1e6);
    printf("connections %" PRIu64 "\n", result->connections);
    print_troubles(result);
    if (result->latency.total)
        print_latency(&result->latency);
}

/* ---- for programs ---- */

/* RFC 8259: a string is UTF-8, and some characters need a backslash. */
static void put_string(const char *text)
{
    size_t left = strlen(text);

    putchar('"');
    while (left) {
        size_t size = text_utf8(text, left);
        unsigned char first = (unsigned char)*text;
        if (!size)
            printf("\\ufffd");
        else if (first < 0x20 || first == '"' || first == '\\')
            printf("\\u%04x", first);
        else
            fwrite(text, 1, size, stdout);
        size += !size;
        text += size;
        left -= size;
    }
    putchar('"');
}

static void put_latency(const struct histogram *latency)
{
    bool first = true;

    printf("\"latency_us\":{\"min\":%.3f,\"mean\":%.3f", (double)latency->min / 1e3,
           latency->total ? latency->sum / (double)latency->total / 1e3 : 0);
    for (int i = 0; i < QUANTILE_COUNT; i++)
        printf(",\"%s\":%.3f", quantiles[i].key,
               (double)histogram_quantile(latency, quantiles[i].fraction) / 1e3);
    printf("},\"histogram\":[");
    for (int i = LOWEST_POWER; i < HIGHEST_POWER; i++) {
        /* Four steps of each power: enough to draw. */
        for (uint64_t from = UINT64_C(1) << i, step = from / 4; from < UINT64_C(2) << i;
             from += step) {
            uint64_t low = i == LOWEST_POWER && from == UINT64_C(1) << i ? 0 : from;
            uint64_t count = histogram_between(latency, low, from + step);
            if (!count)
                continue;
            printf("%s[%.3f,%.3f,%" PRIu64 "]", first ? "" : ",", (double)low / 1e3,
                   (double)(from + step) / 1e3, count);
            first = false;
        }
    }
    printf("]");
}

void bench_report_json(const struct load_plan *plan, const struct peer *peer,
                       const struct load_result *result)
{
    printf("{\"mode\":\"%s\",\"server\":", bench_mode_names[plan->mode]);
    put_string(peer->text);
    printf(",\"concurrency\":%u,\"size\":%zu,\"rate_wanted\":%" PRIu64, plan->concurrency,
           plan->size, plan->rate);
    printf(",\"seconds\":%.6f,\"requests\":%" PRIu64 ",\"requests_per_s\":%.3f", seconds(result),
           result->done, load_rate(result));
    printf(",\"bytes\":%" PRIu64 ",\"bytes_per_s\":%.0f,\"connections\":%" PRIu64 ",\"held\":%u",
           result->bytes, bytes_a_second(result), result->connections, result->held);
    printf(",\"failed\":{");
    for (int i = 0; i < LINK_TROUBLE_COUNT; i++)
        printf("%s\"%s\":%" PRIu64, i ? "," : "", troubles[i].key, result->troubles[i]);
    printf("},\"first_failure\":");
    if (*result->first_trouble)
        put_string(result->first_trouble);
    else
        printf("null");
    putchar(',');
    put_latency(&result->latency);
    printf("}\n");
}
