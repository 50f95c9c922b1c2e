/* The daemon as JSON, for programs (forkechoctl(8) reads it). */
#include "status/pages.h"

static void put_flag(struct buffer *out, const char *name, bool value)
{
    buffer_format(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void put_count(struct buffer *out, const char *name, uint64_t value)
{
    buffer_format(out, ",\"%s\":", name);
    buffer_number(out, value);
}

static void put_string(struct buffer *out, const char *name, const char *value)
{
    buffer_format(out, ",\"%s\":", name);
    put_string_value(out, value);
}

static const char *level_word(uint32_t level)
{
    static const char *const words[] = { "emerg",   "alert",  "crit", "err",
                                         "warning", "notice", "info", "debug" };
    return words[level & 7U];
}

static void put_daemon(const struct snapshot *snapshot, struct buffer *out)
{
    const struct board_header *header = snapshot->header;
    uint64_t started = header->started_s;
    buffer_text(out, "{\"daemon\":{\"version\":");
    put_string_value(out, header->program);
    put_count(out, "pid", (uint64_t)header->master);
    put_count(out, "started", started);
    put_count(out, "uptime_s", snapshot->now_s > started ? snapshot->now_s - started : 0);
    put_string(out, "life", snapshot_life_word(header->life));
    put_count(out, "live", snapshot->live);
    put_count(out, "max_sessions", header->sessions_max);
    put_string(out, "log_level", level_word(header->log_level));
    put_flag(out, "log_level_switched", header->log_switched != 0);
    put_count(out, "log_lines_dropped", header->log_dropped);
    put_count(out, "reloads", header->reloads);
    put_flag(out, "reload_rejected", header->reload_rejected != 0);
    put_count(out, "upgrades", header->upgrades);
    buffer_text(out, "}");
}

/* "127.0.0.1:7 [::1]:7" as an array. */
static void put_words(struct buffer *out, const char *words)
{
    char word[BOARD_LISTEN_MAX];
    size_t size = 0;
    buffer_text(out, "[");
    for (bool first = true;; words++) {
        if (*words != ' ' && *words != '\0') {
            word[size++] = *words;
            continue;
        }
        word[size] = '\0';
        if (size > 0) {
            buffer_text(out, first ? "" : ",");
            put_string_value(out, word);
            first = false;
        }
        size = 0;
        if (*words == '\0')
            break;
    }
    buffer_text(out, "]");
}

static void put_reasons(const struct snapshot_service *service, struct buffer *out)
{
    const uint64_t *counts = service->sum.counts;
    buffer_text(out, ",\"ended\":{");
    for (unsigned int end = 0; end < SESSION_END_COUNT; end++) {
        buffer_text(out, end == 0 ? "\"" : ",\"");
        put_lower(out, snapshot_end_name(end));
        buffer_text(out, "\":");
        buffer_number(out, counts[COUNT_ENDED + end]);
    }
    buffer_text(out, "},\"refused\":{");
    for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++) {
        buffer_format(out, "%s\"%s\":", cause == 0 ? "" : ",", board_cause_word(cause));
        buffer_number(out, counts[COUNT_REFUSED + cause]);
    }
    buffer_text(out, "}");
}

static void put_service(const struct snapshot_service *service, struct buffer *out)
{
    const struct board_service *entry = &service->entry;
    const struct board_sum *sum = &service->sum;
    buffer_text(out, "{\"name\":");
    put_string_value(out, entry->name);
    put_string(out, "handler", entry->handler);
    put_string(out, "state", snapshot_state_word(entry->state));
    buffer_text(out, ",\"listen\":");
    put_words(out, entry->listen);
    put_string(out, "process_model", entry->prefork ? "prefork" : "fork");
    put_count(out, "instances", entry->instances);
    put_count(out, "live", sum->live);
    put_count(out, "waiting", sum->waiting);
    put_count(out, "generations", sum->generations);
    put_count(out, "accepted", sum->counts[COUNT_ACCEPTED]);
    put_count(out, "bytes_in", sum->counts[COUNT_BYTES_IN]);
    put_count(out, "bytes_out", sum->counts[COUNT_BYTES_OUT]);
    put_count(out, "live_bytes_in", sum->live_bytes_in);
    put_count(out, "live_bytes_out", sum->live_bytes_out);
    put_count(out, "fork_failures", sum->counts[COUNT_FORK_FAILURES]);
    put_count(out, "records_dropped", sum->counts[COUNT_DROPPED]);
    put_reasons(service, out);
    if (entry->prefork)
        buffer_format(out, ",\"pool\":{\"workers\":%u,\"idle\":%u,\"scale\":%u}", sum->workers,
                      sum->idle, entry->scale);
    else
        buffer_text(out, ",\"pool\":null");
    buffer_format(
        out, ",\"rates\":{\"accepted_per_s\":%.3f,\"refused_per_s\":%.3f,\"bytes_per_s\":%.1f}}",
        service->accepted_rate, service->refused_rate, service->bytes_rate);
}

static void put_seconds(struct buffer *out, const char *name, uint64_t microseconds)
{
    uint64_t milliseconds = microseconds / 1000;
    put_count(out, name, milliseconds / 1000);
    char digits[5] = { '.', (char)('0' + milliseconds / 100 % 10),
                       (char)('0' + milliseconds / 10 % 10), (char)('0' + milliseconds % 10),
                       '\0' };
    buffer_text(out, digits);
}

static uint64_t since(uint64_t now_us, uint64_t then_us)
{
    return now_us > then_us ? now_us - then_us : 0;
}

static void put_session(const struct snapshot *snapshot, const struct snapshot_session *session,
                        struct buffer *out)
{
    const struct board_row *row = &session->row;
    buffer_text(out, "{\"id\":\"");
    buffer_number(out, session->slot);
    buffer_text(out, "-");
    buffer_number(out, row->turn);
    buffer_text(out, "\"");
    put_string(out, "service", session->service);
    put_string(out, "client", row->client);
    put_count(out, "pid", (uint64_t)row->pid);
    put_string(out, "state", board_activity_word(row->activity));
    put_seconds(out, "age_s", since(snapshot->now_us, row->since_us));
    put_seconds(out, "idle_s", since(snapshot->now_us, row->active_us));
    put_count(out, "bytes_in", row->bytes_in);
    put_count(out, "bytes_out", row->bytes_out);
    put_count(out, "turns", row->turns);
    put_flag(out, "torn", row->torn);
    buffer_text(out, "}");
}

void json_write(const struct snapshot *snapshot, bool sessions, struct buffer *out)
{
    put_daemon(snapshot, out);
    buffer_text(out, ",\n\"services\":[");
    for (size_t i = 0; i < snapshot->service_count; i++) {
        buffer_text(out, i == 0 ? "\n" : ",\n");
        put_service(&snapshot->services[i], out);
    }
    buffer_text(out, "]");
    if (sessions)
        buffer_text(out, ",\n\"sessions\":[");
    for (size_t i = 0; i < snapshot->session_count; i++) {
        buffer_text(out, i == 0 ? "\n" : ",\n");
        put_session(snapshot, &snapshot->sessions[i], out);
    }
    buffer_text(out, sessions ? "]}\n" : "}\n");
}
