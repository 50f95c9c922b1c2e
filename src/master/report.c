#include "master/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/title.h"
#include "log/log.h"
#include "sys/daemonize.h"
#include "sys/sandbox.h"

/* The words of log_level and syslog_facility in options.def, in their order. */
static const int levels[] = { LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
static const int facilities[] = { LOG_DAEMON, LOG_USER,   LOG_LOCAL0, LOG_LOCAL1, LOG_LOCAL2,
                                  LOG_LOCAL3, LOG_LOCAL4, LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7 };

static enum log_sink choose_sink(const struct master *master, const struct conf_daemon *daemon)
{
    switch ((enum log_type)daemon->log_type) {
    case LOG_TYPE_JOURNAL:
        return LOG_SINK_JOURNAL;
    case LOG_TYPE_SYSLOG:
        return LOG_SINK_SYSLOG;
    case LOG_TYPE_STDERR:
        return LOG_SINK_STDERR;
    case LOG_TYPE_AUTO:
        break;
    }
    if (master->start->foreground && !systemd_is_manager())
        return LOG_SINK_STDERR;
    return log_journal_exists() ? LOG_SINK_JOURNAL : LOG_SINK_SYSLOG;
}

void report_open_log(const struct master *master, const struct conf *conf)
{
    bool switched = master->log_switch >= 0;
    struct log_settings settings = { .sink = choose_sink(master, &conf->daemon),
                                     .level = switched ? master->log_switch
                                                       : levels[conf->daemon.log_level],
                                     .facility = facilities[conf->daemon.syslog_facility] };
    log_open(&settings);
}

int report_level_of(uint32_t word)
{
    return levels[word];
}

int report_log_level(const struct master *master)
{
    if (master->log_switch >= 0)
        return master->log_switch;
    return master->conf == NULL ? LOG_INFO : levels[master->conf->daemon.log_level];
}

enum tell report_wanted(const struct master *master)
{
    int level = report_log_level(master);
    return level >= LOG_DEBUG ? TELL_STARTS : level >= LOG_INFO ? TELL_ENDS : TELL_ERRORS;
}

void report_level(struct master *master)
{
    report_open_log(master, master->conf);
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state == GENERATION_SERVING ||
            master->generations[i].state == GENERATION_DRAINING)
            generation_tell(&master->generations[i], report_wanted(master));
    master_show(master);
}

static void summarize(const struct master *master, char *text, size_t size)
{
    size_t services = master->conf->count;
    uint32_t sessions = board_live_now(&master->board);
    snprintf(text, size, "%zu service%s, %u session%s", services, text_plural(services), sessions,
             text_plural(sessions));
}

/* One line a bound address: `NAME ADDRESS`. */
static void list_addresses(const struct master *master, FILE *out)
{
    for (uint32_t i = 0; i < master->service_count; i++) {
        const struct service_state *service = master->services[i];
        for (unsigned int j = 0; j < service->sockets.count; j++) {
            char text[ADDRESS_TEXT_MAX];
            const struct store_socket *socket = &master->store.sockets[service->sockets.index[j]];
            fprintf(out, "%s %s\n", service->name,
                    address_format(&socket->bound, text, sizeof(text)));
        }
    }
}

static void tell_starter(const struct master *master)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = master->start->print_addresses ? open_memstream(&text, &size) : NULL;
    if (out != NULL) {
        list_addresses(master, out);
        fclose(out);
    }
    daemonize_report(0, text != NULL ? text : "");
    free(text);
}

void report_ready(struct master *master)
{
    char text[128];
    report_titles(master); /* so that ps shows it once the start is over */
    summarize(master, text, sizeof(text));
    log_event(EVENT_START, NULL, "forkechod " VERSION ", %s", text);
    systemd_ready(text);
    tell_starter(master);
}

void report_mistakes(const struct conf_mistakes *mistakes, bool rejected)
{
    for (size_t i = 0; i < mistakes->count; i++)
        log_event(rejected ? EVENT_RELOAD_MISTAKE : EVENT_CONFIG_WARNING, NULL, "%s",
                  mistakes->lines[i]);
    size_t wrong = mistakes->count - mistakes->warnings;
    if (rejected)
        log_event(EVENT_RELOAD_REJECTED, NULL, "%zu %s; the old configuration is in force", wrong,
                  wrong == 1 ? "mistake" : "mistakes");
}

static void log_session_end(const struct log_details *details, enum session_end end, int signal,
                            uint32_t denied)
{
    char how[64] = "", call[48];
    if (end == SESSION_CRASHED)
        snprintf(how, sizeof(how), " %d (%s)", signal, strsignal(signal));
    else if (denied != 0)
        snprintf(how, sizeof(how), ": %s", sandbox_call(denied, call, sizeof(call)));
    log_event(session_end_is_error(end) ? EVENT_SESSION_ERROR : EVENT_SESSION_END, details,
              "%s %s [%lld]: %s%s, %lld bytes in, %lld bytes out, %lld.%03lld s", details->service,
              details->client, (long long)details->pid, details->reason, how,
              (long long)details->bytes_in, (long long)details->bytes_out,
              (long long)(details->duration_us / 1000000),
              (long long)(details->duration_us / 1000 % 1000));
}

void report_session_end(struct master *master, const char *service, const struct record *record)
{
    struct log_details details = { .service = service,
                                   .client = record->text,
                                   .reason = session_end_text((enum session_end)record->end),
                                   .pid = record->pid,
                                   .bytes_in = (int64_t)record->bytes_in,
                                   .bytes_out = (int64_t)record->bytes_out,
                                   .turns = (int64_t)record->turns,
                                   .duration_us = (int64_t)record->duration_us,
                                   .count = -1,
                                   .line = -1 };
    if (record->bytes_in == 0 && record->end == SESSION_CLOSED && !master->conf->daemon.log_probes)
        return;
    log_session_end(&details, (enum session_end)record->end, record->signal,
                    (uint32_t)record->count);
}

void report_gaps(struct master *master, const struct generation *generation, const char *missing)
{
    struct log_details details = LOG_DETAILS_NONE;
    details.service = master->services[generation->service]->name;
    details.reason = missing;
    if (missing[0] == '\0' || strcmp(missing, master->sandbox_gaps) == 0)
        return;
    snprintf(master->sandbox_gaps, sizeof(master->sandbox_gaps), "%s", missing);
    log_event(EVENT_SANDBOX_GAPS, &details, "%s, without %s", sandbox_profile, missing);
}

void report_record(struct master *master, const struct generation *generation,
                   const struct record *record)
{
    const char *service = master->services[generation->service]->name;
    const char *cause = board_cause_word((enum board_cause)record->cause);
    struct log_details details = LOG_DETAILS_NONE;
    double seconds = (double)record->duration_us / 1e6;
    char call[48];

    details.service = service;
    details.reason = cause;
    details.client = record->text[0] != '\0' ? record->text : NULL;
    details.count = record->count > 0 ? (int64_t)record->count : -1;
    switch ((enum record_kind)record->kind) {
    case RECORD_SESSION_START:
        details.pid = record->pid;
        details.reason = NULL;
        log_event(EVENT_SESSION_START, &details, "%s %s [%d]", service, record->text, record->pid);
        break;
    case RECORD_SESSION_END:
        report_session_end(master, service, record);
        break;
    case RECORD_REFUSED:
        log_event(EVENT_REFUSED, &details, "%s %s: %s", service, record->text, cause);
        break;
    case RECORD_REFUSED_END:
        log_event(EVENT_REFUSED_END, &details, "%s: %s, %llu client%s in %.1f s", service, cause,
                  (unsigned long long)record->count, text_plural(record->count), seconds);
        break;
    case RECORD_THROTTLE_BEGIN:
        log_event(EVENT_THROTTLE_BEGIN, &details, "%s: %s%s%s, clients wait", service, cause,
                  record->error != 0 ? ": " : "",
                  record->error != 0 ? strerror(record->error) : "");
        break;
    case RECORD_THROTTLE_END:
        log_event(EVENT_THROTTLE_END, &details, "%s: %s, %llu time%s in %.1f s", service, cause,
                  (unsigned long long)record->count, text_plural(record->count), seconds);
        break;
    case RECORD_LOST:
        log_event(EVENT_LOST, &details, "%s %s: %s: %s", service, record->text, cause,
                  strerror(record->error));
        break;
    case RECORD_WORKER_DIED:
        details.pid = record->pid;
        details.reason = NULL;
        details.count = -1;
        if (record->count != 0)
            log_event(EVENT_WORKER_DIED, &details, "service %s [%d]: %s: %s", service, record->pid,
                      session_end_text(SESSION_SANDBOX),
                      sandbox_call((uint32_t)record->count, call, sizeof(call)));
        else if (record->signal != 0)
            log_event(EVENT_WORKER_DIED, &details, "service %s [%d]: killed by signal %d (%s)",
                      service, record->pid, record->signal, strsignal(record->signal));
        else
            log_event(EVENT_WORKER_DIED, &details, "service %s [%d]: exited with status %d",
                      service, record->pid, record->error);
        break;
    case RECORD_WORKER_STUCK:
        details.pid = record->pid;
        details.reason = NULL;
        log_event(EVENT_WORKER_STUCK, &details, "service %s [%d]: %s%s", service, record->pid,
                  record->text[0] != '\0' ? "its client is " : "it has no client", record->text);
        break;
    case RECORD_BROKEN:
        log_event(EVENT_SYSTEM, &details,
                  "service %s: accept4 on %s: %s; nobody is served there until the daemon restarts",
                  service, record->text, strerror(record->error));
        break;
    default:
        break;
    }
}

void report_state(struct master *master)
{
    for (uint32_t i = 0; i < master->service_count; i++) {
        const struct service_state *service = master->services[i];
        if (service->image == NULL)
            continue;
        struct board_sum sum;
        board_sum(&master->board, i, &sum);
        uint64_t refused = 0;
        for (int c = 0; c < CAUSE_COUNT; c++)
            refused += sum.counts[COUNT_REFUSED + c];
        struct log_details details = LOG_DETAILS_NONE;
        details.service = service->name;
        log_event(EVENT_STATE, &details,
                  "%s: %u/%u sessions, %llu accepted, %llu refused, %llu bytes in, %llu bytes "
                  "out, %u generations",
                  service->name, sum.live, service->image->instances,
                  (unsigned long long)sum.counts[COUNT_ACCEPTED], (unsigned long long)refused,
                  (unsigned long long)sum.counts[COUNT_BYTES_IN],
                  (unsigned long long)sum.counts[COUNT_BYTES_OUT], sum.generations);
    }
}

void report_dropped(struct master *master)
{
    for (uint32_t i = 0; i < master->service_count; i++) {
        struct service_state *service = master->services[i];
        uint64_t dropped = services_dropped(master, i);
        if (dropped == service->told_dropped)
            continue;
        struct log_details details = LOG_DETAILS_NONE;
        details.service = service->name;
        details.count = (int64_t)(dropped - service->told_dropped);
        log_event(EVENT_RECORDS_DROPPED, &details, "%s: %lld sessions ended without a line",
                  service->name, (long long)details.count);
        service->told_dropped = dropped;
    }
}

void report_titles(struct master *master)
{
    static char shown[128];
    char text[128];
    if (master->conf == NULL)
        return;
    summarize(master, text, sizeof(text));
    if (strcmp(text, shown) == 0)
        return;
    memcpy(shown, text, sizeof(shown));
    title_set("forkechod: master [%s]", text);
}

static const char *const life_words[] = { [LIFE_STARTS] = "",
                                          [LIFE_SERVES] = "",
                                          [LIFE_DRAINS] = "draining, ",
                                          [LIFE_STOPS] = "stopping, " };

static void describe_state(const struct master *master, char *text, size_t size)
{
    char summary[128];
    summarize(master, summary, sizeof(summary));
    snprintf(text, size, "%s%s%s", life_words[master->life], summary,
             master->reload.rejected ? "; reload rejected, the old configuration is in force" : "");
}

void report_status(struct master *master)
{
    static char shown[256];
    char text[256];
    if (master->conf == NULL || master->life == LIFE_STARTS)
        return;
    describe_state(master, text, sizeof(text));
    if (strcmp(text, shown) == 0)
        return;
    memcpy(shown, text, sizeof(shown));
    systemd_status(text);
}

void report_reloaded(struct master *master)
{
    char text[256];
    describe_state(master, text, sizeof(text));
    systemd_ready(text);
}
