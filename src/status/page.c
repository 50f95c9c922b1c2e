/* The daemon as a page for people. Complete without scripts; what is inline renews and sorts it. */
#include "status/pages.h"

#include <string.h>

#include "status/assets.h"

enum { PLOT_WIDTH = 118, PLOT_HEIGHT = 30 };

static const char *life_class(uint32_t life)
{
    return life == LIFE_SERVES ? "good" : "warn";
}

static const char *state_class(uint32_t state)
{
    return state == SERVICE_SERVING ? "good" : state == SERVICE_BROKEN ? "bad" : "warn";
}

/* 3 d 4 h, 5 min 6 s: the two largest units. */
static void put_duration(struct buffer *out, uint64_t seconds)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    unsigned int i = 0;
    while (i < 3 && seconds < units[i].seconds)
        i++;
    buffer_format(out, "%llu %s", (unsigned long long)(seconds / units[i].seconds), units[i].name);
    uint64_t rest = seconds % units[i].seconds;
    if (i < 3 && rest / units[i + 1].seconds > 0)
        buffer_format(out, " %llu %s", (unsigned long long)(rest / units[i + 1].seconds),
                      units[i + 1].name);
}

static void put_bytes(struct buffer *out, double bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    unsigned int i = 0;
    while (bytes >= 1024 && i < 5) {
        bytes /= 1024;
        i++;
    }
    buffer_format(out, bytes < 10 && i > 0 ? "%.1f %s" : "%.0f %s", bytes, units[i]);
}

/* What is plotted of a service: a number for each of two neighbouring moments. */
struct plot {
    const char *title, *unit;
    double (*read)(const struct board_sample *before, const struct board_sample *now);
};

static double per_second(uint64_t before, uint64_t now)
{
    return now > before ? (double)(now - before) / BOARD_SAMPLE_SECONDS : 0;
}

static double read_accepted(const struct board_sample *before, const struct board_sample *now)
{
    return per_second(before->accepted, now->accepted);
}

static double read_refused(const struct board_sample *before, const struct board_sample *now)
{
    return per_second(before->refused, now->refused);
}

static double read_live(const struct board_sample *before, const struct board_sample *now)
{
    (void)before;
    return now->live;
}

static const struct plot plots[] = {
    { "accepted a second", "/s", read_accepted },
    { "sessions", "", read_live },
    { "refused a second", "/s", read_refused },
};

/* From the oldest remembered moment on the left to now on the right, over five minutes. */
static void put_plot(const struct snapshot *snapshot, const struct snapshot_service *service,
                     const struct plot *plot, struct buffer *out)
{
    double values[BOARD_SAMPLES] = { 0 }, highest = 1;
    unsigned int count = 0;
    const struct board_sample *now, *before;
    while (count < BOARD_SAMPLES - 1 && (now = snapshot_sample(snapshot, service, count)) != NULL &&
           (before = snapshot_sample(snapshot, service, count + 1)) != NULL) {
        values[count] = plot->read(before, now);
        if (values[count] > highest)
            highest = values[count];
        count++;
    }
    buffer_format(out, "<figure><figcaption><b>%.*f%s</b>%s</figcaption>",
                  values[0] > 0 && values[0] < 10 && *plot->unit != '\0' ? 1 : 0, values[0],
                  plot->unit, plot->title);
    buffer_format(
        out,
        "<svg class=\"plot\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
        "aria-label=\"%s over five minutes, %.1f at most\"><path d=\"",
        PLOT_WIDTH, PLOT_HEIGHT, plot->title, highest);
    for (unsigned int i = count; i > 0; i--)
        buffer_format(out, "%c%d %.1f", i == count ? 'M' : 'L', PLOT_WIDTH - 2 * ((int)i - 1),
                      PLOT_HEIGHT - 1 - values[i - 1] / highest * (PLOT_HEIGHT - 3));
    buffer_text(out, "\"/></svg></figure>");
}

static void put_bar(const struct snapshot_service *service, struct buffer *out)
{
    uint32_t live = service->sum.live, limit = service->entry.instances;
    double part = limit == 0 ? 0 : 100.0 * live / limit;
    buffer_format(out,
                  "<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" "
                  "aria-hidden=\"true\"><rect class=\"track\" width=\"100\" height=\"8\"/>"
                  "<rect class=\"%s\" width=\"%.1f\" height=\"8\"/></svg>",
                  live >= limit ? "full" : "fill", part > 100 ? 100 : part);
    buffer_format(out, "<div class=\"row\"><span><b>%u</b> of %u sessions</span>", live, limit);
    if (service->entry.prefork)
        buffer_format(out, "<span class=\"soft\">%u workers, %u idle</span>", service->sum.workers,
                      service->sum.idle);
    if (service->sum.waiting > 0)
        buffer_format(out, "<span class=\"warn\">%u waiting</span>", service->sum.waiting);
    buffer_text(out, "</div>");
}

static void put_fact(struct buffer *out, const char *name, uint64_t value)
{
    buffer_format(out, "<dt>%s</dt><dd>%llu</dd>", name, (unsigned long long)value);
}

/* Only the reasons that there were. */
static void put_reasons(const struct snapshot_service *service, struct buffer *out)
{
    const uint64_t *counts = service->sum.counts;
    for (unsigned int end = 0; end < SESSION_END_COUNT; end++)
        if (counts[COUNT_ENDED + end] > 0)
            put_fact(out, session_end_text(end), counts[COUNT_ENDED + end]);
    for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++)
        if (counts[COUNT_REFUSED + cause] > 0)
            buffer_format(out, "<dt class=\"warn\">refused: %s</dt><dd>%llu</dd>",
                          board_cause_word(cause),
                          (unsigned long long)counts[COUNT_REFUSED + cause]);
}

static void put_service(const struct snapshot *snapshot, const struct snapshot_service *service,
                        struct buffer *out)
{
    const struct board_service *entry = &service->entry;
    const struct board_sum *sum = &service->sum;
    buffer_text(out, "<section class=\"card\"><div class=\"row\"><h3>");
    put_escaped(out, entry->name);
    buffer_format(out, "</h3><span class=\"state %s\">%s</span></div><div class=\"soft\">",
                  state_class(entry->state), snapshot_state_word(entry->state));
    put_escaped(out, entry->handler);
    buffer_text(out, entry->listen[0] == '\0' ? "" : " on ");
    put_escaped(out, entry->listen);
    buffer_text(out, "</div>");
    put_bar(service, out);
    buffer_text(out, "<div class=\"plots\">");
    for (size_t i = 0; i < sizeof(plots) / sizeof(plots[0]); i++)
        put_plot(snapshot, service, &plots[i], out);
    buffer_text(out, "</div><dl>");
    put_fact(out, "accepted", sum->counts[COUNT_ACCEPTED]);
    buffer_text(out, "<dt>bytes in, out</dt><dd>");
    put_bytes(out, (double)(sum->counts[COUNT_BYTES_IN] + sum->live_bytes_in));
    buffer_text(out, ", ");
    put_bytes(out, (double)(sum->counts[COUNT_BYTES_OUT] + sum->live_bytes_out));
    buffer_text(out, "</dd>");
    if (sum->generations > 1)
        put_fact(out, "listeners, old ones included", sum->generations);
    put_reasons(service, out);
    buffer_text(out, "</dl></section>\n");
}

static void put_seconds(struct buffer *out, uint64_t now_us, uint64_t then_us)
{
    uint64_t milliseconds = now_us > then_us ? (now_us - then_us) / 1000 : 0;
    buffer_text(out, "<td class=\"number\" data-v=\"");
    buffer_number(out, milliseconds);
    buffer_text(out, "\">");
    put_duration(out, milliseconds / 1000);
    buffer_text(out, "</td>");
}

static void put_amount(struct buffer *out, uint64_t bytes)
{
    buffer_text(out, "<td class=\"number\" data-v=\"");
    buffer_number(out, bytes);
    buffer_text(out, "\">");
    put_bytes(out, (double)bytes);
    buffer_text(out, "</td>");
}

static void put_session(const struct snapshot *snapshot, const struct snapshot_session *session,
                        struct buffer *out)
{
    const struct board_row *row = &session->row;
    buffer_format(out, "<tr><td>%u-%u</td><td>", session->slot, row->turn);
    put_escaped(out, session->service);
    buffer_text(out, "</td><td>");
    put_escaped(out, row->client);
    buffer_format(out, "</td><td class=\"number\" data-v=\"%d\">%d</td><td>%s</td>", row->pid,
                  row->pid, row->torn ? "unreadable" : board_activity_word(row->activity));
    put_seconds(out, snapshot->now_us, row->since_us);
    put_seconds(out, snapshot->now_us, row->active_us);
    put_amount(out, row->bytes_in);
    put_amount(out, row->bytes_out);
    buffer_text(out, "</tr>\n");
}

static void put_sessions(const struct snapshot *snapshot, size_t rows, struct buffer *out)
{
    static const struct {
        const char *title;
        bool number;
    } columns[] = { { "ID", false },    { "Service", false }, { "Client", false },
                    { "PID", true },    { "State", false },   { "Age", true },
                    { "Silent", true }, { "In", true },       { "Out", true } };
    size_t shown = snapshot->session_count < rows ? snapshot->session_count : rows;

    buffer_format(out, "<h2>Sessions <span class=\"soft\">%zu</span></h2><div class=\"scroll\">",
                  snapshot->session_count);
    if (shown == 0) {
        buffer_text(out, "<p class=\"none\">Nobody is connected.</p></div>");
        return;
    }
    buffer_text(out, "<table><thead><tr>");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        buffer_format(out, "<th scope=\"col\"%s><button type=\"button\">%s</button></th>",
                      columns[i].number ? " class=\"number\" data-n" : "", columns[i].title);
    buffer_text(out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < shown; i++)
        put_session(snapshot, &snapshot->sessions[i], out);
    buffer_text(out, "</tbody></table></div>");
    if (shown < snapshot->session_count)
        buffer_format(out,
                      "<p class=\"soft\">The %zu that were active last. "
                      "<a href=\"/?sessions=all\">All %zu</a></p>",
                      shown, snapshot->session_count);
}

static void put_daemon(const struct snapshot *snapshot, struct buffer *out)
{
    const struct board_header *header = snapshot->header;
    uint64_t started = header->started_s;
    buffer_text(out, "<header><div class=\"row\"><h1>forkechod</h1>");
    buffer_format(out, "<span id=\"life\" class=\"state %s\">%s</span></div><p class=\"soft row\">",
                  life_class(header->life), snapshot_life_word(header->life));
    buffer_text(out, "<span>version ");
    put_escaped(out, header->program);
    buffer_text(out, "</span><span>up ");
    put_duration(out, snapshot->now_s > started ? snapshot->now_s - started : 0);
    buffer_format(out, "</span><span>process %d</span><span>%u of %u sessions</span></p>",
                  header->master, snapshot->live, header->sessions_max);
    if (header->reload_rejected)
        buffer_text(out, "<p class=\"state bad\">The last reload was rejected; the configuration "
                         "before it is in force.</p>");
    if (header->log_dropped > 0)
        buffer_format(out, "<p class=\"state warn\">%llu log lines were dropped.</p>",
                      (unsigned long long)header->log_dropped);
    buffer_text(out, "</header>\n");
}

void page_write(const struct snapshot *snapshot, size_t rows, const char *nonce, struct buffer *out)
{
    buffer_text(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                     "<title>forkechod</title>\n");
    buffer_format(out, "<style nonce=\"%s\">\n", nonce);
    buffer_text(out, page_css);
    buffer_text(out, "</style></head>\n<body><main>\n");
    put_daemon(snapshot, out);
    buffer_text(out, "<div class=\"cards\">\n");
    for (size_t i = 0; i < snapshot->service_count; i++)
        if (snapshot->services[i].entry.state != SERVICE_ABSENT)
            put_service(snapshot, &snapshot->services[i], out);
    buffer_text(out, "</div>\n");
    put_sessions(snapshot, rows, out);
    buffer_text(out,
                "</main>\n<footer class=\"soft\">For programs: <a href=\"/status.json\">status.json"
                "</a>, <a href=\"/metrics\">metrics</a></footer>\n");
    buffer_format(out, "<script nonce=\"%s\">\n", nonce);
    buffer_text(out, page_js);
    buffer_text(out, "</script></body></html>\n");
}
