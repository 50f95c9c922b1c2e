/* The daemon as OpenMetrics 1.0 text: a family after the other, each with all its services. */
#include "status/pages.h"

/* One number a service. */
struct family {
    const char *name, *type, *unit, *help;
    uint64_t (*read)(const struct snapshot_service *service);
};

static void put_head(struct buffer *out, const char *name, const char *type, const char *unit,
                     const char *help)
{
    buffer_format(out, "# TYPE forkechod_%s %s\n", name, type);
    if (unit != NULL)
        buffer_format(out, "# UNIT forkechod_%s %s\n", name, unit);
    buffer_format(out, "# HELP forkechod_%s %s\n", name, help);
}

static void put_plain(struct buffer *out, const char *name, const char *type, const char *unit,
                      const char *help, uint64_t value)
{
    put_head(out, name, type, unit, help);
    buffer_format(out, "forkechod_%s%s %llu\n", name, type[0] == 'c' ? "_total" : "",
                  (unsigned long long)value);
}

static void put_daemon(const struct snapshot *snapshot, struct buffer *out)
{
    const struct board_header *header = snapshot->header;
    put_head(out, "build", "info", NULL, "The program that runs.");
    buffer_format(out, "forkechod_build_info{version=\"%s\"} 1\n", header->program);
    put_plain(out, "start_time_seconds", "gauge", "seconds", "When the daemon started, Unix time.",
              header->started_s);
    put_plain(out, "max_sessions", "gauge", NULL, "The most sessions of all services together.",
              header->sessions_max);
    put_plain(out, "ready", "gauge", NULL, "1 while the daemon takes clients and is not draining.",
              header->life == LIFE_SERVES);
    put_plain(out, "reloads", "counter", NULL, "Reloads that were accepted.", header->reloads);
    put_plain(out, "reload_rejected", "gauge", NULL,
              "1 when the last reload was rejected and the configuration before it is in force.",
              header->reload_rejected);
    put_plain(out, "upgrades", "counter", NULL, "Programs that took over in place.",
              header->upgrades);
    put_plain(out, "log_lines_dropped", "counter", NULL, "Log lines that no sink took.",
              header->log_dropped);
}

static uint64_t read_accepted(const struct snapshot_service *service)
{
    return service->sum.counts[COUNT_ACCEPTED];
}

static uint64_t read_live(const struct snapshot_service *service)
{
    return service->sum.live;
}

static uint64_t read_instances(const struct snapshot_service *service)
{
    return service->entry.instances;
}

static uint64_t read_waiting(const struct snapshot_service *service)
{
    return service->sum.waiting;
}

static uint64_t read_generations(const struct snapshot_service *service)
{
    return service->sum.generations;
}

static uint64_t read_workers(const struct snapshot_service *service)
{
    return service->sum.workers;
}

static uint64_t read_idle(const struct snapshot_service *service)
{
    return service->sum.idle;
}

static uint64_t read_fork_failures(const struct snapshot_service *service)
{
    return service->sum.counts[COUNT_FORK_FAILURES];
}

static uint64_t read_dropped(const struct snapshot_service *service)
{
    return service->sum.counts[COUNT_DROPPED];
}

static const struct family families[] = {
    { "accepted", "counter", NULL, "Clients that got a session.", read_accepted },
    { "live_sessions", "gauge", NULL, "Sessions now.", read_live },
    { "instances", "gauge", NULL, "The most sessions of the service.", read_instances },
    { "waiting_clients", "gauge", NULL,
      "Clients in the kernel's queues of TCP sockets, a second ago at most.", read_waiting },
    { "generations", "gauge", NULL, "Listeners, old ones that finish included.", read_generations },
    { "pool_workers", "gauge", NULL, "Processes of the service's pool.", read_workers },
    { "pool_idle_workers", "gauge", NULL, "Those of them without a client.", read_idle },
    { "fork_failures", "counter", NULL, "Processes that could not be had.", read_fork_failures },
    { "records_dropped", "counter", NULL, "Sessions that ended without a log line.", read_dropped },
};

static void put_family(const struct snapshot *snapshot, const struct family *family,
                       struct buffer *out)
{
    put_head(out, family->name, family->type, family->unit, family->help);
    for (size_t i = 0; i < snapshot->service_count; i++) {
        const struct snapshot_service *service = &snapshot->services[i];
        buffer_format(out, "forkechod_%s%s{service=\"%s\"} %llu\n", family->name,
                      family->type[0] == 'c' ? "_total" : "", service->entry.name,
                      (unsigned long long)family->read(service));
    }
}

static void put_states(const struct snapshot *snapshot, struct buffer *out)
{
    put_head(out, "service", "stateset", NULL, "How the service does.");
    for (size_t i = 0; i < snapshot->service_count; i++)
        for (unsigned int state = SERVICE_ABSENT; state <= SERVICE_BROKEN; state++)
            buffer_format(out, "forkechod_service{service=\"%s\",forkechod_service=\"%s\"} %d\n",
                          snapshot->services[i].entry.name, snapshot_state_word(state),
                          snapshot->services[i].entry.state == state);
}

static void put_refused(const struct snapshot *snapshot, struct buffer *out)
{
    put_head(out, "refused", "counter", NULL, "Clients that got no session, by reason.");
    for (size_t i = 0; i < snapshot->service_count; i++)
        for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++)
            buffer_format(
                out, "forkechod_refused_total{service=\"%s\",reason=\"%s\"} %llu\n",
                snapshot->services[i].entry.name, board_cause_word(cause),
                (unsigned long long)snapshot->services[i].sum.counts[COUNT_REFUSED + cause]);
}

static void put_ended(const struct snapshot *snapshot, struct buffer *out)
{
    put_head(out, "ended", "counter", NULL, "Sessions that have ended, by reason.");
    for (size_t i = 0; i < snapshot->service_count; i++)
        for (unsigned int end = 0; end < SESSION_END_COUNT; end++) {
            buffer_format(out, "forkechod_ended_total{service=\"%s\",reason=\"",
                          snapshot->services[i].entry.name);
            put_lower(out, snapshot_end_name(end));
            buffer_format(out, "\"} %llu\n",
                          (unsigned long long)snapshot->services[i].sum.counts[COUNT_ENDED + end]);
        }
}

static void put_bytes(const struct snapshot *snapshot, bool live, struct buffer *out)
{
    const char *name = live ? "live_session_bytes" : "session_bytes";
    put_head(out, name, live ? "gauge" : "counter", "bytes",
             live ? "Bytes of sessions that go on." : "Bytes of sessions that have ended.");
    for (size_t i = 0; i < snapshot->service_count; i++) {
        const struct board_sum *sum = &snapshot->services[i].sum;
        const uint64_t bytes[] = { live ? sum->live_bytes_in : sum->counts[COUNT_BYTES_IN],
                                   live ? sum->live_bytes_out : sum->counts[COUNT_BYTES_OUT] };
        for (int way = 0; way < 2; way++)
            buffer_format(out, "forkechod_%s%s{service=\"%s\",direction=\"%s\"} %llu\n", name,
                          live ? "" : "_total", snapshot->services[i].entry.name,
                          way ? "out" : "in", (unsigned long long)bytes[way]);
    }
}

static void put_durations(const struct snapshot *snapshot, struct buffer *out)
{
    put_head(out, "session_duration_seconds", "histogram", "seconds",
             "How long sessions lasted that have ended.");
    for (size_t i = 0; i < snapshot->service_count; i++) {
        const char *name = snapshot->services[i].entry.name;
        const uint64_t *counts = snapshot->services[i].sum.counts;
        uint64_t below = 0;
        for (unsigned int bucket = 0; bucket < BOARD_DURATIONS; bucket++) {
            below += counts[COUNT_DURATIONS + bucket];
            buffer_format(out, "forkechod_session_duration_seconds_bucket{service=\"%s\",le=\"",
                          name);
            if (bucket < BOARD_DURATIONS - 1)
                buffer_format(out, board_duration_limits[bucket] < 1000000 ? "%g" : "%.1f",
                              (double)board_duration_limits[bucket] / 1e6);
            else
                buffer_text(out, "+Inf");
            buffer_format(out, "\"} %llu\n", (unsigned long long)below);
        }
        buffer_format(out,
                      "forkechod_session_duration_seconds_count{service=\"%s\"} %llu\n"
                      "forkechod_session_duration_seconds_sum{service=\"%s\"} %.6f\n",
                      name, (unsigned long long)below, name,
                      (double)counts[COUNT_DURATION_US] / 1e6);
    }
}

void metrics_write(const struct snapshot *snapshot, struct buffer *out)
{
    put_daemon(snapshot, out);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        put_family(snapshot, &families[i], out);
    put_states(snapshot, out);
    put_refused(snapshot, out);
    put_ended(snapshot, out);
    put_bytes(snapshot, false, out);
    put_bytes(snapshot, true, out);
    put_durations(snapshot, out);
    buffer_text(out, "# EOF\n");
}
