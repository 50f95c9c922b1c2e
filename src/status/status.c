#include "status/status.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "status/pages.h"

enum { ROWS_SHOWN = 200 };

/* What a query may ask for. */
struct wishes {
    char service[BOARD_NAME_MAX]; /* only this one; empty: all */
    bool no_sessions, all_sessions;
};

/* False for a query that is none. What is not known is not asked for. */
static bool read_wishes(const struct http_request *request, struct wishes *wishes)
{
    struct http_parameter parameter;
    size_t at = 0;
    int got;
    memset(wishes, 0, sizeof(*wishes));
    while ((got = http_parameter(request, &at, &parameter)) > 0) {
        if (strcmp(parameter.name, "service") == 0)
            snprintf(wishes->service, sizeof(wishes->service), "%.63s", parameter.value);
        else if (strcmp(parameter.name, "sessions") == 0) {
            wishes->no_sessions = strcmp(parameter.value, "no") == 0;
            wishes->all_sessions = strcmp(parameter.value, "all") == 0;
        }
    }
    return got == 0;
}

/* A page's own number, which whoever writes into it cannot know; and the header field that lets
 * nothing else style it or run in it. */
static const char *make_policy(char nonce[33])
{
    static char field[400];
    unsigned char bytes[16] = { 0 };
    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        memset(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
    snprintf(field, sizeof(field),
             "Content-Security-Policy: default-src 'none'; style-src 'nonce-%s'; script-src "
             "'nonce-%s'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n",
             nonce, nonce);
    return field;
}

static void say_page(const struct snapshot *snapshot, const struct wishes *wishes,
                     struct http_answer *answer)
{
    char nonce[33];
    answer->fields = make_policy(nonce);
    page_write(snapshot, wishes->all_sessions ? SIZE_MAX : ROWS_SHOWN, nonce, answer->body);
}

static void say_json(const struct snapshot *snapshot, const struct wishes *wishes,
                     struct http_answer *answer)
{
    json_write(snapshot, !wishes->no_sessions, answer->body);
}

static void say_metrics(const struct snapshot *snapshot, const struct wishes *wishes,
                        struct http_answer *answer)
{
    (void)wishes;
    metrics_write(snapshot, answer->body);
}

static const struct page {
    const char *path, *type;
    bool sessions; /* shows them, unless they are not wanted */
    void (*say)(const struct snapshot *snapshot, const struct wishes *wishes,
                struct http_answer *answer);
} table[] = {
    { "/", "text/html; charset=utf-8", true, say_page },
    { "/status.json", "application/json", true, say_json },
    { "/metrics", "application/openmetrics-text; version=1.0.0; charset=utf-8", false,
      say_metrics },
};

void status_answer(const struct board *board, const struct http_request *request,
                   struct http_answer *answer)
{
    const struct page *page = NULL;
    struct wishes wishes;
    struct snapshot snapshot;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].path, request->path) == 0)
            page = &table[i];
    if (page == NULL || !read_wishes(request, &wishes)) {
        answer->status = page == NULL ? HTTP_NOT_FOUND : HTTP_BAD_REQUEST;
        answer->type = "text/plain; charset=utf-8";
        buffer_text(answer->body, page == NULL ? "/, /status.json and /metrics are there\n"
                                               : "not a query: name=value, parted by &\n");
        return;
    }
    answer->status = HTTP_OK;
    answer->type = page->type;
    if (snapshot_take(&snapshot, board, wishes.service[0] == '\0' ? NULL : wishes.service,
                      page->sessions && !wishes.no_sessions))
        page->say(&snapshot, &wishes, answer);
    else
        answer->body->failed = true;
    snapshot_free(&snapshot);
}
