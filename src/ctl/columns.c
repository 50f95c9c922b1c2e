#include "ctl/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/format.h"

/* The client gets what the others leave, and at least so much; columns that not every screen has
 * are shown where it keeps room for an IPv4 address with its port. */
enum { CLIENT_LEAST = 15, CLIENT_GOOD = 21 };

enum kind { TEXT, NUMBER, COUNT, BYTES, SPEED, SECONDS };

struct column {
    const char *title, *sort;
    int width; /* negative: to the left; 0: what is left */
    bool optional;
    enum kind kind;
    size_t at; /* in struct document_session */
};

#define AT(member) offsetof(struct document_session, member)

static const struct column columns[] = {
    { "ID", "id", -9, false, TEXT, AT(id) },
    { "SERVICE", "service", -9, false, TEXT, AT(service) },
    { "CLIENT", "client", 0, false, TEXT, AT(client) },
    { "STATE", "state", -8, false, TEXT, AT(state) },
    { "AGE", "age", 7, false, SECONDS, AT(age_s) },
    { "IDLE", "idle", 7, false, SECONDS, AT(idle_s) },
    { "IN/S", "in/s", 5, false, SPEED, AT(in_per_s) },
    { "OUT/S", "out/s", 5, false, SPEED, AT(out_per_s) },
    { "IN", "in", 5, true, BYTES, AT(bytes_in) },
    { "OUT", "out", 5, true, BYTES, AT(bytes_out) },
    { "TURNS", "turns", 5, true, COUNT, AT(turns) },
    { "PID", "pid", 7, true, NUMBER, AT(pid) },
};

enum { COLUMNS = sizeof columns / sizeof *columns };

/* Sets which are shown; returns the width of the client. */
static int choose(int width, const char *sort, bool shown[COLUMNS])
{
    int left = width + 1; /* each has a blank in front, but the first */
    for (size_t i = 0; i < COLUMNS; i++) {
        shown[i] = !columns[i].optional || strcmp(columns[i].sort, sort) == 0;
        left -= shown[i] ? abs(columns[i].width) + 1 : 0;
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        int cost = abs(columns[i].width) + 1;
        if (!shown[i] && left - cost >= CLIENT_GOOD) {
            shown[i] = true;
            left -= cost;
        }
    }
    return left > CLIENT_LEAST ? left : CLIENT_LEAST;
}

static const char *cell(const struct column *column, const struct document_session *session,
                        char text[FORMAT_MAX])
{
    const void *value = (const char *)session + column->at;
    switch (column->kind) {
    case TEXT:
        return session->torn && value == &session->state ? "torn" : *(const char *const *)value;
    case NUMBER:
        snprintf(text, FORMAT_MAX, "%llu", (unsigned long long)*(const uint64_t *)value);
        return text;
    case COUNT:
        return format_count((double)*(const uint64_t *)value, text);
    case BYTES:
        return format_bytes((double)*(const uint64_t *)value, text);
    case SPEED:
        return format_bytes(*(const double *)value, text);
    case SECONDS:
        return format_seconds(*(const double *)value, text);
    }
    return "";
}

const char *columns_line(const struct document_session *session, int width, const char *sort,
                         char line[COLUMNS_LINE_MAX])
{
    bool shown[COLUMNS];
    int client = choose(width, sort, shown);
    size_t length = 0;
    for (size_t i = 0; i < COLUMNS && length < COLUMNS_LINE_MAX; i++) {
        const struct column *column = &columns[i];
        char text[FORMAT_MAX];
        if (!shown[i])
            continue;
        int wide = column->width != 0 ? column->width : -client;
        length += (size_t)snprintf(line + length, COLUMNS_LINE_MAX - length, "%s%*.*s",
                                   i == 0 ? "" : " ", wide, abs(wide),
                                   session == NULL ? column->title : cell(column, session, text));
    }
    return line;
}
