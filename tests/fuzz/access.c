/* Lists of networks, and who may come in. The first line is an only_from, the second a no_access,
 * as a file has them; every other line is a client. The answer has to be that of somebody who looks
 * at each network and each bit. */
#include <stdlib.h>
#include <string.h>

#include "access/lists.h"
#include "conf/lists.h"
#include "fuzz.h"

/* As written, in the order it was written in. */
struct written {
    struct network *all;
    size_t count;
};

static unsigned int bit(const uint8_t *bytes, unsigned int number)
{
    return bytes[number / 8] >> (7 - number % 8) & 1U;
}

static const uint8_t *bytes_of(const struct address *client)
{
    return client->socket.any.sa_family == AF_INET ? (const uint8_t *)&client->socket.v4.sin_addr
                                                   : (const uint8_t *)&client->socket.v6.sin6_addr;
}

/* The prefix of the longest network that holds the client, or -1. */
static int match_slowly(const struct written *list, const struct address *client)
{
    int longest = -1;
    for (size_t i = 0; i < list->count; i++) {
        const struct network *network = &list->all[i];
        bool same = network->family == client->socket.any.sa_family;
        for (unsigned int at = 0; same && at < network->prefix; at++)
            same = bit(network->bytes, at) == bit(bytes_of(client), at);
        if (same && network->prefix > longest)
            longest = network->prefix;
    }
    return longest;
}

static enum access_verdict judge_slowly(const struct written *only_from,
                                        const struct written *no_access,
                                        const struct address *client)
{
    int allowed = match_slowly(only_from, client), denied = match_slowly(no_access, client);
    if (denied >= 0 && denied >= allowed)
        return ACCESS_DENIED;
    return allowed >= 0 || only_from->count == 0 ? ACCESS_ALLOWED : ACCESS_NOT_LISTED;
}

static void read_written(char *line, struct written *out)
{
    const char *hint;
    out->all = calloc(strlen(line) + 1, sizeof(*out->all));
    for (char *rest, *word = strtok_r(line, " \t,", &rest); word != NULL;
         word = strtok_r(NULL, " \t,", &rest))
        if (*word != '/' && network_parse(word, &out->all[out->count], &hint) == 0)
            out->count++;
}

/* Both ways of reading a line; false when there is none. Names of files are left out. */
static bool read_line(struct fuzz_part *rest, struct list *list, struct written *written)
{
    struct findings findings = { 0 };
    struct conf_mistakes mistakes;
    struct fuzz_part part;

    if (!fuzz_cut(rest, '\n', &part))
        return false;
    char *line = fuzz_text(part.bytes, part.size);
    for (char *slash = line; (slash = strchr(slash, '/')) != NULL; slash++)
        if (slash == line || strchr(" \t,", slash[-1]) != NULL)
            *slash = 'x';
    struct setting setting = { .place = { .file = "list", .line = 1 }, .value = line };
    lists_networks(&findings, &setting, list);
    findings_finish(&findings, &mistakes);
    conf_mistakes_free(&mistakes);
    read_written(line, written);
    free(line);
    return true;
}

static void try_client(struct fuzz_part part, const struct list lists[2],
                       const struct written written[2])
{
    struct address found[2];
    const char *hint;
    char *text = fuzz_text(part.bytes, part.size);
    int count = address_parse(text, found, &hint);

    for (int i = 0; i < count; i++)
        if (found[i].kind == ADDRESS_SOCKET) {
            enum access_verdict verdict = access_check(lists[0].items, lists[0].count,
                                                       lists[1].items, lists[1].count, &found[i]);
            HOLDS(verdict == (address_is_unix(&found[i])
                                  ? ACCESS_ALLOWED
                                  : judge_slowly(&written[0], &written[1], &found[i])));
        }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_part rest = { bytes, size }, client;
    struct list lists[2] = { { 0 }, { 0 } };
    struct written written[2] = { { 0 }, { 0 } };

    for (int i = 0; i < 2; i++)
        read_line(&rest, &lists[i], &written[i]);
    for (int i = 0; i < 2; i++)
        for (size_t j = 1; j < lists[i].count; j++) {
            const struct network *networks = lists[i].items;
            HOLDS(network_compare(&networks[j - 1], &networks[j]) < 0);
        }
    while (fuzz_cut(&rest, '\n', &client))
        try_client(client, lists, written);
    for (int i = 0; i < 2; i++) {
        free(lists[i].items);
        free(written[i].all);
    }
    return 0;
}
