/* Any bytes, in any pieces, to the handlers http and status: the whole server over a socket pair.
 * Who sends everything at once has to get the same answers as who sends it in drops, so the answers
 * are foreseen from the requests as a whole. Each has to be well-formed, and nothing else may come.
 *
 * An input that begins with FOR_STATUS or FOR_STATUS_TCP is for status, which shows the board of a
 * household. Time does not pass and nothing is random for it (fuzz.mk wraps both), so each page is
 * what status_answer has for the same request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "household.h"
#include "service/http_parse.h"
#include "status/status.h"

enum { FOR_STATUS = 0x05, FOR_STATUS_TCP = 0x06, NOW_S = 1790000000 };

static const char body[] = "Hello, world!\n";

/* NULL: http answers. */
static const struct status_view *view;

/* What a request has to get. */
struct foreseen {
    enum http_status status;
    const char *type, *fields, *text; /* each may be NULL: not foreseen */
    size_t length;                    /* of the text */
};

time_t __wrap_time(time_t *now);
uint64_t __wrap_clock_us(void);
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned int flags);

time_t __wrap_time(time_t *now)
{
    if (now != NULL)
        *now = NOW_S;
    return NOW_S;
}

uint64_t __wrap_clock_us(void)
{
    return NOW_S * 1000000ULL;
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned int flags)
{
    (void)flags;
    memset(bytes, 0x5a, size);
    return (ssize_t)size;
}

/* What has come, and how far it was looked at. */
struct answers {
    const char *bytes;
    size_t size, at;
};

static bool follows(const struct answers *answers, const char *text)
{
    size_t length = strlen(text);
    return answers->size - answers->at >= length &&
           memcmp(answers->bytes + answers->at, text, length) == 0;
}

/* A line of a header, terminated and without its end. */
static void take_line(struct answers *answers, char *line, size_t size)
{
    const char *from = answers->bytes + answers->at;
    const char *end = memchr(from, '\n', answers->size - answers->at);
    HOLDS(end != NULL && end > from && end[-1] == '\r');
    size_t length = (size_t)(end - from) - 1;
    HOLDS(length < size);
    for (size_t i = 0; i < length; i++)
        HOLDS((unsigned char)from[i] >= ' ' && (unsigned char)from[i] < 0x7f);
    memcpy(line, from, length);
    line[length] = '\0';
    answers->at += length + 2;
}

static bool has_text(const char *bytes, size_t size, const char *text)
{
    return text == NULL || memmem(bytes, size, text, strlen(text)) != NULL;
}

/* One answer, and whether it says that the connection closes. */
static void take_answer(struct answers *answers, const struct foreseen *foreseen, bool has_body,
                        bool *closes)
{
    char line[512];
    const char *head = answers->bytes + answers->at;
    long length = -1;
    int number = 0;
    bool allows = false;

    take_line(answers, line, sizeof(line));
    HOLDS(sscanf(line, "HTTP/1.1 %3d %*[A-Za-z]", &number) == 1 && number == (int)foreseen->status);
    *closes = false;
    for (take_line(answers, line, sizeof(line)); *line != '\0';
         take_line(answers, line, sizeof(line))) {
        HOLDS(strstr(line, ": ") != NULL);
        HOLDS(length < 0 || strncasecmp(line, "Content-Length:", 15) != 0);
        sscanf(line, "Content-Length: %ld", &length);
        *closes |= strcmp(line, "Connection: close") == 0;
        allows |= strcmp(line, "Allow: GET, HEAD") == 0;
    }
    HOLDS(length >= 0 && allows == (foreseen->status == HTTP_NOT_ALLOWED));
    size_t head_size = (size_t)(answers->bytes + answers->at - head);
    HOLDS(has_text(head, head_size, foreseen->type) && has_text(head, head_size, foreseen->fields));
    HOLDS(foreseen->text == NULL || (size_t)length == foreseen->length);
    if (!has_body)
        return;
    HOLDS((size_t)length <= answers->size - answers->at);
    HOLDS(foreseen->text == NULL ||
          memcmp(answers->bytes + answers->at, foreseen->text, (size_t)length) == 0);
    answers->at += (size_t)length;
}

/* The page that status has for it. */
static void foresee_page(const struct http_request *request, struct foreseen *foreseen)
{
    static struct buffer page;
    struct http_answer answer = { .body = &page };

    page.length = 0;
    status_answer(view, request, &answer);
    HOLDS(!page.failed && (answer.status == HTTP_OK) == (page.length > 0));
    *foreseen = (struct foreseen){ answer.status, answer.type, answer.fields, NULL, page.length };
    if (page.length > 0)
        foreseen->text = page.bytes;
}

static void foresee_answer(const struct http_request *request, struct foreseen *foreseen)
{
    bool asks_health =
        strcmp(request->path, "/livez") == 0 || strcmp(request->path, "/readyz") == 0;

    *foreseen = (struct foreseen){ .status = HTTP_NOT_FOUND };
    if (request->method == HTTP_OTHER)
        foreseen->status = HTTP_NOT_ALLOWED;
    else if (asks_health)
        foreseen->status = HTTP_OK;
    else if (view != NULL)
        foresee_page(request, foreseen);
    else if (strcmp(request->path, "/") == 0)
        *foreseen = (struct foreseen){ HTTP_OK, NULL, NULL, body, sizeof(body) - 1 };
}

/* What becomes of the request at the beginning of these bytes, behind which nothing comes. */
static enum http_status judge(const char *bytes, size_t size, struct http_request *request)
{
    size_t looked_at = size < HTTP_REQUEST_MAX ? size : HTTP_REQUEST_MAX;
    enum http_status status = http_parse(bytes, looked_at, request);
    if (status != HTTP_MORE)
        return status;
    if (size < HTTP_REQUEST_MAX)
        return HTTP_BAD_REQUEST;
    return memchr(bytes, '\n', looked_at) != NULL ? HTTP_HEADER_TOO_LARGE : HTTP_TARGET_TOO_LONG;
}

static bool says(const char *bytes, size_t size, const char *word)
{
    size_t length = strlen(word);
    for (size_t at = 0; at + length <= size; at++)
        if (strncasecmp(bytes + at, word, length) == 0)
            return true;
    return false;
}

/* RFC 9112 9.3: what it does to the connection it has to have said, if it is not the custom. */
static void check_persistence(const struct http_request *request, const char *header)
{
    const char *word = request->minor > 0 ? "close" : "keep-alive";
    bool unusual = request->keep != (request->minor > 0);
    HOLDS(!unusual || says(header, request->length, word));
}

static void check(const struct client *client, const char *bytes, size_t size)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct answers answers = { (const char *)client->got, client->got_size, 0 };
    bool keep = true;

    while (keep && size > 0) {
        struct http_request request;
        enum http_status status = judge(bytes, size, &request);
        struct foreseen foreseen = { .status = status };
        bool closes;
        if (status == HTTP_OK) {
            HOLDS(request.length > 0 && request.length <= size);
            check_persistence(&request, bytes);
            bytes += request.length;
            size -= request.length;
            if (request.continues && follows(&answers, go_on))
                answers.at += sizeof(go_on) - 1;
            if (request.body > size)
                break;
            bytes += request.body;
            size -= request.body;
            keep = request.keep;
            foresee_answer(&request, &foreseen);
        } else {
            keep = false;
        }
        take_answer(&answers, &foreseen, request.method != HTTP_HEAD, &closes);
        HOLDS(closes == !keep);
    }
    HOLDS(answers.at == answers.size);
    HOLDS(client->end == (keep ? SESSION_CLOSED : SESSION_COMPLETE));
}

/* What was judged whole was not judged otherwise when a byte of it was missing. */
static void try_parser(const char *bytes, size_t size)
{
    struct http_request request, shorter;
    struct http_parameter parameter;
    size_t at = 0;
    enum http_status status = http_parse(bytes, size, &request);

    while (status == HTTP_OK && http_parameter(&request, &at, &parameter) == 1)
        HOLDS(memchr(parameter.name, '\0', sizeof(parameter.name)) != NULL &&
              memchr(parameter.value, '\0', sizeof(parameter.value)) != NULL);
    if (size > 0) {
        enum http_status before = http_parse(bytes, size - 1, &shorter);
        HOLDS(before == HTTP_MORE || before == status);
    }
}

/* Whom the first byte asks for. Returns how many bytes that was. */
static size_t choose(const uint8_t *bytes, size_t size, struct service *service,
                     struct client *client)
{
    static struct house house;
    static struct status_view shown;
    bool over_tcp = size > 0 && bytes[0] == FOR_STATUS_TCP;
    bool asks_status = over_tcp || (size > 0 && bytes[0] == FOR_STATUS);

    view = asks_status ? &shown : NULL;
    snprintf(service->handler, sizeof(service->handler), asks_status ? "status" : "http");
    memcpy(service->body, body, sizeof(body));
    if (!asks_status)
        return 0;
    if (house.master == NULL)
        house_build(&house);
    shown = (struct status_view){ .board = &house.master->board, .local_names = over_tcp };
    client->board = shown.board;
    client->over_tcp = over_tcp;
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct service service = { .size = sizeof(service), .linger_timeout = 1000 };
    struct client client = { .drops = false };
    size_t chosen = choose(bytes, size, &service, &client);
    client.script = (struct fuzz_part){ bytes + chosen, size - chosen };
    struct fuzz_part rest = client.script, piece;
    char *whole = malloc(size + 1);
    size_t length = 0;

    while (fuzz_cut(&rest, CLIENT_PIECE_END, &piece)) {
        memcpy(whole + length, piece.bytes, piece.size);
        length += piece.size;
    }
    client_run(&client, &service);
    check(&client, whole, length);
    whole = realloc(whole, length + (length == 0));
    try_parser(whole, length);
    free(whole);
    free(client.got);
    return 0;
}
