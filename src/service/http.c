#include "service/http.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/date.h"
#include "service/handlers.h"

/* HEAD_MAX: an answer's header. */
enum { REQUEST_MS = 10000, HEAD_MAX = 1024 };

struct connection {
    struct stream *stream;
    const struct manners *manners;
    char bytes[HTTP_REQUEST_MAX]; /* what has come and was not answered yet */
    size_t held;
    uint64_t deadline_ms; /* for the request that has begun */
    struct buffer out;
};

static const char *status_text(enum http_status status)
{
    switch (status) {
#define STATUS(name, number, text)                                                                 \
    case HTTP_##name:                                                                              \
        return text;
        HTTP_STATUSES(STATUS)
#undef STATUS
    default:
        return "";
    }
}

/* ---- answers ---- */

static void say_status(struct http_answer *answer, enum http_status status)
{
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    buffer_number(answer->body, status);
    buffer_text(answer->body, " ");
    buffer_text(answer->body, status_text(status));
    buffer_text(answer->body, "\n");
}

static void say_hello(const struct manners *manners, const struct http_request *request,
                      struct http_answer *answer)
{
    if (strcmp(request->path, "/") != 0) {
        say_status(answer, HTTP_NOT_FOUND);
        return;
    }
    answer->status = HTTP_OK;
    answer->type = "text/plain; charset=utf-8";
    buffer_text(answer->body, manners->body);
}

static void say_page(const struct manners *manners, const struct http_request *request,
                     struct http_answer *answer)
{
    manners->pages->answer(manners->pages->context, request, answer);
    if (answer->body->length == HEAD_MAX)
        say_status(answer, answer->status);
}

typedef void answerer(const struct manners *manners, const struct http_request *request,
                      struct http_answer *answer);

static void answer_request(const struct manners *manners, const struct http_request *request,
                           struct http_answer *answer, answerer *say)
{
    const struct http_pages *pages = manners->pages;
    if (request->method == HTTP_OTHER) {
        answer->fields = "Allow: GET, HEAD\r\n";
        say_status(answer, HTTP_NOT_ALLOWED);
    } else if (strcmp(request->path, "/livez") == 0) {
        say_status(answer, HTTP_OK);
    } else if (strcmp(request->path, "/readyz") == 0) {
        bool ready = pages == NULL || pages->ready == NULL || pages->ready(pages->context);
        say_status(answer, ready ? HTTP_OK : HTTP_UNAVAILABLE);
    } else {
        say(manners, request, answer);
    }
}

static int format_head(char head[HEAD_MAX], const struct http_answer *answer,
                       const char *connection)
{
    struct date date = date_of(time(NULL));
    int length =
        snprintf(head, HEAD_MAX,
                 "HTTP/1.1 %d %s\r\nDate: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n"
                 "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                 "X-Content-Type-Options: nosniff\r\n%s%s\r\n",
                 (int)answer->status, status_text(answer->status), date.weekday, date.day,
                 date.month_name, date.year, date.hour, date.minute, date.second, answer->type,
                 answer->body->length - HEAD_MAX, answer->fields ? answer->fields : "", connection);
    return length < HEAD_MAX ? length : -1;
}

/* There was no memory for an answer: its header alone, which needs none, says so. */
static bool send_lack(struct connection *connection)
{
    char head[HEAD_MAX];
    struct buffer nothing = { .length = HEAD_MAX };
    struct http_answer answer = { .status = HTTP_UNAVAILABLE,
                                  .type = "text/plain; charset=utf-8",
                                  .body = &nothing };
    int length = format_head(head, &answer, "Connection: close\r\n");

    return stream_write(connection->stream, head, (size_t)length);
}

/* Sends the answer in one write, header and body, so that a short one is one packet. */
static bool send_answer(struct connection *connection, const struct http_request *request,
                        const struct http_answer *answer, bool keep)
{
    const char *persistence = !keep                ? "Connection: close\r\n"
                              : request->minor > 0 ? ""
                                                   : "Connection: keep-alive\r\n";
    struct buffer *out = &connection->out;
    char head[HEAD_MAX];
    int length = out->failed ? -1 : format_head(head, answer, persistence);

    if (length < 0)
        return send_lack(connection);
    char *first = out->bytes + HEAD_MAX - length;
    memcpy(first, head, (size_t)length);
    size_t size = request->method == HTTP_HEAD ? 0 : out->length - HEAD_MAX;
    return stream_write(connection->stream, first, (size_t)length + size);
}

/* Begins an answer behind the place for its header. */
static struct http_answer begin_answer(struct connection *connection)
{
    struct buffer *out = &connection->out;
    out->failed = false;
    out->length = 0;
    if (buffer_reserve(out, HEAD_MAX))
        out->length = HEAD_MAX;
    return (struct http_answer){ .body = out };
}

static void refuse(struct connection *connection, enum http_status status,
                   const struct http_request *request)
{
    struct http_answer answer = begin_answer(connection);
    say_status(&answer, status);
    send_answer(connection, request, &answer, false);
}

/* ---- requests ---- */

static void drop(struct connection *connection, size_t count)
{
    connection->held -= count;
    memmove(connection->bytes, connection->bytes + count, connection->held);
}

/* Reads behind what is held. The whole request has one deadline, from its first byte, so that one
 * that comes in drops ends too. HTTP_OK; a status to refuse it with; HTTP_MORE: the session is
 * over. */
static enum http_status read_more(struct connection *connection)
{
    struct stream *stream = connection->stream;
    if (connection->deadline_ms != 0 && !stream_wait(stream, connection->deadline_ms))
        return HTTP_TIMEOUT;
    size_t got = stream_read(stream, connection->bytes + connection->held,
                             sizeof connection->bytes - connection->held);
    connection->held += got;
    if (connection->deadline_ms == 0)
        connection->deadline_ms = clock_ms() + REQUEST_MS;
    return got > 0                                  ? HTTP_OK
           : stream->at_end && connection->held > 0 ? HTTP_BAD_REQUEST
                                                    : HTTP_MORE;
}

static enum http_status too_long(const struct connection *connection)
{
    return memchr(connection->bytes, '\n', connection->held) ? HTTP_HEADER_TOO_LARGE
                                                             : HTTP_TARGET_TOO_LONG;
}

/* Waits for a request's header. HTTP_MORE: there will be none. */
static enum http_status receive_header(struct connection *connection, struct http_request *request)
{
    connection->deadline_ms = connection->held > 0 ? clock_ms() + REQUEST_MS : 0;
    for (;;) {
        enum http_status status = http_parse(connection->bytes, connection->held, request);
        if (status != HTTP_MORE)
            return status;
        if (connection->held == sizeof connection->bytes)
            return too_long(connection);
        status = read_more(connection);
        if (status != HTTP_OK)
            return status;
    }
}

/* Throws the body away; nothing that is answered here has a use for one. */
static enum http_status receive_body(struct connection *connection, struct http_request *request)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (request->continues && connection->held == 0) {
        if (!stream_write(connection->stream, go_on, sizeof go_on - 1))
            return HTTP_MORE;
        connection->stream->turns--;
    }
    for (;;) {
        size_t had = request->body < connection->held ? request->body : connection->held;
        drop(connection, had);
        request->body -= had;
        if (request->body == 0)
            return HTTP_OK;
        enum http_status status = read_more(connection);
        if (status != HTTP_OK)
            return status == HTTP_BAD_REQUEST ? HTTP_MORE : status;
    }
}

static enum session_end converse(struct stream *stream, const struct manners *manners,
                                 answerer *say)
{
    static struct connection connection;
    struct http_request request;
    enum session_end end = SESSION_COMPLETE;
    bool keep = true;

    connection = (struct connection){ .stream = stream, .manners = manners };
    while (keep) {
        enum http_status status = receive_header(&connection, &request);
        struct http_answer answer = begin_answer(&connection);
        if (status == HTTP_OK) {
            /* Before the header is moved out of the way: the query lies in it. */
            manners_delay(stream, manners);
            answer_request(manners, &request, &answer, say);
            drop(&connection, request.length);
            status = receive_body(&connection, &request);
        }
        if (status == HTTP_MORE)
            break;
        keep = status == HTTP_OK && request.keep && !manners->once && !connection.out.failed;
        if (status == HTTP_TIMEOUT)
            end = SESSION_IDLE;
        if (status != HTTP_OK)
            refuse(&connection, status, &request);
        else if (!send_answer(&connection, &request, &answer, keep))
            break;
    }
    if (!keep && connection.out.failed)
        end = SESSION_SYSTEM;
    buffer_free(&connection.out);
    return keep || stream->over ? stream->end : end;
}

enum session_end http_serve(struct stream *stream, const struct manners *manners)
{
    return converse(stream, manners, say_hello);
}

enum session_end status_serve(struct stream *stream, const struct manners *manners)
{
    bool can = manners->pages != NULL && manners->pages->answer != NULL;
    return can ? converse(stream, manners, say_page) : SESSION_SYSTEM;
}
