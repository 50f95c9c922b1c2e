#include "conf/layers.h"

#include <stdlib.h>
#include <string.h>

static const char section_hint[] = "[daemon], [defaults] or [service NAME]";

static struct layer *append(struct layers *layers, struct findings *findings,
                            enum option_scope scope, const char *service)
{
    struct layer *more = reallocarray(layers->all, layers->count + 1, sizeof(*more));

    if (!more) {
        findings->out_of_memory = true;
        return NULL;
    }
    layers->all = more;
    more += layers->count++;
    *more = (struct layer){ .scope = scope };
    memcpy(more->service, service, strlen(service) + 1);
    return more;
}

void layers_init(struct layers *layers, struct findings *findings)
{
    *layers = (struct layers){ 0 };
    append(layers, findings, OPTION_IN_DAEMON, "");
    append(layers, findings, OPTION_IN_SERVICE, "");
}

void layers_free(struct layers *layers)
{
    free(layers->all);
    *layers = (struct layers){ 0 };
}

static struct layer *find_service(struct layers *layers, const char *name)
{
    for (size_t i = LAYER_SERVICES; i < layers->count; i++)
        if (!strcmp(layers->all[i].service, name))
            return &layers->all[i];
    return NULL;
}

/* For a bare NAME on the command line, which is a slip more often than a new service. */
static void refuse_new(struct layers *layers, struct findings *findings,
                       const struct conf_place *place, const char *name)
{
    const char *names[64], *nearest;
    size_t count = 0;

    for (size_t i = LAYER_SERVICES; i < layers->count && count < 64; i++)
        names[count++] = layers->all[i].service;
    nearest = text_nearest(name, names, count);
    if (nearest)
        findings_error(findings, place, "no such service (did you mean %s?)", nearest);
    else
        findings_error(findings, place, "no such service (write \"service %s\" to begin one)",
                       name);
}

static struct layer *service_section(struct layers *layers, struct findings *findings,
                                     const struct conf_place *place, const char *name,
                                     bool may_begin)
{
    size_t length = strlen(name);
    struct layer *layer;

    if (!length || length > SERVICE_NAME_MAX ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-")]) {
        findings_error(findings, place, "not a service's name: \"%s\" (1 to %d of a-z 0-9 . _ -)",
                       show(name, length).text, SERVICE_NAME_MAX);
        return NULL;
    }
    layer = find_service(layers, name);
    if (!layer && !may_begin)
        refuse_new(layers, findings, place, name);
    else if (!layer)
        layer = append(layers, findings, OPTION_IN_ONLY, name);
    return layer;
}

static void refuse_section(struct findings *findings, const struct conf_place *place)
{
    static const char *const words[] = { "daemon", "defaults", "service" };
    char first[SCAN_NAME_MAX + 1];
    size_t length = strcspn(place->section, " \t");

    memcpy(first, place->section, length);
    first[length] = '\0';
    const char *nearest = text_nearest(first, words, sizeof(words) / sizeof(*words));
    if (nearest)
        findings_error(findings, place, "no such section (did you mean [%s%s]?)", nearest,
                       show(place->section + length, strlen(place->section + length)).text);
    else
        findings_error(findings, place, "no such section (%s)", section_hint);
}

/* The layer that a header names; NULL when it names none, and that was told. */
static struct layer *open_section(struct layers *layers, struct findings *findings,
                                  const struct conf_place *place, bool may_begin)
{
    const char *name = place->section;
    struct layer *layer = NULL;

    if (!strcmp(name, "daemon"))
        layer = &layers->all[LAYER_DAEMON];
    else if (!strcmp(name, "defaults"))
        layer = &layers->all[LAYER_DEFAULTS];
    else if (!strncmp(name, "service", 7) && (!name[7] || strchr(" \t", name[7])))
        layer =
            service_section(layers, findings, place, name + 7 + strspn(name + 7, " \t"), may_begin);
    else
        refuse_section(findings, place);
    if (!layer)
        return NULL;
    if (layer->place.section && layer->place.source == place->source)
        findings_error(findings, place, "the section is there already (line %u)",
                       layer->place.line);
    layer->place = *place;
    return layer;
}

static void refuse_key(struct findings *findings, const struct conf_place *place,
                       enum option_scope section)
{
    static const char *const homes[] = { "[daemon]", "[defaults] or [service NAME]",
                                         "[service NAME]" };
    const char *names[OPTIONS], *nearest;
    size_t count = 0;

    for (int i = 0; i < OPTIONS; i++) {
        if (option_fits(&conf_options[i], section)) {
            names[count++] = conf_options[i].name;
        } else if (!strcmp(conf_options[i].name, place->key)) {
            findings_error(findings, place, "not in this section (it belongs in %s)",
                           homes[conf_options[i].scope]);
            return;
        }
    }
    nearest = text_nearest(place->key, names, count);
    if (nearest)
        findings_error(findings, place, "no such key (did you mean %s?)", nearest);
    else
        findings_error(findings, place, "no such key (forkechod.conf(5) has them all)");
}

static void set(struct layer *layer, struct findings *findings, const struct setting *setting)
{
    int option = option_find(setting->place.key, layer->scope);

    if (option < 0) {
        refuse_key(findings, &setting->place, layer->scope);
        return;
    }
    const struct setting *before = layer->set[option];
    if (before && before->place.source == setting->place.source)
        findings_error(findings, &setting->place, "the key is there already (line %u)",
                       before->place.line);
    layer->set[option] = setting;
}

void layers_add(struct layers *layers, struct findings *findings, const struct scan *scan,
                bool may_begin)
{
    struct layer *layer = NULL;

    if (layers->count < LAYER_SERVICES)
        return;
    for (size_t i = 0; i < scan->count; i++) {
        const struct setting *setting = &scan->settings[i];
        if (!setting->place.key)
            layer = open_section(layers, findings, &setting->place, may_begin);
        else if (layer)
            set(layer, findings, setting);
    }
}

const struct setting *layers_setting(const struct layers *layers, const struct layer *layer,
                                     int option)
{
    if (layer->set[option] || layer->scope != OPTION_IN_ONLY)
        return layer->set[option];
    return layers->all[LAYER_DEFAULTS].set[option];
}

const char *layers_text(const struct layers *layers, const struct layer *layer, int option)
{
    const struct setting *setting = layers_setting(layers, layer, option);

    return setting ? setting->value : conf_options[option].preset;
}
