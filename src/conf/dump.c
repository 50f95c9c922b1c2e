/* The effective configuration as text: forkechod -T, and what a reload cannot change. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/origins.h"

enum { VALUE_MAX = 4 * OPTION_TEXT_MAX };

/* In quotes where the file's syntax would read it otherwise. */
static void put_value(FILE *out, const char *name, const char *value, bool quoted)
{
    if (!*value)
        fprintf(out, "%s =\n", name);
    else if (quoted || strpbrk(value, "#;'\\"))
        fprintf(out, "%s = \"%s\"\n", name, value);
    else
        fprintf(out, "%s = %s\n", name, value);
}

static void put_origin(FILE *out, const struct conf_place *place)
{
    char file[1024];

    if (place->file)
        fprintf(out, "# %s:%u [%s]\n",
                text_escape(place->file, strlen(place->file), file, sizeof(file)), place->line,
                place->section);
    else
        fprintf(out, "# command line [%s]\n", place->section);
}

static void put_section(FILE *out, const struct layers *layers, const struct layer *layer,
                        const void *object)
{
    for (int i = 0; i < OPTIONS; i++) {
        const struct conf_option *option = &conf_options[i];
        const struct setting *setting = layers_setting(layers, layer, i);
        char value[VALUE_MAX];
        if (!option_fits(option, layer->scope))
            continue;
        if (setting)
            put_origin(out, &setting->place);
        /* A list stays as it was written: in one line, and with files named, not copied. */
        if (option->type == OPTION_ADDRESSES || option->type == OPTION_NETWORKS)
            put_value(out, option->name, layers_text(layers, layer, i), false);
        else
            put_value(out, option->name, option_format(option, object, value, sizeof(value)),
                      option->type == OPTION_TEXT);
    }
}

static const struct layer *layer_of(const struct layers *layers, const struct service *service)
{
    size_t i = LAYER_SERVICES;

    while (strcmp(layers->all[i].service, service->service_name) != 0)
        i++;
    return &layers->all[i];
}

int conf_dump(const struct conf *conf, FILE *out)
{
    const struct layers *layers = &conf->origins->layers;

    errno = 0;
    fprintf(out, "[daemon]\n");
    put_section(out, layers, &layers->all[LAYER_DAEMON], &conf->daemon);
    for (size_t i = 0; i < conf->count; i++) {
        fprintf(out, "\n[service %s]\n", conf->services[i]->service_name);
        put_section(out, layers, layer_of(layers, conf->services[i]), conf->services[i]);
    }
    if (ferror(out))
        return errno ? -errno : -EIO;
    return 0;
}

void conf_compare_fixed(const struct conf *old, const struct conf *new,
                        void (*tell)(void *context, const char *text), void *context)
{
    for (int i = 0; i < OPTIONS; i++) {
        const struct conf_option *option = &conf_options[i];
        char before[VALUE_MAX], after[VALUE_MAX], text[3 * VALUE_MAX];
        if (!option->restart)
            continue;
        option_format(option, &old->daemon, before, sizeof(before));
        option_format(option, &new->daemon, after, sizeof(after));
        if (!strcmp(before, after))
            continue;
        snprintf(text, sizeof(text),
                 "[daemon] %s: changed from \"%s\" to \"%s\", which takes effect after a restart",
                 option->name, before, after);
        tell(context, text);
    }
}
