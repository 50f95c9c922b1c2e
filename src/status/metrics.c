/* /metrics: OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). One table of
 * families; counters of a service never go back while the daemon lives, whatever its generations.
 */
#include <string.h>

#include "status/escape.h"
#include "status/pages.h"
#include "status/words.h"

#define PREFIX "forkechod_"

struct family {
    const char *name, *type, *unit, *help;
    /* Appends its samples: of the daemon, or of one service. */
    void (*of_daemon)(struct buffer *out, const struct family *family, const struct status *status);
    void (*of_service)(struct buffer *out, const struct family *family,
                       const struct status_service *service);
    /* Or it has one number. */
    uint64_t (*number)(const struct status_service *service);
    unsigned int count; /* or that is this count of the sum */
};

/* `PREFIX name suffix {service="…"`, open for more labels. */
static void begin(struct buffer *out, const struct family *family, const char *suffix,
                  const struct status_service *service)
{
    buffer_text(out, PREFIX);
    buffer_text(out, family->name);
    buffer_text(out, suffix);
    if (service != NULL) {
        buffer_text(out, "{service=\"");
        escape_label(out, service->entry.name);
        buffer_text(out, "\"");
    }
}

static void label(struct buffer *out, const char *name, const char *value)
{
    buffer_text(out, ",");
    buffer_text(out, name);
    buffer_text(out, "=\"");
    escape_label(out, value);
    buffer_text(out, "\"");
}

static void end(struct buffer *out, const struct status_service *service, uint64_t value)
{
    buffer_text(out, service != NULL ? "} " : " ");
    buffer_number(out, value);
    buffer_text(out, "\n");
}

static bool is_counter(const struct family *family)
{
    return strcmp(family->type, "counter") == 0;
}

static const char *suffix_of(const struct family *family)
{
    return is_counter(family) ? "_total" : "";
}

/* ---- the daemon ---- */

static void add_build(struct buffer *out, const struct family *family, const struct status *status)
{
    begin(out, family, "_info{version=\"", NULL);
    escape_label(out, status->header->program);
    buffer_text(out, "\"} 1\n");
}

static void add_life(struct buffer *out, const struct family *family, const struct status *status)
{
    for (uint32_t life = 0; life <= LIFE_STOPS; life++) {
        begin(out, family, "{" PREFIX "life=\"", NULL);
        buffer_text(out, word_of_life(life));
        buffer_text(out, status->header->life == life ? "\"} 1\n" : "\"} 0\n");
    }
}

static void add_start(struct buffer *out, const struct family *family, const struct status *status)
{
    begin(out, family, "", NULL);
    end(out, NULL, status->header->started_s);
}

static void add_uptime(struct buffer *out, const struct family *family, const struct status *status)
{
    begin(out, family, "", NULL);
    end(out, NULL, status_uptime(status));
}

#define OF_HEADER(function, member)                                                                \
    static void function(struct buffer *out, const struct family *family,                          \
                         const struct status *status)                                              \
    {                                                                                              \
        begin(out, family, suffix_of(family), NULL);                                               \
        end(out, NULL, status->header->member);                                                    \
    }
OF_HEADER(add_max_sessions, sessions_max)
OF_HEADER(add_log_dropped, log_dropped)
OF_HEADER(add_reloads, reloads)
OF_HEADER(add_rejected, reload_rejected)
OF_HEADER(add_upgrades, upgrades)

/* ---- services ---- */

#define OF_SERVICE(function, expression)                                                           \
    static uint64_t function(const struct status_service *service)                                 \
    {                                                                                              \
        return expression;                                                                         \
    }
OF_SERVICE(live, service->sum.live)
OF_SERVICE(limit, service->entry.instances)
OF_SERVICE(waiting, service->sum.waiting)
OF_SERVICE(generations, service->sum.generations)
OF_SERVICE(workers, service->sum.workers)
OF_SERVICE(idle, service->sum.idle)

static void add_state(struct buffer *out, const struct family *family,
                      const struct status_service *service)
{
    for (uint32_t state = 0; state <= SERVICE_BROKEN; state++) {
        begin(out, family, "", service);
        label(out, PREFIX "service_state", word_of_service(state));
        end(out, service, service->entry.state == state);
    }
}

static void add_ended(struct buffer *out, const struct family *family,
                      const struct status_service *service)
{
    for (unsigned int reason = 0; reason < SESSION_END_COUNT; reason++) {
        begin(out, family, "_total", service);
        buffer_text(out, ",reason=\"");
        word_of_end(out, (enum session_end)reason);
        buffer_text(out, "\"");
        end(out, service, service->sum.counts[COUNT_ENDED + reason]);
    }
}

static void add_refused(struct buffer *out, const struct family *family,
                        const struct status_service *service)
{
    for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++) {
        begin(out, family, "_total", service);
        label(out, "reason", board_cause_word((enum board_cause)cause));
        end(out, service, service->sum.counts[COUNT_REFUSED + cause]);
    }
}

static void add_both_ways(struct buffer *out, const struct family *family,
                          const struct status_service *service, uint64_t in, uint64_t sent)
{
    begin(out, family, suffix_of(family), service);
    label(out, "direction", "in");
    end(out, service, in);
    begin(out, family, suffix_of(family), service);
    label(out, "direction", "out");
    end(out, service, sent);
}

static void add_bytes(struct buffer *out, const struct family *family,
                      const struct status_service *service)
{
    add_both_ways(out, family, service, service->sum.counts[COUNT_BYTES_IN],
                  service->sum.counts[COUNT_BYTES_OUT]);
}

static void add_live_bytes(struct buffer *out, const struct family *family,
                           const struct status_service *service)
{
    add_both_ways(out, family, service, service->sum.live_bytes_in, service->sum.live_bytes_out);
}

/* A float without the zeros behind its first digit: 0.001, 1.0. */
static void add_limit(struct buffer *out, uint64_t microseconds)
{
    unsigned int digits = 6;
    for (uint64_t rest = microseconds; digits > 1 && rest % 10 == 0; rest /= 10)
        digits--;
    buffer_seconds(out, microseconds, digits);
}

static void add_durations(struct buffer *out, const struct family *family,
                          const struct status_service *service)
{
    uint64_t below = 0;
    for (unsigned int bucket = 0; bucket < BOARD_DURATIONS; bucket++) {
        below += service->sum.counts[COUNT_DURATIONS + bucket];
        begin(out, family, "_bucket", service);
        buffer_text(out, ",le=\"");
        if (bucket < BOARD_DURATIONS - 1)
            add_limit(out, board_duration_limits[bucket]);
        else
            buffer_text(out, "+Inf");
        buffer_text(out, "\"");
        end(out, service, below);
    }
    begin(out, family, "_count", service);
    end(out, service, below);
    begin(out, family, "_sum", service);
    buffer_text(out, "} ");
    buffer_seconds(out, service->sum.counts[COUNT_DURATION_US], 6);
    buffer_text(out, "\n");
}

#define DAEMON(name, type, unit, help, function)                                                   \
    {                                                                                              \
        name, type, unit, help, function, NULL, NULL, 0                                            \
    }
#define SERVICE(name, type, unit, help, function)                                                  \
    {                                                                                              \
        name, type, unit, help, NULL, function, NULL, 0                                            \
    }
#define NUMBER(name, help, function)                                                               \
    {                                                                                              \
        name, "gauge", "", help, NULL, NULL, function, 0                                           \
    }
#define COUNT(name, help, count)                                                                   \
    {                                                                                              \
        name, "counter", "", help, NULL, NULL, NULL, count                                         \
    }

static const struct family families[] = {
    DAEMON("build", "info", "", "The program that runs.", add_build),
    DAEMON("start_time_seconds", "gauge", "seconds", "When the daemon started.", add_start),
    DAEMON("uptime_seconds", "gauge", "seconds", "How long it runs.", add_uptime),
    DAEMON("life", "stateset", "", "What the daemon does.", add_life),
    DAEMON("max_sessions", "gauge", "", "Sessions of all services that there may be.",
           add_max_sessions),
    DAEMON("log_lines_dropped", "counter", "", "Log lines that no sink took.", add_log_dropped),
    DAEMON("reloads", "counter", "", "Reloads that were accepted.", add_reloads),
    DAEMON("reload_rejected", "gauge", "", "1: the last reload was rejected.", add_rejected),
    DAEMON("upgrades", "counter", "", "Replacements of the running program.", add_upgrades),

    SERVICE("service_state", "stateset", "", "What the service does.", add_state),
    COUNT("sessions_accepted", "Clients that were given a session.", COUNT_ACCEPTED),
    NUMBER("sessions_live", "Sessions that go on.", live),
    NUMBER("sessions_limit", "Sessions that there may be (instances).", limit),
    SERVICE("sessions_ended", "counter", "", "Sessions that ended, by reason.", add_ended),
    SERVICE("session_bytes", "counter", "bytes", "Bytes of sessions that ended.", add_bytes),
    SERVICE("session_live_bytes", "gauge", "bytes", "Bytes so far of sessions that go on.",
            add_live_bytes),
    SERVICE("session_duration_seconds", "histogram", "seconds", "How long ended sessions took.",
            add_durations),
    SERVICE("clients_refused", "counter", "", "Clients that got no session, by reason.",
            add_refused),
    NUMBER("clients_waiting", "Connections in the kernel's queues, as of the last second.",
           waiting),
    NUMBER("workers", "Processes of the pool.", workers),
    NUMBER("workers_idle", "Those without a client.", idle),
    NUMBER("generations", "Listeners with clients: the serving one, and older ones.", generations),
    COUNT("fork_failures", "Times that no process could be had.", COUNT_FORK_FAILURES),
    COUNT("records_dropped", "Ends of sessions that could not be told to the log.", COUNT_DROPPED),
};

static void add_head(struct buffer *out, const struct family *family)
{
    const char *const lines[][2] = { { "# TYPE ", family->type },
                                     { "# UNIT ", family->unit },
                                     { "# HELP ", family->help } };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        if (lines[i][1][0] == '\0')
            continue;
        buffer_text(out, lines[i][0]);
        buffer_text(out, PREFIX);
        buffer_text(out, family->name);
        buffer_text(out, " ");
        buffer_text(out, lines[i][1]);
        buffer_text(out, "\n");
    }
}

static void add_sample(struct buffer *out, const struct family *family,
                       const struct status_service *service)
{
    if (family->of_service != NULL) {
        family->of_service(out, family, service);
        return;
    }
    begin(out, family, suffix_of(family), service);
    end(out, service,
        family->number != NULL ? family->number(service) : service->sum.counts[family->count]);
}

void status_add_metrics(struct buffer *out, const struct status *status)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
        const struct family *family = &families[i];
        add_head(out, family);
        if (family->of_daemon != NULL)
            family->of_daemon(out, family, status);
        for (size_t j = 0; family->of_daemon == NULL && j < status->service_count; j++)
            add_sample(out, family, &status->services[j]);
    }
    buffer_text(out, "# EOF\n");
}
