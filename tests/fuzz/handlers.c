/* Every handler that speaks bytes, over a socket pair. The first line says which and how, as
 * `upper once quit=bye`; the rest is what the client sends, in pieces. What comes back, why it is
 * over and what was counted has to be what a few lines here say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client.h"
#include "service/handlers.h"

/* What is in bulk comes so many times as often: then echo goes by a pipe. */
enum { CHARGEN_TAKES = 20000, BULK = 4000, BULK_SCRIPT_MAX = 250 };

/* What is to come of a script. */
struct outcome {
    unsigned char *bytes;
    size_t size, read; /* read: bytes that the handler takes as messages */
    enum session_end end;
};

static bool is_quit(const uint8_t *message, size_t size, const char *quit)
{
    while (size > 0 && strchr("\r\n", message[size - 1]) != NULL && message[size - 1] != '\0')
        size--;
    return *quit != '\0' && size == strlen(quit) && memcmp(message, quit, size) == 0;
}

static uint8_t answered(const char *handler, uint8_t byte)
{
    if (strcmp(handler, "next") == 0)
        return (uint8_t)(byte + 1);
    return strcmp(handler, "upper") == 0 && byte >= 'a' && byte <= 'z' ? byte & 0xdfU : byte;
}

/* For echo, upper and next. False when nothing comes after this message. */
static bool foresee_message(const struct service *service, const uint8_t *message, size_t size,
                            struct outcome *out)
{
    out->read += size;
    if (is_quit(message, size, service->quit)) {
        out->end = SESSION_QUIT;
        return false;
    }
    for (size_t i = 0; i < size; i++)
        out->bytes[out->size++] = answered(service->handler, message[i]);
    if (service->once)
        out->end = SESSION_COMPLETE;
    return !service->once;
}

static void foresee(const struct service *service, struct fuzz_part script, struct outcome *out)
{
    struct fuzz_part piece;
    *out = (struct outcome){ .bytes = malloc(script.size + 1), .end = SESSION_CLOSED };
    while (fuzz_cut(&script, CLIENT_PIECE_END, &piece)) {
        if (piece.size > 0 && piece.bytes[0] == CLIENT_DROPS)
            return;
        while (piece.size > 0) {
            size_t size = piece.size < MESSAGE_MAX ? piece.size : MESSAGE_MAX;
            if (!foresee_message(service, piece.bytes, size, out))
                return;
            piece = (struct fuzz_part){ piece.bytes + size, piece.size - size };
        }
    }
}

static void check_messages(const struct client *client, const struct service *service,
                           struct fuzz_part script)
{
    struct outcome right;
    foresee(service, script, &right);
    HOLDS(client->got_size <= right.size);
    HOLDS(client->got_size == 0 || memcmp(client->got, right.bytes, client->got_size) == 0);
    if (!client->gone) {
        HOLDS(client->got_size == right.size);
        HOLDS(client->end == right.end);
        HOLDS(client->counts.bytes_in == right.read);
    }
    free(right.bytes);
}

static void check_discard(const struct client *client, const struct service *service,
                          struct fuzz_part script)
{
    struct fuzz_part piece;
    size_t sent = 0;
    (void)service;
    while (fuzz_cut(&script, CLIENT_PIECE_END, &piece))
        sent += piece.size;
    HOLDS(client->got_size == 0);
    HOLDS(client->gone || (client->counts.bytes_in == sent && client->end == SESSION_CLOSED));
}

/* RFC 864: 72 of the 95 printing characters, each line from one further on. */
static void check_chargen(const struct client *client, const struct service *service,
                          struct fuzz_part script)
{
    (void)service;
    (void)script;
    HOLDS(client->gone && client->end == SESSION_CLOSED);
    for (size_t i = 0; i < client->got_size; i++) {
        size_t line = i / 74, column = i % 74;
        unsigned char right = column == 72   ? '\r'
                              : column == 73 ? '\n'
                                             : (unsigned char)(' ' + (line % 95 + column) % 95);
        HOLDS(client->got[i] == right);
    }
}

static void check_daytime(const struct client *client, const struct service *service,
                          struct fuzz_part script)
{
    char line[80], weekday[16], month[16];
    int day, year, hour, minute, second, used = 0;
    (void)service;
    (void)script;
    HOLDS(client->got_size < sizeof(line));
    memcpy(line, client->got, client->got_size);
    line[client->got_size] = '\0';
    HOLDS(sscanf(line, "%15[A-Za-z], %15[A-Za-z] %d, %d %d:%d:%d-UTC%n", weekday, month, &day,
                 &year, &hour, &minute, &second, &used) == 7);
    HOLDS(strcmp(line + used, "\r\n") == 0 && client->end == SESSION_COMPLETE);
}

static void check_time(const struct client *client, const struct service *service,
                       struct fuzz_part script)
{
    uint32_t since_1900 = 0;
    (void)service;
    (void)script;
    HOLDS(client->got_size == 4 && client->end == SESSION_COMPLETE);
    for (int i = 0; i < 4; i++)
        since_1900 = since_1900 << 8 | client->got[i];
    HOLDS((uint32_t)time(NULL) + 2208988800U - since_1900 < 100);
}

static const struct {
    const char *name;
    void (*check)(const struct client *client, const struct service *service,
                  struct fuzz_part script);
} handlers[] = {
    { "echo", check_messages },   { "upper", check_messages },  { "next", check_messages },
    { "discard", check_discard }, { "chargen", check_chargen }, { "daytime", check_daytime },
    { "time", check_time },
};

/* The script with each byte that a client sends BULK times. To be freed. */
static struct fuzz_part in_bulk(struct fuzz_part script, uint8_t **bytes)
{
    size_t size = 0, count = script.size < BULK_SCRIPT_MAX ? script.size : BULK_SCRIPT_MAX;
    *bytes = malloc(BULK * count + 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = script.bytes[i];
        size_t times = byte == CLIENT_PIECE_END || byte == CLIENT_DROPS ? 1 : BULK;
        memset(*bytes + size, byte, times);
        size += times;
    }
    return (struct fuzz_part){ *bytes, size };
}

/* The first line. Returns the handler's index, or -1. */
static int read_order(struct fuzz_part line, struct service *service, bool *bulk)
{
    char *text = fuzz_text(line.bytes, line.size), *rest = NULL;
    int handler = -1;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]) && handler < 0; i++)
            if (strcmp(word, handlers[i].name) == 0)
                handler = (int)i;
        if (strcmp(word, "once") == 0)
            service->once = true;
        else if (strcmp(word, "bulk") == 0)
            *bulk = true;
        else if (strncmp(word, "quit=", 5) == 0)
            snprintf(service->quit, sizeof(service->quit), "%s", word + 5);
    }
    free(text);
    if (handler >= 0)
        snprintf(service->handler, sizeof(service->handler), "%s", handlers[handler].name);
    return handler;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct service service = { .size = sizeof(service), .linger_timeout = 1000 };
    struct fuzz_part script = { bytes, size }, line;
    if (!fuzz_cut(&script, '\n', &line))
        return 0;
    bool bulk = false;
    uint8_t *longer = NULL;
    int handler = read_order(line, &service, &bulk);
    if (handler < 0)
        return 0;
    if (bulk)
        script = in_bulk(script, &longer);
    bool endless = handlers[handler].check == check_chargen;
    struct client client = { .script = script,
                             .drops = handlers[handler].check != check_daytime &&
                                      handlers[handler].check != check_time,
                             .takes = endless ? CHARGEN_TAKES : 0 };
    client_run(&client, &service);
    handlers[handler].check(&client, &service, script);
    free(client.got);
    free(longer);
    return 0;
}
