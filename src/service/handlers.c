#include "service/handlers.h"

#include <string.h>

/* THE list of handlers: HANDLER(name, summary). */
#define HANDLERS(HANDLER)                                                                          \
    HANDLER(echo, "sends every byte back (RFC 862)")                                               \
    HANDLER(discard, "takes every byte and answers nothing (RFC 863)")                             \
    HANDLER(chargen, "sends lines of printing characters without end (RFC 864)")                   \
    HANDLER(daytime, "sends the date and time in UTC as a line, and closes (RFC 867)")             \
    HANDLER(time, "sends the seconds since 1900 as four bytes, and closes (RFC 868)")              \
    HANDLER(upper, "sends every message back in capitals")                                         \
    HANDLER(next, "sends every byte back plus one")

static const struct handler table[] = {
#define HANDLER(name, summary) { #name, summary, name##_serve },
    HANDLERS(HANDLER)
#undef HANDLER
};

static const char *const names[] = {
#define HANDLER(name, summary) #name,
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
