/* The sections of all files laid over one another: which setting of each key counts. */
#pragma once

#include "conf/options.h"
#include "conf/scan.h"

/* All that was said of one section. */
struct layer {
    enum option_scope scope;
    char service[SERVICE_NAME_MAX + 1]; /* "" for [daemon] and [defaults] */
    struct conf_place place;            /* of its last header; no section: it was never there */
    const struct setting *set[OPTIONS]; /* the last one of each key; NULL: none */
};

enum { LAYER_DAEMON, LAYER_DEFAULTS, LAYER_SERVICES }; /* from the third on, services */

struct layers {
    struct layer *all;
    size_t count;
};

/* Lays a file, or an override, over what is there. The scan has to outlive the layers. Without
 * `may_begin`, it may not name a service that is not there yet. */
void layers_add(struct layers *layers, struct findings *findings, const struct scan *scan,
                bool may_begin);
/* Begins with an empty [daemon] and [defaults]. */
void layers_init(struct layers *layers, struct findings *findings);
void layers_free(struct layers *layers);

/* The setting that counts: the section's own, or else that of [defaults]; NULL: the preset. */
const struct setting *layers_setting(const struct layers *layers, const struct layer *layer,
                                     int option);
/* Its text, or the preset's. */
const char *layers_text(const struct layers *layers, const struct layer *layer, int option);
