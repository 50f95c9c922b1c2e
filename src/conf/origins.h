/* What a configuration was made from, kept so that it can say where each value was written. */
#pragma once

#include "conf/layers.h"

struct conf_origins {
    struct scan *scans; /* files and overrides in the order of reading */
    size_t count;
    struct layers layers;
};
