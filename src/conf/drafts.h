/* Sections with their texts read into values: what becomes the configuration if all is well. */
#pragma once

#include "conf/layers.h"

struct draft {
    const struct layer *layer;
    size_t size;       /* of the object, lists included */
    void *object;      /* a zeroed struct conf_daemon or struct service; NULL without memory */
    bool bad[OPTIONS]; /* was told of, and holds the preset */
};

/* Reads every option of the layer's scope. draft_free in any case. */
void draft_read(struct findings *findings, const struct conf_request *request,
                const struct layers *layers, const struct layer *layer, struct draft *out);
void draft_free(struct draft *draft);

/* What is wrong with values together: within a service, and between services (`all`, those that are
 * not disabled). */
void drafts_check(struct findings *findings, const struct layers *layers, const struct draft *all,
                  size_t count);
