#include "conf/conf.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_ini.h"
#include "conf/drafts.h"
#include "conf/origins.h"

enum { FILES_MAX = 256 };

/* A configuration while it is read. */
struct reader {
    const struct conf_request *request;
    struct findings findings;
    struct conf_origins *origins;
    struct draft daemon;
    struct draft *services;
    size_t service_count;
    bool incomplete; /* a file could not be read: what is missing may be there */
};

static struct scan *next_scan(struct reader *reader)
{
    struct conf_origins *origins = reader->origins;
    struct scan *more = reallocarray(origins->scans, origins->count + 1, sizeof(*more));

    if (!more) {
        reader->findings.out_of_memory = true;
        return NULL;
    }
    origins->scans = more;
    return &more[origins->count++];
}

static void read_file(struct reader *reader, const char *path)
{
    struct scan *scan = next_scan(reader);

    if (!scan)
        return;
    if (scan_file(&reader->findings, (unsigned int)reader->origins->count, path, scan))
        layers_add(&reader->origins->layers, &reader->findings, scan, true);
    else
        reader->incomplete = true;
}

static int is_part(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return *entry->d_name != '.' && length > 5 && !strcmp(entry->d_name + length - 5, ".conf");
}

/* In the order of bytes, whatever the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_part(struct reader *reader, const char *directory, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", directory, name) < 0) {
        reader->findings.out_of_memory = true;
        return;
    }
    read_file(reader, path);
    free(path);
}

static void read_parts(struct reader *reader, const char *directory)
{
    struct conf_place place = { .source = (unsigned int)reader->origins->count + 1,
                                .file = directory };
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_part, compare_names);

    if (count < 0 && errno == ENOMEM)
        reader->findings.out_of_memory = true;
    else if (count < 0 && errno != ENOENT) {
        findings_error(&reader->findings, &place, "cannot be read: %s", strerror(errno));
        reader->incomplete = true;
    } else if (count > FILES_MAX)
        findings_error(&reader->findings, &place, "more than %d files *.conf", FILES_MAX);
    for (int i = 0; i < count; i++) {
        if (i < FILES_MAX)
            read_part(reader, directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static void read_files(struct reader *reader, const char *file)
{
    char *directory = NULL;

    read_file(reader, file);
    if (asprintf(&directory, "%s.d", file) < 0) {
        reader->findings.out_of_memory = true;
        return;
    }
    read_parts(reader, directory);
    free(directory);
}

static void read_override(struct reader *reader, const char *text)
{
    struct scan *scan = next_scan(reader);
    bool bare;

    if (scan &&
        scan_override(&reader->findings, (unsigned int)reader->origins->count, text, scan, &bare))
        layers_add(&reader->origins->layers, &reader->findings, scan,
                   !bare || !reader->request->file);
}

static void read_values(struct reader *reader)
{
    struct findings *findings = &reader->findings;
    const struct layers *layers = &reader->origins->layers;
    struct draft defaults;

    reader->services = calloc(layers->count, sizeof(*reader->services));
    if (!reader->services) {
        findings->out_of_memory = true;
        return;
    }
    draft_read(findings, reader->request, layers, &layers->all[LAYER_DAEMON], &reader->daemon);
    /* A default that every service overrides has to be right as well. */
    draft_read(findings, reader->request, layers, &layers->all[LAYER_DEFAULTS], &defaults);
    draft_free(&defaults);
    for (size_t i = LAYER_SERVICES; i < layers->count; i++) {
        struct draft *draft = &reader->services[reader->service_count];
        draft_read(findings, reader->request, layers, &layers->all[i], draft);
        if (draft->object && ((const struct service *)draft->object)->disable)
            draft_free(draft);
        else
            reader->service_count++;
    }
}

static void check(struct reader *reader)
{
    struct conf_place place = { .source = 1, .order = UINT_MAX, .file = reader->request->file };

    drafts_check(&reader->findings, &reader->origins->layers, reader->services,
                 reader->service_count);
    if (!reader->service_count && !reader->incomplete)
        findings_error(&reader->findings, &place,
                       "no service is enabled (a section [service NAME], with handler and listen)");
    /* The second reader is for files that seem right: what is wrong was told better above. */
    for (size_t i = 0; i < reader->origins->count && findings_good(&reader->findings); i++)
        conf_ini_confirm(&reader->findings, &reader->origins->scans[i]);
}

/* Moves what was read into a configuration. */
static struct conf *assemble(struct reader *reader)
{
    struct conf *conf = calloc(1, sizeof(*conf));
    struct service **services = calloc(reader->service_count + 1, sizeof(*services));

    if (!conf || !services) {
        reader->findings.out_of_memory = true;
        free(conf);
        free(services);
        return NULL;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): all was read, or we are not here */
    memcpy(&conf->daemon, reader->daemon.object, sizeof(conf->daemon));
    conf->services = services;
    for (; conf->count < reader->service_count; conf->count++) {
        struct draft *draft = &reader->services[conf->count];
        struct service *service = draft->object;
        service->size = (uint32_t)draft->size;
        memcpy(service->service_name, draft->layer->service, sizeof(service->service_name));
        service->graceful_timeout = conf->daemon.graceful_timeout;
        service->log_address = conf->daemon.log_address;
        services[conf->count] = service;
        draft->object = NULL;
    }
    conf->origins = reader->origins;
    reader->origins = NULL;
    return conf;
}

static void free_origins(struct conf_origins *origins)
{
    if (!origins)
        return;
    for (size_t i = 0; i < origins->count; i++)
        scan_free(&origins->scans[i]);
    free(origins->scans);
    layers_free(&origins->layers);
    free(origins);
}

static void read_all(struct reader *reader)
{
    const struct conf_request *request = reader->request;

    layers_init(&reader->origins->layers, &reader->findings);
    if (request->file)
        read_files(reader, request->file);
    for (size_t i = 0; i < request->override_count; i++)
        read_override(reader, request->overrides[i]);
    /* Without memory there may be less than what was written: nothing is worth saying of it. */
    if (!reader->findings.out_of_memory)
        read_values(reader);
    if (!reader->findings.out_of_memory)
        check(reader);
}

struct conf *conf_load(const struct conf_request *request, struct conf_mistakes *mistakes)
{
    struct reader reader = { .request = request, .origins = calloc(1, sizeof(*reader.origins)) };
    struct conf *conf = NULL;

    if (reader.origins)
        read_all(&reader);
    else
        reader.findings.out_of_memory = true;
    if (findings_good(&reader.findings))
        conf = assemble(&reader);
    for (size_t i = 0; i < reader.service_count; i++)
        draft_free(&reader.services[i]);
    free(reader.services);
    draft_free(&reader.daemon);
    free_origins(reader.origins);
    findings_finish(&reader.findings, mistakes);
    if (!findings_good(&reader.findings)) {
        conf_free(conf);
        return NULL;
    }
    return conf;
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    for (size_t i = 0; i < conf->count; i++)
        free(conf->services[i]);
    free(conf->services);
    free_origins(conf->origins);
    free(conf);
}

const struct service *conf_find(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->count; i++)
        if (!strcmp(conf->services[i]->service_name, name))
            return conf->services[i];
    return NULL;
}
