/* Which sessions are shown, and in which order. */
#pragma once

#include "base/address.h"
#include "ctl/document.h"

/* What a session has to be; NULL: no matter. */
struct selection {
    const char *service, *client;
};

/* Leaves those that fit, in their order. -1 for a client that is no address and no network. */
int select_sessions(struct document *document, const struct selection *selection,
                    struct failure *why);

/* The words for --sort, parted by blanks. */
extern const char select_keys[];
bool select_is_key(const char *word);
/* Sorts by a key: the largest number first, texts from A on. False for a key that is none. */
bool select_sort(struct document *document, const char *key);
