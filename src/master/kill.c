/* Sessions that the operator ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "master/requests.h"

/* SLOT-TURN. */
static bool parse_id(const char *text, uint32_t *slot, uint32_t *turn)
{
    const char *hint, *dash = strchr(text, '-');
    char first[16];
    uint64_t values[2];

    if (dash == NULL || (size_t)(dash - text) >= sizeof(first))
        return false;
    memcpy(first, text, (size_t)(dash - text));
    first[dash - text] = '\0';
    if (text_parse_count(first, 0, UINT32_MAX, &values[0], &hint) < 0 ||
        text_parse_count(dash + 1, 1, UINT32_MAX, &values[1], &hint) < 0)
        return false;
    *slot = (uint32_t)values[0];
    *turn = (uint32_t)values[1];
    return true;
}

/* The session in the slot, and whose it is; NULL when there is none. */
static struct generation *read_session(struct master *master, uint32_t slot, struct board_row *row)
{
    if (slot >= master->board.slots || !board_read(&master->board, slot, row) ||
        !board_row_is_session(row) || row->block >= BOARD_BLOCKS)
        return NULL;
    struct generation *generation = &master->generations[row->block];
    return generation->state == GENERATION_NONE ? NULL : generation;
}

static int end(struct master *master, struct generation *generation, uint32_t slot,
               const struct board_row *row)
{
    int result = generation_end_session(generation, slot, row->turn, row->pid);
    /* Should its listener die first: so that its end is told for what it is. */
    if (result == 0)
        atomic_store(&master->board.slot[slot].killed, row->turn);
    return result;
}

/* 0, -ESRCH or -EAGAIN. */
static int end_named(const struct asked *asked, const char *id)
{
    struct board_row row;
    uint32_t slot, turn;

    if (!parse_id(id, &slot, &turn))
        return -ESRCH;
    struct generation *generation = read_session(asked->master, slot, &row);
    if (generation == NULL || row.turn != turn)
        return -ESRCH;
    int result = end(asked->master, generation, slot, &row);
    if (result == 0)
        requests_log(asked, EVENT_SESSION_KILLED, "%s %s %s [%d]",
                     asked->master->services[generation->service]->name, row.client, id, row.pid);
    return result;
}

enum control_wait request_kill(const struct asked *asked)
{
    int results[CONTROL_REQUEST_MAX / 2];
    uint32_t slot, turn;
    bool whole = true;

    for (size_t i = 0; i < asked->count; i++)
        if (!parse_id(asked->arguments[i], &slot, &turn)) {
            char shown[64];
            control_say(asked->client, "error: \"%s\" is no ID (SLOT-TURN, as in 17-42)",
                        text_escape(asked->arguments[i], strlen(asked->arguments[i]), shown,
                                    sizeof(shown)));
            return WAIT_NOTHING;
        }
    for (size_t i = 0; i < asked->count; i++) {
        results[i] = end_named(asked, asked->arguments[i]);
        whole &= results[i] == 0;
    }
    if (whole)
        control_say(asked->client, "ok\nsessions told to end: %zu", asked->count);
    else
        control_say(asked->client, "rejected");
    for (size_t i = 0; i < asked->count; i++)
        if (results[i] != 0)
            control_say(asked->client, "%s: %s", asked->arguments[i],
                        results[i] == -EAGAIN ? "its listener is busy (ask again)"
                                              : "there is no such session, or no more");
    return WAIT_NOTHING;
}

/* An address as rows show it: whole, or with `any_port` all that stands in front of the port.
 * False with *hint when it is none. */
static bool parse_client(const char *text, char *out, size_t size, bool *any_port,
                         const char **hint)
{
    struct address addresses[2];
    struct in6_addr v6;
    char whole[ADDRESS_TEXT_MAX];
    size_t length = strlen(text);
    bool bare_v6 = inet_pton(AF_INET6, text, &v6) == 1 || strchr(text, '%') != NULL;

    *hint = "as 192.0.2.7, 192.0.2.7:51234, 2001:db8::1, [2001:db8::1]:33410 or unix";
    *any_port = false;
    if (strcmp(text, "unix") == 0) {
        snprintf(out, size, "unix");
        return true;
    }
    if (text[0] != '[' && bare_v6)
        snprintf(whole, sizeof(whole), "[%s]:1", text);
    else if ((length > 0 && text[length - 1] == ']') || strchr(text, ':') == NULL)
        snprintf(whole, sizeof(whole), "%s:1", text);
    else
        snprintf(whole, sizeof(whole), "%s", text);
    *any_port = strlen(whole) != length;
    if (address_parse(whole, addresses, hint) != 1 || addresses[0].kind != ADDRESS_SOCKET ||
        address_is_unix(&addresses[0]))
        return false;
    address_unmap(&addresses[0]);
    address_format(&addresses[0], out, size);
    if (*any_port)
        out[strlen(out) - 1] = '\0'; /* the 1: what is left ends in a colon */
    return true;
}

/* Ends the sessions of the generation that come from there. `rest`: but those that were told
 * already. Returns whether there was room to tell all. */
static bool end_client(const struct asked *asked, unsigned int block, const char *client,
                       bool any_port, bool rest)
{
    struct master *master = asked->master;
    size_t length = strlen(client) + !any_port;
    struct board_row row;
    int64_t slot = -1;

    while ((slot = board_next(&master->board, block, slot)) >= 0) {
        struct generation *generation = read_session(master, (uint32_t)slot, &row);
        if (generation == NULL || strncmp(row.client, client, length) != 0 ||
            (rest && atomic_load(&master->board.slot[slot].killed) == row.turn))
            continue;
        int result = end(master, generation, (uint32_t)slot, &row);
        asked->client->number += result == 0;
        if (result == -EAGAIN)
            return false;
    }
    return true;
}

enum control_wait request_kill_client(const struct asked *asked)
{
    struct master *master = asked->master;
    char client[ADDRESS_TEXT_MAX], shown[64];
    const char *given = asked->arguments[0], *hint;
    bool any_port, all = true, rest = asked->client->waits == WAIT_TURN;

    text_escape(given, strlen(given), shown, sizeof(shown));
    if (!parse_client(given, client, sizeof(client), &any_port, &hint)) {
        control_say(asked->client, "error: \"%s\" is no client's address (%s)", shown, hint);
        return WAIT_NOTHING;
    }
    if (master->conf->daemon.log_address != ADDRESS_FULL) {
        control_say(asked->client,
                    "error: the daemon does not keep whole addresses (log_address is "
                    "not full): kill by ID");
        return WAIT_NOTHING;
    }
    for (unsigned int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE)
            all &= end_client(asked, i, client, any_port, rest);
    if (!all)
        return WAIT_TURN;
    unsigned long long ended = asked->client->number;
    if (ended > 0)
        requests_log(asked, EVENT_SESSION_KILLED, "sessions of %s: %llu", shown, ended);
    control_say(asked->client, ended > 0 ? "ok" : "rejected");
    if (ended > 0)
        control_say(asked->client, "sessions of %s told to end: %llu", shown, ended);
    else
        control_say(asked->client, "there is no session of %s", shown);
    return WAIT_NOTHING;
}
