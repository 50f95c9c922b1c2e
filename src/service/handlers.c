#include "service/handlers.h"

#include <string.h>

/* THE list of handlers: HANDLER(name, sight, summary). */
#define HANDLERS(HANDLER)                                                                          \
    HANDLER(echo, NOTHING, "sends every byte back (RFC 862)")                                      \
    HANDLER(discard, NOTHING, "takes every byte and answers nothing (RFC 863)")                    \
    HANDLER(chargen, NOTHING, "sends lines of printing characters without end (RFC 864)")          \
    HANDLER(daytime, NOTHING, "sends the date and time in UTC as a line, and closes (RFC 867)")    \
    HANDLER(time, NOTHING, "sends the seconds since 1900 as four bytes, and closes (RFC 868)")     \
    HANDLER(upper, NOTHING, "sends every message back in capitals")                                \
    HANDLER(next, NOTHING, "sends every byte back plus one")                                       \
    HANDLER(http, DAEMON, "answers HTTP requests with a text, and health checks (RFC 9112)")       \
    HANDLER(status, ALL, "shows the daemon: a page, JSON, OpenMetrics")

static const struct handler table[] = {
#define HANDLER(name, sight, summary) { #name, summary, SEES_##sight, name##_serve },
    HANDLERS(HANDLER)
#undef HANDLER
};

static const char *const names[] = {
#define HANDLER(name, sight, summary) #name,
    HANDLERS(HANDLER)
#undef HANDLER
};

enum { COUNT = sizeof table / sizeof *table };

const struct handler *handler_find(const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

size_t handler_names(const char *const **out)
{
    *out = names;
    return COUNT;
}
