#include "ctl/select.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* A client as it was asked for: an address with its port, or a network. */
struct wanted {
    const char *text;
    struct network network;
    bool is_network;
};

static int read_client(const char *client, struct wanted *wanted, struct failure *why)
{
    struct address addresses[2];
    const char *hint;
    *wanted = (struct wanted){ .text = client };
    if (strcmp(client, "unix") == 0 || strcmp(client, "-") == 0)
        return 0;
    wanted->is_network = network_parse(client, &wanted->network, &hint) == 0;
    if (wanted->is_network || address_parse(client, addresses, &hint) == 1)
        return 0;
    return failure_set(why, EX_USAGE, "client %s: not an address or network (%s)", client, hint);
}

static bool is_client(const struct wanted *wanted, const char *client)
{
    struct address addresses[2];
    const char *hint;
    if (!wanted->is_network)
        return strcmp(wanted->text, client) == 0;
    return address_parse(client, addresses, &hint) == 1 &&
           network_holds(&wanted->network, &addresses[0]);
}

int select_sessions(struct document *document, const struct selection *selection,
                    struct failure *why)
{
    struct wanted wanted;
    size_t kept = 0;
    if (selection->client != NULL && read_client(selection->client, &wanted, why) < 0)
        return -1;
    for (size_t i = 0; i < document->session_count; i++) {
        const struct document_session *session = &document->sessions[i];
        if ((selection->service == NULL || strcmp(selection->service, session->service) == 0) &&
            (selection->client == NULL || is_client(&wanted, session->client)))
            document->sessions[kept++] = *session;
    }
    document->session_count = kept;
    return 0;
}

#define BY_NUMBER(name, member)                                                                    \
    static int by_##name(const void *a, const void *b)                                             \
    {                                                                                              \
        const struct document_session *first = a, *second = b;                                     \
        if (first->member != second->member)                                                       \
            return first->member < second->member ? 1 : -1;                                        \
        return strcmp(first->id, second->id);                                                      \
    }
#define BY_TEXT(name, member)                                                                      \
    static int by_##name(const void *a, const void *b)                                             \
    {                                                                                              \
        const struct document_session *first = a, *second = b;                                     \
        int order = strcmp(first->member, second->member);                                         \
        return order != 0 ? order : strcmp(first->id, second->id);                                 \
    }

BY_NUMBER(age, age_s)
BY_NUMBER(idle, idle_s)
BY_NUMBER(in, bytes_in)
BY_NUMBER(out, bytes_out)
BY_NUMBER(in_per_s, in_per_s)
BY_NUMBER(out_per_s, out_per_s)
BY_NUMBER(turns, turns)
BY_NUMBER(pid, pid)
BY_TEXT(id, id)
BY_TEXT(service, service)
BY_TEXT(client, client)
BY_TEXT(state, state)

static const struct {
    const char *name;
    int (*compare)(const void *a, const void *b);
} keys[] = {
    { "age", by_age },         { "idle", by_idle },     { "in", by_in },
    { "out", by_out },         { "in/s", by_in_per_s }, { "out/s", by_out_per_s },
    { "turns", by_turns },     { "pid", by_pid },       { "id", by_id },
    { "service", by_service }, { "client", by_client }, { "state", by_state },
};

const char select_keys[] = "age idle in out in/s out/s turns pid id service client state";

bool select_is_key(const char *word)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i].name, word) == 0)
            return true;
    return false;
}

bool select_sort(struct document *document, const char *key)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i].name, key) == 0) {
            qsort(document->sessions, document->session_count, sizeof(*document->sessions),
                  keys[i].compare);
            return true;
        }
    return false;
}
