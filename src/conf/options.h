/* options.def as a table, and single values in and out of their members. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

enum option_scope { OPTION_IN_DAEMON, OPTION_IN_SERVICE, OPTION_IN_ONLY };

enum option_type {
    OPTION_BOOL,
    OPTION_COUNT,
    OPTION_DURATION,
    OPTION_SIZE,
    OPTION_RATE,
    OPTION_MODE,
    OPTION_CHOICE,
    OPTION_TEXT,
    OPTION_NAME,
    OPTION_PATH,
    OPTION_HANDLER,
    OPTION_ADDRESSES,
    OPTION_NETWORKS
};

/* One name an option, such as SERVICE_write_timeout: its index in the table. */
enum option_index {
#define THEME(title)
#define OPTION(scope, type, name, low, high, preset, words, reload, help) scope##_##name,
#include "conf/options.def"
#undef OPTION
#undef THEME
    OPTIONS
};

struct conf_option {
    enum option_scope scope;
    enum option_type type;
    const char *name;
    uint64_t low, high;
    const char *preset;
    const char *words;
    bool restart;  /* only a restart changes it */
    size_t offset; /* of the member, in struct conf_daemon or struct service */
};

extern const struct conf_option conf_options[OPTIONS];

/* True when the option may stand in a section of this scope: OPTION_IN_DAEMON is [daemon],
 * OPTION_IN_SERVICE [defaults], OPTION_IN_ONLY [service NAME]. */
bool option_fits(const struct conf_option *option, enum option_scope section);
/* The option of that name that fits; -1: none. */
int option_find(const char *name, enum option_scope section);

/* Why a text is no value. */
struct option_mistake {
    const char *what; /* `out of range` */
    char right[256];  /* `1 to 100` */
};

/* Reads a value into its member of *object (a struct conf_daemon or struct service). Lists are not
 * read here, and a handler's name is only a name. False with *mistake. */
bool option_read(const struct conf_option *option, const char *text, void *object,
                 struct option_mistake *mistake);

/* Writes what option_read reads back to the same value. Lists have no text of their own: "". */
const char *option_format(const struct conf_option *option, const void *object, char *text,
                          size_t size);
