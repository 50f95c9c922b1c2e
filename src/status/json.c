/* /status.json; forkechod-status(7) describes it, and forkechoctl(8) reads it. */
#include <string.h>

#include "status/escape.h"
#include "status/pages.h"
#include "status/words.h"

/* ---- members; each but the first of its object is preceded by a comma ---- */

static void name(struct buffer *out, const char *key)
{
    char last = out->length > 0 ? out->bytes[out->length - 1] : '{';
    buffer_text(out, last == '{' ? "\"" : ",\"");
    buffer_text(out, key);
    buffer_text(out, "\":");
}

static void number(struct buffer *out, const char *key, uint64_t value)
{
    name(out, key);
    buffer_number(out, value);
}

static void flag(struct buffer *out, const char *key, bool value)
{
    name(out, key);
    buffer_text(out, value ? "true" : "false");
}

static void text(struct buffer *out, const char *key, const char *value)
{
    name(out, key);
    buffer_text(out, "\"");
    escape_json(out, value);
    buffer_text(out, "\"");
}

static void seconds(struct buffer *out, const char *key, uint64_t microseconds)
{
    name(out, key);
    buffer_seconds(out, microseconds, 3);
}

/* ---- the parts ---- */

static void add_daemon(struct buffer *out, const struct status *status)
{
    const struct board_header *header = status->header;
    buffer_text(out, "{");
    text(out, "version", header->program);
    number(out, "pid", (uint64_t)header->master);
    number(out, "started", header->started_s);
    number(out, "uptime_s", status_uptime(status));
    text(out, "life", word_of_life(header->life));
    number(out, "live", status_live(status));
    number(out, "max_sessions", header->sessions_max);
    text(out, "log_level", word_of_log_level(header->log_level));
    flag(out, "log_level_switched", header->log_switched != 0);
    number(out, "log_lines_dropped", header->log_dropped);
    number(out, "reloads", header->reloads);
    flag(out, "reload_rejected", header->reload_rejected != 0);
    number(out, "upgrades", header->upgrades);
    buffer_text(out, "}");
}

static void add_addresses(struct buffer *out, const char *listen)
{
    name(out, "listen");
    buffer_text(out, "[");
    while (*listen != '\0') {
        size_t length = strcspn(listen, " ");
        buffer_text(out, "\"");
        escape_json_part(out, listen, length);
        listen += length + strspn(listen + length, " ");
        buffer_text(out, *listen == '\0' ? "\"" : "\",");
    }
    buffer_text(out, "]");
}

static void add_causes(struct buffer *out, const uint64_t *counts)
{
    name(out, "ended");
    buffer_text(out, "{");
    for (unsigned int end = 0; end < SESSION_END_COUNT; end++) {
        buffer_text(out, end == 0 ? "\"" : ",\"");
        word_of_end(out, (enum session_end)end);
        buffer_text(out, "\":");
        buffer_number(out, counts[COUNT_ENDED + end]);
    }
    buffer_text(out, "}");
    name(out, "refused");
    buffer_text(out, "{");
    for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++)
        number(out, board_cause_word((enum board_cause)cause), counts[COUNT_REFUSED + cause]);
    buffer_text(out, "}");
}

static void add_pool(struct buffer *out, const struct status_service *service)
{
    name(out, "pool");
    if (!service->entry.prefork) {
        buffer_text(out, "null");
        return;
    }
    buffer_text(out, "{");
    number(out, "workers", service->sum.workers);
    number(out, "idle", service->sum.idle);
    number(out, "scale", service->entry.scale);
    buffer_text(out, "}");
}

static void add_rates(struct buffer *out, const struct status_service *service)
{
    name(out, "rates");
    buffer_text(out, "{");
    seconds(out, "accepted_per_s", 1000 * service->accepted_rate);
    seconds(out, "refused_per_s", 1000 * service->refused_rate);
    seconds(out, "bytes_per_s", 1000 * service->byte_rate);
    buffer_text(out, "}");
}

static void add_service(struct buffer *out, const struct status_service *service)
{
    const struct board_sum *sum = &service->sum;
    buffer_text(out, "{");
    text(out, "name", service->entry.name);
    text(out, "handler", service->entry.handler);
    text(out, "state", word_of_service(service->entry.state));
    add_addresses(out, service->entry.listen);
    text(out, "process_model", service->entry.prefork ? "prefork" : "fork");
    number(out, "instances", service->entry.instances);
    number(out, "live", sum->live);
    number(out, "waiting", sum->waiting);
    number(out, "generations", sum->generations);
    number(out, "accepted", sum->counts[COUNT_ACCEPTED]);
    number(out, "bytes_in", sum->counts[COUNT_BYTES_IN]);
    number(out, "bytes_out", sum->counts[COUNT_BYTES_OUT]);
    number(out, "live_bytes_in", sum->live_bytes_in);
    number(out, "live_bytes_out", sum->live_bytes_out);
    number(out, "fork_failures", sum->counts[COUNT_FORK_FAILURES]);
    number(out, "records_dropped", sum->counts[COUNT_DROPPED]);
    add_causes(out, sum->counts);
    add_pool(out, service);
    add_rates(out, service);
    buffer_text(out, "}");
}

static void add_session(struct buffer *out, const struct status *status,
                        const struct status_session *session)
{
    const struct board_row *row = &session->row;
    buffer_text(out, "{\"id\":\"");
    status_add_id(out, session);
    buffer_text(out, "\"");
    text(out, "service", status->services[session->service].entry.name);
    text(out, "client", row->client);
    number(out, "pid", (uint64_t)row->pid);
    text(out, "state", word_of_row(row));
    seconds(out, "age_s", status_since(status, row->since_us));
    seconds(out, "idle_s", status_since(status, row->active_us));
    number(out, "bytes_in", row->bytes_in);
    number(out, "bytes_out", row->bytes_out);
    number(out, "turns", row->turns);
    flag(out, "torn", row->torn);
    buffer_text(out, "}");
}

void status_add_json(struct buffer *out, const struct status *status, bool sessions)
{
    buffer_text(out, "{\"daemon\":");
    add_daemon(out, status);
    buffer_text(out, ",\n\"services\":[");
    for (size_t i = 0; i < status->service_count; i++) {
        buffer_text(out, i == 0 ? "\n" : ",\n");
        add_service(out, &status->services[i]);
    }
    buffer_text(out, "]");
    if (sessions)
        buffer_text(out, ",\n\"sessions\":[");
    for (size_t i = 0; i < status->session_count; i++) {
        buffer_text(out, i == 0 ? "\n" : ",\n");
        add_session(out, status, &status->sessions[i]);
    }
    buffer_text(out, sessions ? "]}\n" : "}\n");
}
