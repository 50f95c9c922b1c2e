/* A service on the page: how full it is, how busy it was, and why clients left or were refused. */
#include "status/escape.h"
#include "status/figures.h"
#include "status/pages.h"
#include "status/words.h"

enum { STEPS = BOARD_SAMPLES - 1, PLOT_HEIGHT = 40, PART_LEAST = 8 };

static const char *fill_class(uint32_t live, uint32_t limit)
{
    return live >= limit ? " bad" : (uint64_t)live * 10 >= (uint64_t)limit * 8 ? " warn" : "";
}

static void add_use(struct buffer *out, const struct status_service *service)
{
    uint32_t live = service->sum.live, limit = service->entry.instances;
    uint32_t part = limit == 0 ? 0 : (uint32_t)((uint64_t)live * 1000 / limit);

    if (live > 0 && part < PART_LEAST) /* one is to be seen */
        part = PART_LEAST;
    buffer_text(out, "<p class=\"use\"><span><b>");
    figure_number(out, live);
    buffer_text(out, "</b> of ");
    figure_number(out, limit);
    buffer_text(out, " sessions</span><span class=\"small soft\">");
    if (service->sum.waiting > 0) {
        figure_number(out, service->sum.waiting);
        buffer_text(out, " waiting");
    }
    buffer_format(out,
                  "</span></p>\n<svg class=\"bar%s\" viewBox=\"0 0 1000 8\" "
                  "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%u of %u sessions\">"
                  "<rect width=\"%u\" height=\"8\"/></svg>\n",
                  fill_class(live, limit), live, limit, part < 1000 ? part : 1000);
    if (service->entry.prefork) {
        buffer_text(out, "<p class=\"small soft\">Pool: ");
        figure_number(out, service->sum.workers);
        buffer_text(out, " workers, ");
        figure_number(out, service->sum.idle);
        buffer_text(out,
                    service->entry.scale == 0 ? " idle</p>\n" : " idle, set by the operator</p>\n");
    }
}

/* One value a step, as a curve from left to right; the highest one touches the top. */
static void add_plot(struct buffer *out, const char *what, const uint64_t *values, size_t count,
                     void (*caption)(struct buffer *out, uint64_t value), uint64_t now)
{
    uint64_t most = 1;
    for (size_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    buffer_format(out,
                  "<figure><svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
                  "aria-label=\"%s over the last five minutes\">",
                  STEPS - 1, PLOT_HEIGHT, what);
    for (int curve = 0; curve <= 1 && count > 1; curve++) {
        size_t first = STEPS - count;
        buffer_text(out, curve ? "<path class=\"curve\" d=\"" : "<path class=\"area\" d=\"");
        if (!curve)
            buffer_format(out, "M%zu %d", first, PLOT_HEIGHT);
        for (size_t i = 0; i < count; i++)
            buffer_format(out, "%c%zu %.1f", curve && i == 0 ? 'M' : 'L', first + i,
                          PLOT_HEIGHT - (double)values[i] / (double)most * (PLOT_HEIGHT - 2));
        if (!curve)
            buffer_format(out, "L%d %dZ", STEPS - 1, PLOT_HEIGHT);
        buffer_text(out, "\"/>");
    }
    buffer_text(out, "</svg><figcaption><b>");
    caption(out, now);
    buffer_format(out, "</b> %s</figcaption></figure>\n", what);
}

static void add_plots(struct buffer *out, const struct status_service *service, uint32_t samples)
{
    struct status_step steps[STEPS];
    uint64_t accepted[STEPS], live[STEPS], bytes[STEPS];
    size_t count = status_steps(&service->entry, samples, steps);

    for (size_t i = 0; i < count; i++) {
        accepted[i] = steps[i].accepted;
        live[i] = steps[i].live;
        bytes[i] = steps[i].bytes;
    }
    buffer_text(out, "<div class=\"plots\">\n");
    add_plot(out, "clients/s", accepted, count, figure_rate, service->accepted_rate);
    add_plot(out, "sessions", live, count, figure_number, service->sum.live);
    add_plot(out, "bytes/s", bytes, count, figure_bytes, service->byte_rate / 1000);
    buffer_text(out, "</div>\n");
}

static void begin_reasons(struct buffer *out, const char *what, uint64_t all)
{
    buffer_format(out, "<div><dt>%s: ", what);
    figure_number(out, all);
    buffer_text(out, "</dt><dd><ul>");
}

static void add_reason(struct buffer *out, const char *text, uint64_t count)
{
    if (count == 0)
        return;
    buffer_text(out, "<li>");
    for (; *text != '\0'; text++) /* words that stand for keys */
        buffer_add(out, *text == '_' ? " " : text, 1);
    buffer_text(out, " <span>");
    figure_number(out, count);
    buffer_text(out, "</span></li>");
}

static uint64_t sum_of(const uint64_t *counts, unsigned int count)
{
    uint64_t all = 0;
    for (unsigned int i = 0; i < count; i++)
        all += counts[i];
    return all;
}

static void add_reasons(struct buffer *out, const uint64_t *counts)
{
    buffer_text(out, "<dl class=\"why small\">\n");
    begin_reasons(out, "Ended", sum_of(counts + COUNT_ENDED, SESSION_END_COUNT));
    for (unsigned int end = 0; end < SESSION_END_COUNT; end++)
        add_reason(out, session_end_text((enum session_end)end), counts[COUNT_ENDED + end]);
    buffer_text(out, "</ul></dd></div>\n");
    begin_reasons(out, "Refused", sum_of(counts + COUNT_REFUSED, CAUSE_COUNT));
    for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++)
        add_reason(out, board_cause_word((enum board_cause)cause), counts[COUNT_REFUSED + cause]);
    buffer_text(out, "</ul></dd></div>\n</dl>\n");
}

void status_add_card(struct buffer *out, const struct status_service *service, uint32_t samples)
{
    buffer_text(out, "<section class=\"card\">\n<div class=\"name\"><h3>");
    escape_html(out, service->entry.name);
    buffer_text(out, "</h3>");
    figure_state(out, word_of_service(service->entry.state),
                 service->entry.state == SERVICE_SERVING);
    buffer_text(out, "</div>\n<p class=\"small soft\">");
    escape_html(out, service->entry.handler);
    buffer_text(out, " on ");
    escape_html(out, service->entry.listen);
    buffer_text(out, "</p>\n");
    add_use(out, service);
    add_plots(out, service, samples);
    add_reasons(out, service->sum.counts);
    buffer_text(out, "</section>\n");
}
