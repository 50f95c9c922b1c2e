/* Any text as forkechod.conf; what stands behind NUL bytes are values of -o. Either it is refused
 * and says why, or the scanner has read what the INI library reads, setting by setting, and what is
 * dumped reads back to the same configuration and the same dump. */
#include <errno.h>
#include <iniparser/iniparser.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/conf_ini.h"
#include "fuzz.h"
#include "service/handlers.h"

enum { OVERRIDES_MAX = 4 };

/* A file in memory whose path can be read. */
struct file {
    int fd;
    char path[32];
};

static void fill(struct file *file, const void *bytes, size_t size)
{
    if (file->fd == 0) {
        file->fd = memfd_create("fuzz", MFD_CLOEXEC);
        fchmod(file->fd, 0600);
        snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
    }
    HOLDS(ftruncate(file->fd, 0) == 0);
    HOLDS(pwrite(file->fd, bytes, size, 0) == (ssize_t)size);
}

static int complaints;

static int complain(const char *format, ...)
{
    (void)format;
    complaints++;
    return 0;
}

static bool has(const dictionary *found, const struct setting *setting)
{
    char name[2 * SCAN_NAME_MAX + 2];
    const struct conf_place *place = &setting->place;
    if (place->key == NULL)
        return iniparser_find_entry(found, place->section);
    snprintf(name, sizeof(name), "%s:%s", place->section, place->key);
    const char *value = iniparser_getstring(found, name, NULL);
    return value != NULL && strcmp(value, setting->value) == 0;
}

/* In place of the daemon's own: there a difference refuses the file. Here the scanner has to have
 * refused whatever could be read differently, and no process is forked for it. */
void conf_ini_confirm(struct findings *findings, const struct scan *scan)
{
    static struct file seen;

    (void)findings;
    if (scan->count == 0 || scan->file.path == NULL)
        return;
    fill(&seen, scan->file.bytes, scan->file.size); /* without the byte order mark */
    iniparser_set_error_callback(complain);
    complaints = 0;
    dictionary *found = iniparser_load(seen.path);
    HOLDS(found != NULL && complaints == 0);
    HOLDS((size_t)found->n == scan->count);
    for (size_t i = 0; i < scan->count; i++)
        HOLDS(has(found, &scan->settings[i]));
    iniparser_freedict(found);
}

static struct conf *load(const struct file *file, const char *const *overrides, size_t count,
                         size_t *warnings)
{
    struct conf_request request = { .file = file->path,
                                    .overrides = overrides,
                                    .override_count = count };
    struct conf_mistakes mistakes = { 0 };
    request.handler_count = handler_names(&request.handlers);
    struct conf *conf = conf_load(&request, &mistakes);
    HOLDS((conf != NULL) == (mistakes.count == mistakes.warnings));
    for (size_t i = 0; i < mistakes.count; i++)
        HOLDS(strpbrk(mistakes.lines[i], "\n\r\x1b") == NULL);
    *warnings = mistakes.warnings;
    conf_mistakes_free(&mistakes);
    return conf;
}

/* The dump without its comments, which say where a value was written. */
static char *dump(const struct conf *conf, size_t *size)
{
    char *text = NULL, *to, *from;
    FILE *out = open_memstream(&text, size);
    HOLDS(conf_dump(conf, out) == 0);
    fclose(out);
    for (to = from = text; *from != '\0';) {
        size_t line = strcspn(from, "\n") + 1;
        if (*from != '#') {
            memmove(to, from, line);
            to += line;
        }
        from += line;
    }
    *size = (size_t)(to - text);
    *to = '\0';
    return text;
}

static void compare(const struct conf *a, const struct conf *b)
{
    HOLDS(memcmp(&a->daemon, &b->daemon, sizeof(a->daemon)) == 0);
    HOLDS(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        HOLDS(a->services[i]->size == b->services[i]->size);
        HOLDS(memcmp(a->services[i], b->services[i], a->services[i]->size) == 0);
    }
}

static void tell(void *context, const char *text)
{
    (void)context;
    HOLDS(text == NULL); /* nothing has changed */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct file written, dumped;
    struct fuzz_part rest = { bytes, size }, part = { bytes, 0 };
    char *overrides[OVERRIDES_MAX];
    size_t count = 0, length = 0, warnings;

    fuzz_cut(&rest, '\0', &part);
    fill(&written, part.bytes, part.size);
    while (count < OVERRIDES_MAX && fuzz_cut(&rest, '\0', &part))
        overrides[count++] = fuzz_text(part.bytes, part.size);
    struct conf *conf = load(&written, (const char *const *)overrides, count, &warnings);
    for (size_t i = 0; i < count; i++)
        free(overrides[i]);
    if (conf == NULL)
        return 0;
    char *text = dump(conf, &length);
    fill(&dumped, text, length);
    struct conf *again = load(&dumped, NULL, 0, &warnings);
    HOLDS(again != NULL);
    compare(conf, again);
    conf_compare_fixed(conf, again, tell, NULL);
    size_t second = 0;
    char *once_more = dump(again, &second);
    HOLDS(second == length && memcmp(text, once_more, length) == 0);
    free(once_more);
    free(text);
    conf_free(again);
    conf_free(conf);
    return 0;
}
