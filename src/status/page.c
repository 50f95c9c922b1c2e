/* The page at /: whole without its script, which only fetches it anew and sorts the table. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "status/escape.h"
#include "status/figures.h"
#include "status/pages.h"
#include "status/words.h"

enum { ROWS_MAX = 200, NONCE_BYTES = 16, IDLE_HEAD = 4 };

static const char style[] =
#include "status/page.css.inc"
    ;
static const char script[] =
#include "status/page.js.inc"
    ;

/* ---- what everything is in ---- */

/* Only style and script with this answer's own word are obeyed, and nothing is fetched but the page
 * itself. */
static const char *make_policy(char nonce[2 * NONCE_BYTES + 1])
{
    static char fields[512];
    unsigned char bytes[NONCE_BYTES];

    nonce[0] = '\0';
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) == (ssize_t)sizeof bytes)
        for (size_t i = 0; i < sizeof bytes; i++)
            snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
    snprintf(fields, sizeof fields,
             "Content-Security-Policy: default-src 'none'; img-src data:; connect-src 'self'; "
             "base-uri 'none'; "
             "form-action 'none'; frame-ancestors 'none'; style-src 'nonce-%s'; "
             "script-src 'nonce-%s'\r\nReferrer-Policy: no-referrer\r\n",
             nonce, nonce);
    return fields;
}

static void begin_page(struct buffer *out, const struct status *status, const char *nonce)
{
    buffer_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<link rel=\"icon\" href=\"data:,\">\n"
                     "<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\n");
    buffer_format(out, "<title>forkechod: %s, %" PRIu64 " sessions</title>\n",
                  word_of_life(status->header->life), status_live(status));
    buffer_format(out, "<style nonce=\"%s\">\n", nonce);
    buffer_add(out, style, sizeof style - 1);
    buffer_text(out, "</style>\n</head>\n<body>\n"
                     "<p id=\"connection\" class=\"note\" role=\"status\" hidden></p>\n<main>\n");
}

static void end_page(struct buffer *out, const char *nonce)
{
    buffer_text(out, "</main>\n<footer class=\"small soft\">The same for programs: "
                     "<a href=\"/status.json\">JSON</a>, <a href=\"/metrics\">metrics</a>."
                     "</footer>\n");
    buffer_format(out, "<script nonce=\"%s\">\n", nonce);
    buffer_add(out, script, sizeof script - 1);
    buffer_text(out, "</script>\n</body>\n</html>\n");
}

/* ---- the daemon ---- */

static void fact(struct buffer *out, const char *what, const char *value)
{
    buffer_format(out, "<div><dt>%s</dt><dd>", what);
    escape_html(out, value);
    buffer_text(out, "</dd></div>\n");
}

static void add_warnings(struct buffer *out, const struct board_header *header)
{
    if (header->reload_rejected != 0)
        buffer_text(out, "<p class=\"note\">The last reload was rejected; the configuration before "
                         "it is in force. The log has the mistakes.</p>\n");
    if (header->log_dropped > 0) {
        buffer_text(out, "<p class=\"note\">Log lines that no sink took: ");
        figure_number(out, header->log_dropped);
        buffer_text(out, "</p>\n");
    }
}

static void add_daemon(struct buffer *out, const struct status *status)
{
    const struct board_header *header = status->header;

    buffer_text(out, "<div class=\"top\"><h1>forkechod</h1>");
    figure_state(out, word_of_life(header->life), header->life == LIFE_SERVES);
    buffer_text(out, "<p class=\"soft small\">");
    figure_date(out, status->now_s);
    buffer_text(out, "</p></div>\n");
    add_warnings(out, header);
    buffer_text(out, "<dl class=\"facts\">\n");
    fact(out, "Version", header->program);
    buffer_text(out, "<div><dt>Up for</dt><dd>");
    figure_duration(out, status_uptime(status) * 1000000);
    buffer_text(out, "</dd></div>\n<div><dt>Sessions</dt><dd>");
    figure_number(out, status_live(status));
    buffer_text(out, " of ");
    figure_number(out, header->sessions_max);
    buffer_text(out, "</dd></div>\n<div><dt>Process</dt><dd>");
    buffer_number(out, (uint64_t)header->master);
    buffer_text(out, "</dd></div>\n");
    fact(out, header->log_switched != 0 ? "Log level (switched)" : "Log level",
         word_of_log_level(header->log_level));
    buffer_text(out, "<div><dt>Reloads</dt><dd>");
    figure_number(out, header->reloads);
    buffer_text(out, "</dd></div>\n</dl>\n");
}

/* ---- sessions ---- */

/* The most recently active first. */
static int compare_activity(const void *left, const void *right)
{
    const struct status_session *a = left, *b = right;
    if (a->row.active_us != b->row.active_us)
        return a->row.active_us < b->row.active_us ? 1 : -1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static void number_cell(struct buffer *out, const char *class, uint64_t value,
                        void (*figure)(struct buffer *out, uint64_t value))
{
    buffer_text(out, "<td class=\"");
    buffer_text(out, class);
    buffer_text(out, "\" data-v=\"");
    buffer_number(out, value);
    buffer_text(out, "\">");
    figure(out, value);
    buffer_text(out, "</td>");
}

static void text_cell(struct buffer *out, const char *tag, const char *text, const char *after)
{
    buffer_text(out, tag);
    escape_html(out, text);
    buffer_text(out, after);
}

static void add_row(struct buffer *out, const struct status *status,
                    const struct status_session *session)
{
    const struct board_row *row = &session->row;
    text_cell(out, "<tr><th scope=\"row\">", row->client, "</th>");
    text_cell(out, "<td>", status->services[session->service].entry.name, "</td>");
    text_cell(out, "<td>", word_of_row(row), "</td>");
    number_cell(out, "n", status_since(status, row->since_us), figure_duration);
    number_cell(out, "n", status_since(status, row->active_us), figure_duration);
    number_cell(out, "n", row->bytes_in, figure_bytes);
    number_cell(out, "n", row->bytes_out, figure_bytes);
    number_cell(out, "n less", row->turns, figure_number);
    number_cell(out, "n less", (uint64_t)row->pid, buffer_number);
    buffer_text(out, "<td class=\"less\">");
    status_add_id(out, session);
    buffer_text(out, "</td></tr>\n");
}

static void add_heads(struct buffer *out)
{
    static const char *const heads[][3] = {
        { "client", "", "Client" }, { "service", "", "Service" },   { "state", "", "State" },
        { "age", "n", "Age" },      { "idle", "n", "Idle" },        { "in", "n", "In" },
        { "out", "n", "Out" },      { "turns", "n less", "Turns" }, { "pid", "n less", "Process" },
        { "id", "less", "ID" },
    };
    buffer_text(out, "<thead><tr>");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        buffer_format(out, "<th scope=\"col\" data-k=\"%s\" class=\"%s\"%s>%s</th>", heads[i][0],
                      heads[i][1], i == IDLE_HEAD ? " aria-sort=\"ascending\"" : "", heads[i][2]);
    buffer_text(out, "</tr></thead>\n<tbody>\n");
}

static void add_sessions(struct buffer *out, struct status *status, bool all)
{
    size_t count = status->session_count;
    size_t shown = all || count < ROWS_MAX ? count : ROWS_MAX;

    buffer_text(out, "<h2 id=\"who\">Sessions</h2>\n");
    if (count == 0) {
        buffer_text(out, "<p class=\"card none soft\">Nobody is connected.</p>\n");
        return;
    }
    qsort(status->sessions, count, sizeof *status->sessions, compare_activity);
    buffer_text(out,
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"who\">\n"
                "<table id=\"sessions\">\n<caption>");
    if (shown < count) {
        buffer_format(out, "The %zu most recently active of ", shown);
        figure_number(out, count);
        buffer_text(out, ". <a href=\"/?sessions=all\">Show all</a></caption>\n");
    } else {
        figure_number(out, count);
        buffer_text(out, ", the most recently active first</caption>\n");
    }
    add_heads(out);
    for (size_t i = 0; i < shown; i++)
        add_row(out, status, &status->sessions[i]);
    buffer_text(out, "</tbody>\n</table>\n</div>\n");
}

const char *status_add_page(struct buffer *out, struct status *status, bool sessions, bool all)
{
    char nonce[2 * NONCE_BYTES + 1];
    const char *fields = make_policy(nonce);

    begin_page(out, status, nonce);
    add_daemon(out, status);
    buffer_text(out, "<h2>Services</h2>\n<div class=\"cards\">\n");
    for (size_t i = 0; i < status->service_count; i++)
        status_add_card(out, &status->services[i], status->samples);
    buffer_text(out, "</div>\n");
    if (sessions)
        add_sessions(out, status, all);
    end_page(out, nonce);
    return fields;
}
