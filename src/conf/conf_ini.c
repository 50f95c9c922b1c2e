#include "conf/conf_ini.h"

#include <iniparser/iniparser.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

static bool complained;

/* The library's complaints hold raw text of the file, and ours are better. */
static int complain(const char *format, ...)
{
    (void)format;
    complained = true;
    return 0;
}

static bool holds(const dictionary *found, const struct setting *setting)
{
    char name[2 * SCAN_NAME_MAX + 2];
    const struct conf_place *place = &setting->place;

    if (!place->key)
        return iniparser_find_entry(found, place->section);
    snprintf(name, sizeof(name), "%s:%s", place->section, place->key);
    const char *value = iniparser_getstring(found, name, NULL);
    return value && !strcmp(value, setting->value);
}

/* The first setting that the library did not read alike, scan->settings + count when the library
 * has more of them, NULL when all agree. */
static const struct setting *disagreement(const dictionary *found, const struct scan *scan)
{
    const struct setting *end = scan->settings + scan->count;

    for (const struct setting *setting = scan->settings; setting < end; setting++)
        if (!holds(found, setting))
            return setting;
    return (size_t)found->n == scan->count ? NULL : end;
}

void conf_ini_confirm(struct findings *findings, const struct scan *scan)
{
    struct conf_place place = { .source = scan->count ? scan->settings->place.source : 0,
                                .file = scan->file.path };
    const struct conf_place *at = &place;
    const char *what = "could not be read a second time";
    char path[32];

    if (!scan->count || !scan->file.path) /* nothing in it, or no file but -o */
        return;
    int fd = io_sealed_memfd("forkechod.conf", scan->file.bytes, scan->file.size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    complained = false;
    iniparser_set_error_callback(complain);
    dictionary *found = fd < 0 ? NULL : iniparser_load(path);
    iniparser_set_error_callback(NULL);
    if (fd >= 0)
        close(fd);
    if (found && !complained) {
        const struct setting *setting = disagreement(found, scan);
        what = setting ? "is not what the INI library reads here" : NULL;
        if (setting && setting < scan->settings + scan->count)
            at = &setting->place;
    }
    if (what)
        findings_error(findings, at, "%s (out of memory, or no /proc, or an unusual file)", what);
    if (found)
        iniparser_freedict(found);
}
