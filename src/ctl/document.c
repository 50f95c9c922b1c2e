#include "ctl/document.h"

#include <stdlib.h>
#include <sysexits.h>

#include "ctl/json.h"

#define MEMBER(owner, type, member)                                                                \
    {                                                                                              \
        .name = #member, .kind = JSON_##type, .at = offsetof(struct document_##owner, member)      \
    }
#define SHAPE(text, members)                                                                       \
    {                                                                                              \
        text, sizeof(members) / sizeof *(members), members                                         \
    }

/* Room for one more of so many things; NULL without memory. */
static void *grow(const struct json *json, void *array, size_t count, size_t size)
{
    if (count > 0 && (count & (count - 1)) != 0)
        return array;
    void *grown = reallocarray(array, count == 0 ? 1 : 2 * count, size);
    if (grown == NULL)
        failure_set(json->why, EX_OSERR, "out of memory");
    return grown;
}

/* ---- the daemon ---- */

static const struct json_member daemon_members[] = {
    MEMBER(daemon, PLAIN, version),
    MEMBER(daemon, COUNT, pid),
    MEMBER(daemon, COUNT, started),
    MEMBER(daemon, COUNT, uptime_s),
    MEMBER(daemon, PLAIN, life),
    MEMBER(daemon, COUNT, live),
    MEMBER(daemon, COUNT, max_sessions),
    MEMBER(daemon, PLAIN, log_level),
    MEMBER(daemon, FLAG, log_level_switched),
    MEMBER(daemon, COUNT, log_lines_dropped),
    MEMBER(daemon, COUNT, reloads),
    MEMBER(daemon, FLAG, reload_rejected),
    MEMBER(daemon, COUNT, upgrades),
};

static int read_daemon(struct json *json, void *out)
{
    static const struct json_shape shape = SHAPE("daemon", daemon_members);
    return json_object(json, &shape, out);
}

/* ---- services ---- */

static int read_address(struct json *json, void *context)
{
    struct document_service *service = context;
    const char *address;
    if (json_value(json, JSON_TEXT, "listen", "service", &address) < 0)
        return -1;
    if (service->listen_count++ == 0)
        service->listen = address;
    return 0;
}

static int read_listen(struct json *json, void *out)
{
    return json_array(json, "listen of a service", read_address, out);
}

static int read_count(struct json *json, char *key, void *context)
{
    struct document_counts *counts = context;
    struct document_count *items = grow(json, counts->items, counts->count, sizeof *items);
    if (items == NULL)
        return -1;
    counts->items = items;
    items[counts->count].reason = key;
    return json_value(json, JSON_COUNT, "count", "reason", &items[counts->count++].count);
}

static int read_counts(struct json *json, void *out)
{
    return json_members(json, "counts by reason", read_count, out);
}

static const struct json_member pool_members[] = {
    MEMBER(service, COUNT, workers),
    MEMBER(service, COUNT, idle),
    MEMBER(service, COUNT, scale),
};

static int read_pool(struct json *json, void *out)
{
    static const struct json_shape shape = SHAPE("service's pool", pool_members);
    struct document_service *service = out;
    service->has_pool = json_peek(json) != 'n';
    return service->has_pool ? json_object(json, &shape, service) : json_skip(json);
}

static const struct json_member rate_members[] = {
    MEMBER(service, REAL, accepted_per_s),
    MEMBER(service, REAL, refused_per_s),
    MEMBER(service, REAL, bytes_per_s),
};

static int read_rates(struct json *json, void *out)
{
    static const struct json_shape shape = SHAPE("service's rates", rate_members);
    return json_object(json, &shape, out);
}

static const struct json_member service_members[] = {
    MEMBER(service, PLAIN, name),
    MEMBER(service, PLAIN, handler),
    MEMBER(service, PLAIN, state),
    { .name = "listen", .kind = JSON_OTHER, .read = read_listen },
    MEMBER(service, PLAIN, process_model),
    MEMBER(service, COUNT, instances),
    MEMBER(service, COUNT, live),
    MEMBER(service, COUNT, waiting),
    MEMBER(service, COUNT, generations),
    MEMBER(service, COUNT, accepted),
    MEMBER(service, COUNT, bytes_in),
    MEMBER(service, COUNT, bytes_out),
    MEMBER(service, COUNT, live_bytes_in),
    MEMBER(service, COUNT, live_bytes_out),
    MEMBER(service, COUNT, fork_failures),
    MEMBER(service, COUNT, records_dropped),
    { .name = "ended",
      .kind = JSON_OTHER,
      .at = offsetof(struct document_service, ended),
      .read = read_counts },
    { .name = "refused",
      .kind = JSON_OTHER,
      .at = offsetof(struct document_service, refused),
      .read = read_counts },
    { .name = "pool", .kind = JSON_OTHER, .read = read_pool },
    { .name = "rates", .kind = JSON_OTHER, .read = read_rates },
};

static void sum_refused(struct document_service *service)
{
    uint64_t most = 0;
    for (size_t i = 0; i < service->refused.count; i++) {
        const struct document_count *item = &service->refused.items[i];
        service->refused_total += item->count;
        if (item->count > most) {
            most = item->count;
            service->refused_most = item->reason;
        }
    }
}

static int read_service(struct json *json, void *context)
{
    static const struct json_shape shape = SHAPE("service", service_members);
    struct document *document = context;
    struct document_service *services =
        grow(json, document->services, document->service_count, sizeof *services);
    if (services == NULL)
        return -1;
    document->services = services;
    struct document_service *service = &services[document->service_count++];
    *service = (struct document_service){ 0 };
    int result = json_object(json, &shape, service);
    if (result == 0)
        sum_refused(service);
    return result;
}

static int read_services(struct json *json, void *out)
{
    return json_array(json, "services", read_service, out);
}

/* ---- sessions ---- */

static const struct json_member session_members[] = {
    MEMBER(session, PLAIN, id),        MEMBER(session, PLAIN, service),
    MEMBER(session, PLAIN, client),    MEMBER(session, COUNT, pid),
    MEMBER(session, PLAIN, state),     MEMBER(session, REAL, age_s),
    MEMBER(session, REAL, idle_s),     MEMBER(session, COUNT, bytes_in),
    MEMBER(session, COUNT, bytes_out), MEMBER(session, COUNT, turns),
    MEMBER(session, FLAG, torn),
};

static int read_session(struct json *json, void *context)
{
    static const struct json_shape shape = SHAPE("session", session_members);
    struct document *document = context;
    struct document_session *sessions =
        grow(json, document->sessions, document->session_count, sizeof *sessions);
    if (sessions == NULL)
        return -1;
    document->sessions = sessions;
    struct document_session *session = &sessions[document->session_count++];
    *session = (struct document_session){ 0 };
    json_peek(json);
    session->json = json->at;
    if (json_object(json, &shape, session) < 0)
        return -1;
    session->json_size = (size_t)(json->at - session->json);
    if (session->age_s > 0) {
        session->in_per_s = (double)session->bytes_in / session->age_s;
        session->out_per_s = (double)session->bytes_out / session->age_s;
    }
    return 0;
}

static int read_sessions(struct json *json, void *out)
{
    return json_array(json, "sessions", read_session, out);
}

/* ---- all of it ---- */

static const struct json_member document_members[] = {
    { .name = "daemon",
      .kind = JSON_OTHER,
      .at = offsetof(struct document, daemon),
      .read = read_daemon },
    { .name = "services", .kind = JSON_OTHER, .read = read_services },
    { .name = "sessions", .kind = JSON_OTHER, .optional = true, .read = read_sessions },
};

int document_read(struct document *document, const char *text, size_t size, struct failure *why)
{
    static const struct json_shape shape = SHAPE(NULL, document_members);
    struct json json = {
        .name = "the status", .begin = text, .at = text, .end = text + size, .why = why
    };
    *document = (struct document){ .texts = malloc(size + 1) };
    if (document->texts == NULL)
        return failure_set(why, EX_OSERR, "out of memory");
    json.texts = document->texts;
    if (json_object(&json, &shape, document) == 0 && json_end(&json) == 0)
        return 0;
    document_free(document);
    return -1;
}

void document_free(struct document *document)
{
    for (size_t i = 0; i < document->service_count; i++) {
        free(document->services[i].ended.items);
        free(document->services[i].refused.items);
    }
    free(document->services);
    free(document->sessions);
    free(document->texts);
    *document = (struct document){ 0 };
}
