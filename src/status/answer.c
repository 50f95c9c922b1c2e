#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "status/pages.h"
#include "status/status.h"

/* What the query asks for. */
struct wish {
    char service[sizeof(((struct http_parameter *)0)->value)]; /* empty: all */
    bool sessions, all;
};

/* ?sessions=no|yes|all and ?service=NAME, each once. */
static bool read_wish(const struct http_request *request, struct wish *wish)
{
    struct http_parameter parameter;
    bool has_service = false, has_sessions = false;
    size_t at = 0;
    int got;

    *wish = (struct wish){ .sessions = true };
    while ((got = http_parameter(request, &at, &parameter)) > 0) {
        bool is_service = strcmp(parameter.name, "service") == 0;
        bool *has = is_service ? &has_service : &has_sessions;
        if (*has || (!is_service && strcmp(parameter.name, "sessions") != 0))
            return false;
        *has = true;
        if (is_service) {
            memcpy(wish->service, parameter.value, sizeof(wish->service));
            continue;
        }
        wish->sessions = strcmp(parameter.value, "no") != 0;
        wish->all = strcmp(parameter.value, "all") == 0;
        if (wish->sessions && !wish->all && strcmp(parameter.value, "yes") != 0)
            return false;
    }
    return got == 0 && (!has_service || wish->service[0] != '\0');
}

/* The field Host, its port apart: localhost, or an address in numbers. */
static bool is_local_name(const struct http_request *request)
{
    static const char name[] = "localhost";
    const char *host = request->host;
    size_t length = request->host_length;

    if (host == NULL || length == 0) /* no browser */
        return true;
    if (host[0] == '[')
        return true;
    const char *port = memchr(host, ':', length);
    length = port == NULL ? length : (size_t)(port - host);
    if (length == sizeof(name) - 1 && strncasecmp(host, name, length) == 0)
        return true;
    return strspn(host, "0123456789.") >= length;
}

/* Each returns further header fields, or NULL. */
static const char *add_json(struct buffer *out, struct status *status, const struct wish *wish)
{
    status_add_json(out, status, wish->sessions);
    return NULL;
}

static const char *add_metrics(struct buffer *out, struct status *status, const struct wish *wish)
{
    (void)wish;
    status_add_metrics(out, status);
    return NULL;
}

static const char *add_page(struct buffer *out, struct status *status, const struct wish *wish)
{
    return status_add_page(out, status, wish->sessions, wish->all);
}

static const struct page {
    const char *path, *type;
    bool rows; /* it shows sessions */
    const char *(*add)(struct buffer *out, struct status *status, const struct wish *wish);
} pages[] = {
    { "/", "text/html; charset=utf-8", true, add_page },
    { "/status.json", "application/json", true, add_json },
    { "/metrics", "application/openmetrics-text; version=1.0.0; charset=utf-8", false,
      add_metrics },
};

static enum http_status answer_page(const struct page *page, const struct status_view *view,
                                    const struct http_request *request, struct http_answer *answer)
{
    struct status status;
    struct wish wish;

    if (!read_wish(request, &wish))
        return HTTP_BAD_REQUEST;
    if (status_collect(view->board, wish.service[0] == '\0' ? NULL : wish.service,
                       page->rows && wish.sessions, &status) < 0) {
        answer->body->failed = true;
        return HTTP_UNAVAILABLE;
    }
    bool known = wish.service[0] == '\0' || status.service_count > 0;
    if (known) {
        answer->type = page->type;
        answer->fields = page->add(answer->body, &status, &wish);
    }
    status_free(&status);
    return known ? HTTP_OK : HTTP_NOT_FOUND;
}

void status_answer(const void *context, const struct http_request *request,
                   struct http_answer *answer)
{
    const struct status_view *view = context;

    answer->status = HTTP_NOT_FOUND;
    if (view->local_names && !is_local_name(request)) {
        answer->status = HTTP_FORBIDDEN;
        return;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
        if (strcmp(pages[i].path, request->path) == 0)
            answer->status = answer_page(&pages[i], view, request, answer);
}

/* ---- what the pages share ---- */

void status_add_id(struct buffer *out, const struct status_session *session)
{
    buffer_number(out, session->slot);
    buffer_text(out, "-");
    buffer_number(out, session->row.turn);
}

uint64_t status_since(const struct status *status, uint64_t moment_us)
{
    return status->now_us > moment_us ? status->now_us - moment_us : 0;
}

uint64_t status_live(const struct status *status)
{
    uint64_t live = 0;
    for (size_t i = 0; i < status->service_count; i++)
        live += status->services[i].sum.live;
    return live;
}

uint64_t status_uptime(const struct status *status)
{
    return status_since(status, status->header->started_us) / 1000000;
}
