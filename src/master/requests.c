#include "master/requests.h"

#include <stdarg.h>
#include <string.h>

enum { WORDS_MAX = CONTROL_REQUEST_MAX / 2 };

static enum control_wait request_reload(const struct asked *asked)
{
    asked->master->reload.wanted = true;
    asked->client->number = asked->master->reload.number + 1;
    return WAIT_RELOAD;
}

static enum control_wait request_upgrade(const struct asked *asked)
{
    asked->master->upgrade.wanted = true;
    asked->client->number = asked->master->upgrade.number + 1;
    return WAIT_UPGRADE;
}

/* What the first argument, if there is one, names; and whether the daemon must be serving. */
enum about { ABOUT_ANYTHING, ABOUT_SERVING, ABOUT_SERVICE };

static const struct request {
    const char *name, *arguments;
    size_t least, most; /* arguments */
    enum about about;
    enum control_wait (*run)(const struct asked *asked);
} requests[] = {
    { "reload", "", 0, 0, ABOUT_SERVING, request_reload },
    { "upgrade", "", 0, 0, ABOUT_SERVING, request_upgrade },
    { "pause", " SERVICE", 1, 1, ABOUT_SERVICE, request_pause },
    { "resume", " SERVICE", 1, 1, ABOUT_SERVICE, request_resume },
    { "drain", " [SERVICE]", 0, 1, ABOUT_SERVICE, request_drain },
    { "scale", " SERVICE N|auto", 2, 2, ABOUT_SERVICE, request_scale },
    { "kill", " ID...", 1, WORDS_MAX, ABOUT_ANYTHING, request_kill },
    { "kill-client", " ADDRESS", 1, 1, ABOUT_ANYTHING, request_kill_client },
    { "log", " LEVEL|default", 1, 1, ABOUT_ANYTHING, request_log },
    { "check", "", 0, 0, ABOUT_ANYTHING, request_check },
};
enum { REQUESTS = sizeof(requests) / sizeof(requests[0]) };

void requests_log(const struct asked *asked, enum log_event event, const char *format, ...)
{
    struct log_details details = LOG_DETAILS_NONE;
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (asked->service != NULL)
        details.service = asked->service->name;
    log_event(event, &details, "%s, asked by uid %u [%d]", text, asked->client->peer.uid,
              asked->client->peer.pid);
}

static enum control_wait refuse_unknown(const struct control_client *client)
{
    char known[512] = "", shown[128];
    size_t length = 0;

    for (size_t i = 0; i < REQUESTS && length < sizeof(known); i++)
        length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s%s",
                                   i == 0 ? "" : ", ", requests[i].name, requests[i].arguments);
    control_say(client, "error: unknown request \"%s\" (known are: %s)",
                text_escape(client->line, client->length, shown, sizeof(shown)), known);
    return WAIT_NOTHING;
}

/* Cuts the line at its blanks. Returns how many words it has; there is room for all. */
static size_t split(char *line, char *words[WORDS_MAX + 1])
{
    size_t count = 0;
    char *rest;
    for (char *word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    words[count] = NULL;
    return count;
}

static enum control_wait refuse_service(const struct asked *asked)
{
    const char *names[BOARD_SERVICES];
    size_t count = 0;
    char shown[64];

    for (uint32_t i = 0; i < asked->master->service_count; i++)
        if (asked->master->services[i]->image != NULL)
            names[count++] = asked->master->services[i]->name;
    const char *near = text_nearest(asked->arguments[0], names, count);
    control_say(asked->client, "error: no such service: \"%s\"%s%s%s",
                text_escape(asked->arguments[0], strlen(asked->arguments[0]), shown, sizeof(shown)),
                near != NULL ? " (did you mean " : "", near != NULL ? near : "",
                near != NULL ? "?)" : "");
    return WAIT_NOTHING;
}

static enum control_wait run(const struct request *request, struct asked *asked)
{
    const struct master *master = asked->master;
    bool of_service = request->about == ABOUT_SERVICE && asked->count > 0;

    if (asked->count < request->least || asked->count > request->most) {
        control_say(asked->client, "error: %zu %s behind %s (right is: %s%s)", asked->count,
                    asked->count == 1 ? "argument" : "arguments", request->name, request->name,
                    request->arguments);
        return WAIT_NOTHING;
    }
    /* While a reload runs, services are between what they were and what they will be. */
    if (master->life == LIFE_STARTS ||
        (of_service && master->life == LIFE_SERVES && master->reload.conf != NULL))
        return WAIT_TURN;
    if ((of_service || request->about == ABOUT_SERVING) && master->life != LIFE_SERVES) {
        control_say(asked->client, "error: the daemon is stopping");
        return WAIT_NOTHING;
    }
    if (of_service) {
        asked->service = services_find(master, asked->arguments[0]);
        if (asked->service == NULL)
            return refuse_service(asked);
    }
    return request->run(asked);
}

enum control_wait requests_obey(struct master *master, struct control_client *client)
{
    char line[CONTROL_REQUEST_MAX];
    char *words[WORDS_MAX + 1];

    memcpy(line, client->line, client->length + 1);
    size_t count = strlen(line) == client->length ? split(line, words) : 0;
    for (size_t i = 0; i < REQUESTS && count > 0; i++) {
        struct asked asked = {
            .master = master, .client = client, .arguments = words + 1, .count = count - 1
        };
        if (strcmp(requests[i].name, words[0]) == 0)
            return run(&requests[i], &asked);
    }
    return refuse_unknown(client);
}
