#include "ctl/document.h"

#include <string.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/text.h"

enum kind { TEXT, NUMBER, REAL, FLAG, ARRAY, OBJECT };

/* A member of a JSON object, and where it goes. */
struct member {
    const char *name;
    enum kind kind;
    size_t at;
};

#define DAEMON(kind, member)                                                                       \
    {                                                                                              \
#member, kind, offsetof(struct document_daemon, member)                                    \
    }
#define SERVICE(kind, member)                                                                      \
    {                                                                                              \
#member, kind, offsetof(struct document_service, member)                                   \
    }
#define SESSION(kind, member)                                                                      \
    {                                                                                              \
#member, kind, offsetof(struct document_session, member)                                   \
    }

static const struct member daemon_members[] = {
    DAEMON(TEXT, version),         DAEMON(TEXT, life),
    DAEMON(TEXT, log_level),       DAEMON(NUMBER, pid),
    DAEMON(NUMBER, started),       DAEMON(NUMBER, uptime_s),
    DAEMON(NUMBER, live),          DAEMON(NUMBER, max_sessions),
    DAEMON(NUMBER, reloads),       DAEMON(NUMBER, log_lines_dropped),
    DAEMON(NUMBER, upgrades),      DAEMON(FLAG, log_level_switched),
    DAEMON(FLAG, reload_rejected), { NULL, TEXT, 0 },
};

static const struct member service_members[] = {
    SERVICE(TEXT, name),
    SERVICE(TEXT, handler),
    SERVICE(TEXT, state),
    SERVICE(TEXT, process_model),
    SERVICE(NUMBER, instances),
    SERVICE(NUMBER, live),
    SERVICE(NUMBER, waiting),
    SERVICE(NUMBER, generations),
    SERVICE(NUMBER, accepted),
    SERVICE(NUMBER, bytes_in),
    SERVICE(NUMBER, bytes_out),
    SERVICE(NUMBER, live_bytes_in),
    SERVICE(NUMBER, live_bytes_out),
    SERVICE(NUMBER, fork_failures),
    SERVICE(NUMBER, records_dropped),
    SERVICE(ARRAY, listen),
    SERVICE(OBJECT, ended),
    SERVICE(OBJECT, refused),
    { NULL, TEXT, 0 },
};

static const struct member pool_members[] = {
    SERVICE(NUMBER, workers),
    SERVICE(NUMBER, idle),
    SERVICE(NUMBER, scale),
    { NULL, TEXT, 0 },
};

static const struct member rate_members[] = {
    SERVICE(REAL, accepted_per_s),
    SERVICE(REAL, refused_per_s),
    SERVICE(REAL, bytes_per_s),
    { NULL, TEXT, 0 },
};

static const struct member session_members[] = {
    SESSION(TEXT, id),          SESSION(TEXT, service), SESSION(TEXT, client),
    SESSION(TEXT, state),       SESSION(NUMBER, pid),   SESSION(NUMBER, bytes_in),
    SESSION(NUMBER, bytes_out), SESSION(NUMBER, turns), SESSION(REAL, age_s),
    SESSION(REAL, idle_s),      SESSION(FLAG, torn),    { NULL, TEXT, 0 },
};

/* No byte of it, and no character of two bytes (C1), tells a terminal to do something. */
static bool is_plain(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        if (*at < ' ' || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
            return false;
    return true;
}

static bool is_kind(const json_t *value, enum kind kind)
{
    switch (kind) {
    case TEXT:
        return json_is_string(value) && is_plain(json_string_value(value));
    case NUMBER:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case REAL:
        return json_is_number(value) && json_number_value(value) >= 0;
    case FLAG:
        return json_is_boolean(value);
    case ARRAY:
        return json_is_array(value);
    case OBJECT:
        return json_is_object(value);
    }
    return false;
}

static void store(void *at, const json_t *value, enum kind kind)
{
    switch (kind) {
    case TEXT:
        *(const char **)at = json_string_value(value);
        break;
    case NUMBER:
        *(uint64_t *)at = (uint64_t)json_integer_value(value);
        break;
    case REAL:
        *(double *)at = json_number_value(value);
        break;
    case FLAG:
        *(bool *)at = json_is_true(value);
        break;
    case ARRAY:
    case OBJECT:
        *(const json_t **)at = value;
        break;
    }
}

static int read_object(const json_t *object, const char *what, const struct member *members,
                       void *out, struct failure *why)
{
    if (!json_is_object(object))
        return failure_set(why, EX_PROTOCOL, "the status has no %s", what);
    for (; members->name != NULL; members++) {
        const json_t *value = json_object_get(object, members->name);
        if (value == NULL || !is_kind(value, members->kind))
            return failure_set(why, EX_PROTOCOL, "the status has no right %s of a %s",
                               members->name, what);
        store((char *)out + members->at, value, members->kind);
    }
    return 0;
}

static int check_counts(const json_t *counts, const char *what, struct failure *why)
{
    const char *reason;
    json_t *count;
    json_object_foreach((json_t *)counts, reason, count)
    {
        if (!is_plain(reason) || !is_kind(count, NUMBER))
            return failure_set(why, EX_PROTOCOL, "the status has no right count of %s", what);
    }
    return 0;
}

static int sum_refused(struct document_service *service, struct failure *why)
{
    json_int_t most = 0;
    const char *reason;
    json_t *count;
    if (check_counts(service->ended, "ends", why) < 0 ||
        check_counts(service->refused, "refusals", why) < 0)
        return -1;
    json_object_foreach((json_t *)service->refused, reason, count)
    {
        service->refused_total += (uint64_t)json_integer_value(count);
        if (json_integer_value(count) > most) {
            most = json_integer_value(count);
            service->refused_most = reason;
        }
    }
    return 0;
}

static int read_service(json_t *object, struct document_service *out, struct failure *why)
{
    const json_t *pool = json_object_get(object, "pool");
    if (read_object(object, "service", service_members, out, why) < 0 ||
        read_object(json_object_get(object, "rates"), "service's rates", rate_members, out, why) <
            0)
        return -1;
    out->has_pool = json_is_object(pool);
    if (out->has_pool && read_object(pool, "service's pool", pool_members, out, why) < 0)
        return -1;
    return sum_refused(out, why);
}

static int read_services(struct document *document, struct failure *why)
{
    const json_t *all = json_object_get(document->root, "services");
    if (!json_is_array(all))
        return failure_set(why, EX_PROTOCOL, "the status has no services");
    document->services = calloc(json_array_size(all) + 1, sizeof(*document->services));
    if (document->services == NULL)
        return failure_set(why, EX_OSERR, "out of memory");
    for (size_t i = 0; i < json_array_size(all); i++)
        if (read_service(json_array_get(all, i), &document->services[document->service_count++],
                         why) < 0)
            return -1;
    return 0;
}

static int read_sessions(struct document *document, struct failure *why)
{
    const json_t *all = json_object_get(document->root, "sessions");
    if (all != NULL && !json_is_array(all))
        return failure_set(why, EX_PROTOCOL, "the status has no sessions");
    document->sessions = calloc(json_array_size(all) + 1, sizeof(*document->sessions));
    if (document->sessions == NULL)
        return failure_set(why, EX_OSERR, "out of memory");
    for (size_t i = 0; i < json_array_size(all); i++) {
        struct document_session *session = &document->sessions[document->session_count++];
        session->json = json_array_get(all, i);
        if (read_object(session->json, "session", session_members, session, why) < 0)
            return -1;
    }
    return 0;
}

int document_read(struct document *document, const char *text, size_t size, struct failure *why)
{
    json_error_t error;
    char shown[2 * JSON_ERROR_TEXT_LENGTH];
    *document = (struct document){ .root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error) };
    if (document->root == NULL)
        return failure_set(why, EX_PROTOCOL, "the status is no JSON: line %d: %s", error.line,
                           text_escape(error.text, strlen(error.text), shown, sizeof shown));
    if (read_object(json_object_get(document->root, "daemon"), "daemon", daemon_members,
                    &document->daemon, why) == 0 &&
        read_services(document, why) == 0 && read_sessions(document, why) == 0)
        return 0;
    document_free(document);
    return -1;
}

void document_free(struct document *document)
{
    json_decref(document->root);
    free(document->services);
    free(document->sessions);
    *document = (struct document){ 0 };
}
