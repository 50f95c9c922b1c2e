/* Values that are lists: addresses to listen on, networks, and files of networks. */
#pragma once

#include "conf/scan.h"

struct list {
    void *items;
    size_t count;
};

/* Read `setting`'s value into the list; what is wrong is told, and left out. */
void lists_addresses(struct findings *findings, const struct setting *setting, struct list *out);
/* In the order of network_compare, each once. */
void lists_networks(struct findings *findings, const struct setting *setting, struct list *out);
