/* Any text as /status.json to forkechoctl's reader. What it takes can be shown on a terminal, and
 * is as long as it says. */
#include <stdlib.h>
#include <string.h>

#include "ctl/document.h"
#include "fuzz.h"

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
        check(&document, text, size);
        document_free(&document);
    } else {
        check_plain(why.text);
        HOLDS(why.text[0] != '\0');
    }
    free(text);
    return 0;
}
