#include "access/lists.h"

enum { NO_MATCH = -1 };

/* The first entry from `start` on that does not come before `wanted`. */
static size_t find_from(const struct network *list, size_t start, size_t count,
                        const struct network *wanted)
{
    while (start < count) {
        size_t middle = start + (count - start) / 2;
        if (network_compare(&list[middle], wanted) < 0)
            start = middle + 1;
        else
            count = middle;
    }
    return start;
}

/* The longest prefix in the list that holds the client. Networks of one length lie together, the
 * longest first: a search in each length that occurs, a search for where the next one begins. */
static int longest_match(const struct network *list, size_t count, const struct address *client)
{
    struct network whole = network_of(client, UINT8_MAX);
    struct network begin = { .family = whole.family, .prefix = whole.prefix };
    size_t at = find_from(list, 0, count, &begin);

    while (at < count && list[at].family == whole.family) {
        struct network wanted = network_of(client, list[at].prefix);
        at = find_from(list, at, count, &wanted);
        if (at < count && !network_compare(&list[at], &wanted))
            return wanted.prefix;
        if (wanted.prefix == 0)
            break;
        begin.prefix = (uint16_t)(wanted.prefix - 1);
        at = find_from(list, at, count, &begin);
    }
    return NO_MATCH;
}

enum access_verdict access_check(const struct network *only_from, size_t only_from_count,
                                 const struct network *no_access, size_t no_access_count,
                                 const struct address *client)
{
    if (address_is_unix(client))
        return ACCESS_ALLOWED;
    int allowed = longest_match(only_from, only_from_count, client);
    int denied = longest_match(no_access, no_access_count, client);
    if (denied != NO_MATCH && denied >= allowed)
        return ACCESS_DENIED;
    return allowed != NO_MATCH || only_from_count == 0 ? ACCESS_ALLOWED : ACCESS_NOT_LISTED;
}
