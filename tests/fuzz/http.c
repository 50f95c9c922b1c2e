/* Any bytes, in any pieces, to the handler http: the whole server over a socket pair. Who sends
 * everything at once has to get the same answers as who sends it in drops, so the answers are
 * foreseen from the requests as a whole. Each has to be well-formed, and nothing else may come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "service/http_parse.h"

static const char body[] = "Hello, world!\n";

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

/* One answer, and whether it says that the connection closes. */
static void take_answer(struct answers *answers, enum http_status status, bool has_body,
                        const char *text, bool *closes)
{
    char line[512];
    long length = -1;
    int number = 0;
    bool allows = false;

    take_line(answers, line, sizeof(line));
    HOLDS(sscanf(line, "HTTP/1.1 %3d %*[A-Za-z]", &number) == 1 && number == (int)status);
    *closes = false;
    for (take_line(answers, line, sizeof(line)); *line != '\0';
         take_line(answers, line, sizeof(line))) {
        HOLDS(strstr(line, ": ") != NULL);
        HOLDS(length < 0 || strncasecmp(line, "Content-Length:", 15) != 0);
        sscanf(line, "Content-Length: %ld", &length);
        *closes |= strcmp(line, "Connection: close") == 0;
        allows |= strcmp(line, "Allow: GET, HEAD") == 0;
    }
    HOLDS(length >= 0 && allows == (status == HTTP_NOT_ALLOWED));
    if (!has_body)
        return;
    HOLDS(text == NULL || (size_t)length == strlen(text));
    HOLDS((size_t)length <= answers->size - answers->at);
    HOLDS(text == NULL || memcmp(answers->bytes + answers->at, text, (size_t)length) == 0);
    answers->at += (size_t)length;
}

static enum http_status answer_to(const struct http_request *request)
{
    static const char *const known[] = { "/", "/livez", "/readyz" };
    if (request->method == HTTP_OTHER)
        return HTTP_NOT_ALLOWED;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(request->path, known[i]) == 0)
            return HTTP_OK;
    return HTTP_NOT_FOUND;
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
        bool closes, greets = false;
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
            status = answer_to(&request);
            greets = status == HTTP_OK && strcmp(request.path, "/") == 0;
        } else {
            keep = false;
        }
        take_answer(&answers, status, request.method != HTTP_HEAD, greets ? body : NULL, &closes);
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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct service service = { .size = sizeof(service), .handler = "http", .linger_timeout = 1000 };
    struct client client = { .script = { bytes, size } };
    struct fuzz_part rest = client.script, piece;
    char *whole = malloc(size + 1);
    size_t length = 0;

    memcpy(service.body, body, sizeof(body));
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
