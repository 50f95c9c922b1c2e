/* Who may come in: only_from and no_access. A decision without I/O. */
#pragma once

#include <stddef.h>

#include "base/address.h"

enum access_verdict { ACCESS_ALLOWED, ACCESS_NOT_LISTED, ACCESS_DENIED };

/* Both lists are in the order of network_compare. The longest prefix that holds the address wins;
 * of equal ones no_access does; without a match, an empty only_from lets in. Unix peers are let in.
 * The address is un-mapped already. */
enum access_verdict access_check(const struct network *only_from, size_t only_from_count,
                                 const struct network *no_access, size_t no_access_count,
                                 const struct address *client);
