/* What can be asked over the control socket: one row a request. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log/log.h"
#include "master/state.h"

enum { WORDS_MAX = CONTROL_LINE_MAX / 2 };

static void answer(struct control_client *client, int result, const struct failure *why)
{
    if (result == 0)
        control_say(client, "ok");
    else
        control_say(client, "error: %s", why->text);
    control_hang_up(client);
}

static void ask_reload(struct master *master, struct control_client *client, char **words)
{
    (void)words;
    master->reload.wanted = true;
    client->reload = master->reload.number + 1;
    client->deadline_ms = 0;
}

static void ask_upgrade(struct master *master, struct control_client *client, char **words)
{
    (void)words;
    master->upgrade.wanted = true;
    client->upgrade = master->upgrade.number + 1;
    client->deadline_ms = 0;
}

/* The service that is named, or an answer that there is none. */
static struct service_state *find(struct master *master, struct control_client *client,
                                  const char *name)
{
    struct service_state *service = switches_find(master, name);
    if (service != NULL)
        return service;
    char shown[128];
    control_say(client, "error: there is no service \"%s\"",
                text_escape(name, strlen(name), shown, sizeof(shown)));
    control_hang_up(client);
    return NULL;
}

static void ask_pause(struct master *master, struct control_client *client, char **words)
{
    struct failure why;
    struct service_state *service = find(master, client, words[0]);
    if (service != NULL)
        answer(client, switches_pause(master, service, &why), &why);
}

static void ask_resume(struct master *master, struct control_client *client, char **words)
{
    struct failure why;
    struct service_state *service = find(master, client, words[0]);
    if (service != NULL)
        answer(client, switches_resume(master, service, &why), &why);
}

static void ask_drain(struct master *master, struct control_client *client, char **words)
{
    struct failure why;
    if (words[0] == NULL) {
        answer(client, 0, NULL);
        stop_begin(master, false);
        return;
    }
    struct service_state *service = find(master, client, words[0]);
    if (service != NULL)
        answer(client, switches_drain(master, service, &why), &why);
}

static void ask_scale(struct master *master, struct control_client *client, char **words)
{
    struct failure why;
    uint64_t workers = 0;
    const char *hint = NULL;
    struct service_state *service = find(master, client, words[0]);
    if (service == NULL)
        return;
    if (strcmp(words[1], "auto") != 0 && text_parse_count(words[1], 1, UINT32_MAX, &workers, &hint))
        answer(client, failure_set(&why, 0, "a number of workers or auto (%s)", hint), &why);
    else
        answer(client, switches_scale(master, service, (uint32_t)workers, &why), &why);
}

static void ask_log(struct master *master, struct control_client *client, char **words)
{
    struct failure why;
    int level = strcmp(words[0], "default") == 0 ? -1 : report_level(words[0]);
    if (level == -2) {
        answer(client, failure_set(&why, 0, "crit, err, warning, notice, info, debug or default"),
               &why);
        return;
    }
    switches_log(master, level);
    answer(client, 0, NULL);
}

/* SLOT-TURN. */
static bool read_id(const char *text, uint32_t *slot, uint32_t *turn)
{
    char *end;
    unsigned long first = strtoul(text, &end, 10);
    if (end == text || *end != '-' || first > UINT32_MAX)
        return false;
    const char *rest = end + 1;
    unsigned long second = strtoul(rest, &end, 10);
    if (end == rest || *end != '\0' || second > UINT32_MAX || *text == '-' || *rest == '-')
        return false;
    *slot = (uint32_t)first;
    *turn = (uint32_t)second;
    return true;
}

/* Tells the listener of a session to end it. Nobody but its listener can: a process number that
 * stands in shared memory is never signalled. */
static bool end_session(struct master *master, uint32_t slot, uint32_t turn)
{
    struct board_row row;
    if (slot >= master->board.slots || !board_read(&master->board, slot, &row) ||
        row.turn != turn || !board_row_is_session(&row))
        return false;
    struct generation *generation = &master->generations[row.block % BOARD_BLOCKS];
    if (generation->state != GENERATION_SERVING && generation->state != GENERATION_DRAINING)
        return false;
    generation_end_session(generation, slot, turn);
    return true;
}

static void ask_kill(struct master *master, struct control_client *client, char **words)
{
    size_t lost = 0;
    uint32_t slot, turn;
    const char *missing[WORDS_MAX];
    for (; *words != NULL; words++)
        if (!read_id(*words, &slot, &turn) || !end_session(master, slot, turn))
            missing[lost++] = *words;
    control_say(client, lost == 0 ? "ok" : "rejected");
    for (size_t i = 0; i < lost; i++) {
        char shown[64];
        control_say(client, "there is no session \"%s\"",
                    text_escape(missing[i], strlen(missing[i]), shown, sizeof(shown)));
    }
    control_hang_up(client);
}

/* The address as rows show it, without a port: canonical, IPv6 in brackets. */
static void canonical(const char *text, char *out, size_t size)
{
    struct in6_addr address;
    char shown[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET6, text, &address) == 1 &&
        inet_ntop(AF_INET6, &address, shown, sizeof(shown)) != NULL)
        snprintf(out, size, "[%s]", shown);
    else
        snprintf(out, size, "%s", text);
}

static bool is_client(const char *shown, const char *wanted)
{
    size_t length = strlen(wanted);
    return strncmp(shown, wanted, length) == 0 &&
           (shown[length] == '\0' ||
            (shown[length] == ':' && strchr(shown + length + 1, ':') == NULL));
}

static void ask_kill_client(struct master *master, struct control_client *client, char **words)
{
    char wanted[BOARD_CLIENT_MAX];
    unsigned int ended = 0;
    struct failure why;
    if (master->conf->daemon.log_address != ADDRESS_FULL) {
        answer(client, failure_set(&why, 0, "clients are not known: log_address is not full"),
               &why);
        return;
    }
    canonical(words[0], wanted, sizeof(wanted));
    for (unsigned int block = 0; block < BOARD_BLOCKS; block++) {
        struct board_row row;
        int64_t slot = -1;
        if (master->generations[block].state == GENERATION_NONE)
            continue;
        while ((slot = board_next(&master->board, block, slot)) >= 0)
            if (board_read(&master->board, (uint32_t)slot, &row) && is_client(row.client, wanted))
                ended += end_session(master, (uint32_t)slot, row.turn);
    }
    control_say(client, ended > 0 ? "ok" : "rejected");
    control_say(client, "%u %s ended", ended, ended == 1 ? "session" : "sessions");
    control_hang_up(client);
}

static void ask_check(struct master *master, struct control_client *client, char **words)
{
    (void)words;
    audit_begin(master, client);
}

static const struct request {
    const char *name;
    unsigned int least, most; /* arguments */
    void (*act)(struct master *master, struct control_client *client, char **words);
} requests[] = {
    { "reload", 0, 0, ask_reload },     { "pause", 1, 1, ask_pause },
    { "resume", 1, 1, ask_resume },     { "drain", 0, 1, ask_drain },
    { "kill", 1, WORDS_MAX, ask_kill }, { "kill-client", 1, 1, ask_kill_client },
    { "log", 1, 1, ask_log },           { "scale", 2, 2, ask_scale },
    { "check", 0, 0, ask_check },       { "upgrade", 0, 0, ask_upgrade },
};

enum { REQUESTS = sizeof(requests) / sizeof(requests[0]) };

static void refuse_unknown(struct control_client *client, const char *line)
{
    char shown[128], names[256];
    size_t length = 0;
    for (size_t i = 0; i < REQUESTS; i++)
        length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
                                   i == 0 ? "" : " ", requests[i].name);
    control_say(client, "error: unknown request \"%s\" (%s are known)",
                text_escape(line, strlen(line), shown, sizeof(shown)), names);
    control_hang_up(client);
}

void requests_obey(struct master *master, struct control_client *client)
{
    char *words[WORDS_MAX + 1] = { NULL };
    unsigned int count = 0;
    const struct request *request = NULL;
    char *rest = NULL;

    for (char *word = strtok_r(client->line, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    for (size_t i = 0; i < REQUESTS && count > 0; i++)
        if (strcmp(requests[i].name, words[0]) == 0)
            request = &requests[i];
    if (request == NULL) {
        refuse_unknown(client, count > 0 ? words[0] : "");
    } else if (count - 1 < request->least || count - 1 > request->most) {
        control_say(client, "error: %s takes %u to %u arguments", request->name, request->least,
                    request->most);
        control_hang_up(client);
    } else if (master->life == LIFE_STOPS || master->life == LIFE_DRAINS) {
        control_say(client, "error: the daemon is stopping");
        control_hang_up(client);
    } else {
        request->act(master, client, words + 1);
    }
}
