/* The reading commands: status and list. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl/commands.h"
#include "ctl/document.h"
#include "ctl/fetch.h"
#include "ctl/format.h"
#include "ctl/select.h"

enum { BAR = 10, NAME_MAX_SHOWN = 128 };

/* Which of its colours a terminal shows; empty texts without one. */
struct paint {
    const char *good, *warn, *bad, *plain;
};

static struct paint find_paint(void)
{
    const char *no = getenv("NO_COLOR");
    if (!isatty(STDOUT_FILENO) || (no != NULL && *no != '\0'))
        return (struct paint){ "", "", "", "" };
    return (struct paint){ "\033[32m", "\033[33m", "\033[31m", "\033[0m" };
}

/* Fetches and reads it; ends the program where there is none. `text` is what was said. */
static void get(const struct call *call, const char *target, struct buffer *text,
                struct document *document)
{
    const struct fetch fetch = { .address = call->status, .timeout_ms = call->control.timeout_ms };
    struct failure why;
    if (fetch_page(&fetch, target, text, &why) < 0 ||
        document_read(document, text->bytes, text->length, &why) < 0)
        errx(EXIT_UNREACHABLE, "%s", why.text);
}

static bool is_serving(const struct document_service *service)
{
    return strcmp(service->state, "serving") == 0;
}

static bool is_well(const struct document *document)
{
    bool well = strcmp(document->daemon.life, "serving") == 0 && !document->daemon.reload_rejected;
    for (size_t i = 0; i < document->service_count; i++)
        well &=
            is_serving(&document->services[i]) || strcmp(document->services[i].state, "gone") == 0;
    return well;
}

static void print_daemon(const struct document_daemon *daemon, const struct paint *paint)
{
    char uptime[FORMAT_MAX];
    bool serves = strcmp(daemon->life, "serving") == 0;
    printf("forkechod %s  %s%s%s  process %llu  up %s  %llu of %llu sessions\n", daemon->version,
           serves ? paint->good : paint->warn, daemon->life, paint->plain,
           (unsigned long long)daemon->pid, format_seconds((double)daemon->uptime_s, uptime),
           (unsigned long long)daemon->live, (unsigned long long)daemon->max_sessions);
    if (daemon->reload_rejected)
        printf("%sThe last reload was rejected; the configuration before it is in force.%s\n",
               paint->bad, paint->plain);
    if (daemon->log_level_switched)
        printf("%sThe log level is switched to %s (forkechoctl log default ends that).%s\n",
               paint->warn, daemon->log_level, paint->plain);
    if (daemon->log_lines_dropped > 0)
        printf("%s%llu log lines were dropped.%s\n", paint->warn,
               (unsigned long long)daemon->log_lines_dropped, paint->plain);
}

static void print_bar(const struct document_service *service)
{
    uint64_t filled = service->instances == 0 ? 0 : BAR * service->live / service->instances;
    if (filled == 0 && service->live > 0)
        filled = 1;
    putchar('[');
    for (uint64_t i = 0; i < BAR; i++)
        putchar(i < filled ? '#' : '.');
    putchar(']');
}

static void print_service(const struct document_service *service, const struct paint *paint)
{
    char use[FORMAT_MAX + FORMAT_MAX], accepted[FORMAT_MAX], rate[FORMAT_MAX], refused[FORMAT_MAX],
        bytes[FORMAT_MAX];
    printf("%-11s %s%-8s%s ", service->name, is_serving(service) ? paint->good : paint->warn,
           service->state, paint->plain);
    print_bar(service);
    snprintf(use, sizeof use, "%llu/%llu", (unsigned long long)service->live,
             (unsigned long long)service->instances);
    printf(" %9s %5llu %8s %6s %7s %6s\n", use, (unsigned long long)service->waiting,
           format_count((double)service->accepted, accepted),
           format_count(service->accepted_per_s, rate),
           format_count((double)service->refused_total, refused),
           format_bytes((double)(service->bytes_in + service->live_bytes_in + service->bytes_out +
                                 service->live_bytes_out),
                        bytes));
}

/* What a service's line has no room for. */
static void print_remarks(const struct document_service *service, const struct paint *paint)
{
    if (service->has_pool) {
        printf("  %s: %llu worker%s, %llu idle", service->name,
               (unsigned long long)service->workers, text_plural(service->workers),
               (unsigned long long)service->idle);
        if (service->scale > 0)
            printf(", %sscaled to %llu%s", paint->warn, (unsigned long long)service->scale,
                   paint->plain);
        putchar('\n');
    }
    if (service->refused_most != NULL)
        printf("  %s: refused most for %s\n", service->name, service->refused_most);
    if (service->records_dropped > 0)
        printf("  %s%s: %llu session%s ended without a log line%s\n", paint->warn, service->name,
               (unsigned long long)service->records_dropped, text_plural(service->records_dropped),
               paint->plain);
}

static void print_counts(const char *title, const struct document_counts *counts)
{
    for (size_t i = 0; i < counts->count; i++) {
        const struct document_count *item = &counts->items[i];
        char label[NAME_MAX_SHOWN];
        if (item->count == 0)
            continue;
        snprintf(label, sizeof label, "%s %s", title, item->reason);
        printf("  %-28s %llu\n", label, (unsigned long long)item->count);
    }
}

/* One service in full. */
static void print_whole(const struct document_service *service, const struct paint *paint)
{
    char text[NAME_MAX_SHOWN], in[FORMAT_MAX], out[FORMAT_MAX];
    printf("%s  %s%s%s  handler %s, process model %s\n", service->name,
           is_serving(service) ? paint->good : paint->warn, service->state, paint->plain,
           service->handler, service->process_model);
    const char *address = service->listen;
    for (size_t i = 0; i < service->listen_count; i++, address += strlen(address) + 1)
        printf("  %-28s %s\n", i == 0 ? "listens on" : "",
               text_escape(address, strlen(address), text, sizeof text));
    printf("  %-28s %llu of %llu\n", "sessions", (unsigned long long)service->live,
           (unsigned long long)service->instances);
    if (service->has_pool)
        printf("  %-28s %llu, %llu idle%s\n", "workers", (unsigned long long)service->workers,
               (unsigned long long)service->idle, service->scale > 0 ? ", scaled" : "");
    printf("  %-28s %llu\n", "waiting in the kernel", (unsigned long long)service->waiting);
    printf("  %-28s %llu\n", "listeners", (unsigned long long)service->generations);
    printf("  %-28s %llu, %.1f a second\n", "accepted", (unsigned long long)service->accepted,
           service->accepted_per_s);
    printf("  %-28s %s in, %s out\n", "bytes",
           format_bytes((double)(service->bytes_in + service->live_bytes_in), in),
           format_bytes((double)(service->bytes_out + service->live_bytes_out), out));
    print_counts("ended:", &service->ended);
    print_counts("refused:", &service->refused);
    if (service->fork_failures > 0)
        printf("  %-28s %llu\n", "forks that failed", (unsigned long long)service->fork_failures);
    if (service->records_dropped > 0)
        printf("  %-28s %llu\n", "ends without a log line",
               (unsigned long long)service->records_dropped);
}

static void print_all(const struct document *document, const struct paint *paint)
{
    print_daemon(&document->daemon, paint);
    printf("\n%-11s %-8s %-12s %9s %5s %8s %6s %7s %6s\n", "SERVICE", "STATE", "", "SESSIONS",
           "QUEUE", "ACCEPTED", "/S", "REFUSED", "BYTES");
    for (size_t i = 0; i < document->service_count; i++)
        if (strcmp(document->services[i].state, "gone") != 0)
            print_service(&document->services[i], paint);
    for (size_t i = 0; i < document->service_count; i++)
        print_remarks(&document->services[i], paint);
}

int look_status(const struct call *call)
{
    const struct paint paint = find_paint();
    struct buffer text = { 0 };
    struct document document;
    const char *wanted = call->arguments[0];
    const struct document_service *service = NULL;

    get(call, "/status.json?sessions=no", &text, &document);
    for (size_t i = 0; i < document.service_count; i++)
        if (wanted != NULL && strcmp(document.services[i].name, wanted) == 0)
            service = &document.services[i];
    if (wanted != NULL && service == NULL)
        errx(EXIT_UNREACHABLE, "there is no service \"%s\"", wanted);
    if (call->json)
        fwrite(text.bytes, 1, text.length, stdout);
    else if (service != NULL)
        print_whole(service, &paint);
    else
        print_all(&document, &paint);
    int status = (service != NULL ? is_serving(service) : is_well(&document)) ? 0 : 1;
    document_free(&document);
    buffer_free(&text);
    return status;
}

void look_print_sessions(const struct document *document, bool header, size_t most, FILE *out)
{
    if (header)
        fprintf(out, "%-10s %-12s %-26s %7s %-8s %7s %7s %6s %6s %6s\n", "ID", "SERVICE", "CLIENT",
                "PID", "STATE", "AGE", "IDLE", "IN", "OUT", "TURNS");
    for (size_t i = 0; i < document->session_count && i < most; i++) {
        const struct document_session *session = &document->sessions[i];
        char age[FORMAT_MAX], idle[FORMAT_MAX], in[FORMAT_MAX], bytes[FORMAT_MAX],
            turns[FORMAT_MAX];
        fprintf(out, "%-10s %-12s %-26s %7llu %-8s %7s %7s %6s %6s %6s\n", session->id,
                session->service, session->client, (unsigned long long)session->pid,
                session->torn ? "torn" : session->state, format_seconds(session->age_s, age),
                format_seconds(session->idle_s, idle), format_bytes((double)session->bytes_in, in),
                format_bytes((double)session->bytes_out, bytes),
                format_count((double)session->turns, turns));
    }
}

static void print_json(const struct document *document)
{
    putchar('[');
    for (size_t i = 0; i < document->session_count; i++) {
        fputs(i == 0 ? "\n" : ",\n", stdout);
        fwrite(document->sessions[i].json, 1, document->sessions[i].json_size, stdout);
    }
    puts("\n]");
}

int look_list(const struct call *call)
{
    const struct selection selection = { call->service, call->client };
    struct buffer text = { 0 };
    struct document document;
    struct failure why;

    get(call, "/status.json", &text, &document);
    if (select_sessions(&document, &selection, &why) < 0)
        errx(EXIT_UNREACHABLE, "%s", why.text);
    if (!select_sort(&document, call->sort != NULL ? call->sort : "age"))
        errx(EXIT_UNREACHABLE, "no such key to sort by: \"%s\" (%s)", call->sort, select_keys);
    if (call->json)
        print_json(&document);
    else
        look_print_sessions(&document, !call->no_header, SIZE_MAX, stdout);
    document_free(&document);
    buffer_free(&text);
    return 0;
}
