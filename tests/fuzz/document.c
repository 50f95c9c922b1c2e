/* Any text as /status.json to forkechoctl's reader. What it takes is JSON, can be shown on a
 * terminal, and is as long as it says. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/document.h"
#include "fuzz.h"

/* ---- RFC 8259, as the grammar says it: where a value ends, or NULL ---- */

static const char *blanks(const char *at, const char *end)
{
    while (at < end && memchr(" \t\r\n", *at, 4) != NULL)
        at++;
    return at;
}

static const char *string(const char *at, const char *end)
{
    if (at == end || *at++ != '"')
        return NULL;
    while (at < end && *at != '"') {
        bool escape = *at == '\\';
        if ((unsigned char)*at < ' ' || (escape && ++at == end) ||
            (escape && memchr("\"\\/bfnrtu", *at, 9) == NULL))
            return NULL;
        for (int i = 0; escape && *at == 'u' && i < 4; i++)
            if (end - at <= i + 1 || !isxdigit((unsigned char)at[i + 1]))
                return NULL;
        at++;
    }
    return at < end ? at + 1 : NULL;
}

static const char *digits(const char *at, const char *end)
{
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > first ? at : NULL;
}

static const char *number(const char *at, const char *end)
{
    at += at < end && *at == '-';
    at = at < end && *at == '0' ? at + 1 : digits(at, end);
    if (at != NULL && at < end && *at == '.')
        at = digits(at + 1, end);
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        at = digits(at, end);
    }
    return at;
}

static const char *value(const char *at, const char *end);

static const char *many(const char *at, const char *end, bool named)
{
    char close = named ? '}' : ']';
    at = blanks(at + 1, end);
    if (at < end && *at == close)
        return at + 1;
    for (;; at++) {
        if (named) {
            at = string(blanks(at, end), end);
            if (at == NULL || (at = blanks(at, end)) == end || *at++ != ':')
                return NULL;
        }
        at = value(at, end);
        if (at == NULL || at == end || (*at != ',' && *at != close))
            return NULL;
        if (*at == close)
            return at + 1;
    }
}

static const char *value(const char *at, const char *end)
{
    static const char *const words[] = { "true", "false", "null" };
    at = blanks(at, end);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(end - at) >= length && memcmp(at, words[i], length) == 0)
            return blanks(at + length, end);
    }
    if (at == end)
        return NULL;
    at = *at == '{' || *at == '[' ? many(at, end, *at == '{')
         : *at == '"'             ? string(at, end)
                                  : number(at, end);
    return at == NULL ? NULL : blanks(at, end);
}

/* ---- what is taken ---- */

static void check_plain(const char *text)
{
    HOLDS(text != NULL);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        HOLDS(*at >= ' ' && *at != 0x7f && !(at[0] == 0xc2 && at[1] < 0xa0));
}

static void check_counts(const struct document_counts *counts)
{
    for (size_t i = 0; i < counts->count; i++)
        check_plain(counts->items[i].reason);
}

static void check_service(const struct document_service *service)
{
    check_plain(service->name);
    check_plain(service->handler);
    check_plain(service->state);
    check_plain(service->process_model);
    check_counts(&service->ended);
    check_counts(&service->refused);
    const char *address = service->listen;
    for (size_t i = 0; i < service->listen_count; i++)
        address += strlen(address) + 1;
    HOLDS(service->accepted_per_s >= 0 && service->refused_per_s >= 0 && service->bytes_per_s >= 0);
}

static void check(const struct document *document, const char *text, size_t size)
{
    check_plain(document->daemon.version);
    check_plain(document->daemon.life);
    check_plain(document->daemon.log_level);
    for (size_t i = 0; i < document->service_count; i++)
        check_service(&document->services[i]);
    for (size_t i = 0; i < document->session_count; i++) {
        const struct document_session *session = &document->sessions[i];
        check_plain(session->id);
        check_plain(session->service);
        check_plain(session->client);
        check_plain(session->state);
        HOLDS(session->age_s >= 0 && session->idle_s >= 0);
        HOLDS(session->json >= text && session->json_size >= 2 &&
              session->json_size <= (size_t)(text + size - session->json));
        HOLDS(session->json[0] == '{' && session->json[session->json_size - 1] == '}');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct document document;
    struct failure why = { .text = "" };
    char *text = malloc(size > 0 ? size : 1); /* not terminated */
    memcpy(text, bytes, size);
    if (document_read(&document, text, size, &why) == 0) {
        HOLDS(value(text, text + size) == text + size);
        check(&document, text, size);
        document_free(&document);
    } else {
        check_plain(why.text);
        HOLDS(why.text[0] != '\0');
    }
    free(text);
    return 0;
}
