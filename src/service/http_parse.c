#include "service/http_parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { METHOD_MAX = 32, BODY_DIGITS_MAX = 18 };

/* What has been seen so far of a header's fields, beside what the request says itself. */
struct fields {
    unsigned int hosts, lengths, codings;
    bool close, keep_alive, unknown_expectation;
};

/* A part of the bytes. */
struct part {
    const char *at;
    size_t length;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* RFC 9110 5.6.2 */
static bool is_token_character(char c)
{
    return is_unreserved(c) || (c != '\0' && strchr("!#$%&'*+^`|", c) != NULL);
}

/* RFC 3986, path and query. */
static bool is_target_character(char c)
{
    return is_unreserved(c) || (c != '\0' && strchr("!$&'()*+,;=:@/?%", c) != NULL);
}

static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF", *found = strchr(digits, c);
    return c == '\0' || found == NULL ? -1 : (int)(found - digits) % 16;
}

/* The byte that %XX at the beginning of the part stands for, or -1. */
static int decoded(struct part part)
{
    if (part.length < 3 || part.at[0] != '%')
        return -1;
    int high = hex_digit(part.at[1]), low = hex_digit(part.at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_all(struct part part, bool (*fits)(char c))
{
    for (size_t i = 0; i < part.length; i++)
        if (!fits(part.at[i]))
            return false;
    return true;
}

static bool is_word(struct part part, const char *word)
{
    return part.length == strlen(word) && strncasecmp(part.at, word, part.length) == 0;
}

static bool begins_with(struct part part, const char *word)
{
    return part.length >= strlen(word) && strncasecmp(part.at, word, strlen(word)) == 0;
}

static struct part skip(struct part part, size_t count)
{
    return (struct part){ part.at + count, part.length - count };
}

/* Takes what stands before the first `c` off the part, and the character itself; all of it, where
 * there is none. */
static struct part take_until(struct part *part, char c)
{
    const char *end = part->length == 0 ? NULL : memchr(part->at, c, part->length);
    struct part taken = { part->at, end == NULL ? part->length : (size_t)(end - part->at) };
    *part = skip(*part, taken.length + (end != NULL));
    return taken;
}

static struct part trimmed(struct part part)
{
    while (part.length > 0 && (*part.at == ' ' || *part.at == '\t'))
        part = skip(part, 1);
    while (part.length > 0 && (part.at[part.length - 1] == ' ' || part.at[part.length - 1] == '\t'))
        part.length--;
    return part;
}

/* ---- the request line ---- */

/* Every % begins %XX, and nothing is hidden behind it that may not be there at all. */
static bool is_encoded_well(struct part part)
{
    for (size_t i = 0; i < part.length; i++) {
        int byte = part.at[i] == '%' ? decoded(skip(part, i)) : 'x';
        if (byte < 0 || is_control((char)byte))
            return false;
    }
    return true;
}

static void copy_path(struct part part, char out[HTTP_PATH_MAX])
{
    size_t length = 0;
    while (part.length > 0 && length < HTTP_PATH_MAX - 1) {
        int byte = decoded(part);
        bool plain = byte >= 0 && is_unreserved((char)byte);
        out[length++] = plain ? (char)byte : *part.at;
        part = skip(part, plain ? 3 : 1);
    }
    out[part.length > 0 ? 0 : length] = '\0';
}

/* origin-form, or absolute-form, whose host is of no interest: one server is all there is. */
static enum http_status parse_target(struct part target, struct http_request *request)
{
    static const char *const schemes[] = { "http://", "https://" };

    if (!is_all(target, is_target_character) || !is_encoded_well(target))
        return HTTP_BAD_REQUEST;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (begins_with(target, schemes[i])) {
            target = skip(target, strlen(schemes[i]));
            while (target.length > 0 && *target.at != '/' && *target.at != '?')
                target = skip(target, 1);
            if (target.length == 0 || *target.at == '?')
                request->path[0] = '/';
        }
    struct part path = take_until(&target, '?');
    bool has_query = path.at + path.length != target.at;
    if (path.length > 0 && *path.at == '/')
        copy_path(path, request->path);
    else if (path.length > 0 || request->path[0] != '/')
        return HTTP_BAD_REQUEST;
    request->query = has_query ? target.at : NULL;
    request->query_length = target.length;
    return HTTP_OK;
}

static enum http_status parse_version(struct part version, struct http_request *request)
{
    if (version.length != 8 || strncmp(version.at, "HTTP/", 5) != 0 || !is_digit(version.at[5]) ||
        version.at[6] != '.' || !is_digit(version.at[7]))
        return HTTP_BAD_REQUEST;
    request->minor = version.at[7] != '0';
    return version.at[5] == '1' ? HTTP_OK : HTTP_VERSION;
}

static enum http_status parse_request_line(struct part line, struct http_request *request)
{
    struct part method = take_until(&line, ' '), target = take_until(&line, ' ');

    if (method.length == 0 || method.length > METHOD_MAX || !is_all(method, is_token_character) ||
        target.length == 0)
        return HTTP_BAD_REQUEST;
    request->method = method.length == 3 && memcmp(method.at, "GET", 3) == 0    ? HTTP_GET
                      : method.length == 4 && memcmp(method.at, "HEAD", 4) == 0 ? HTTP_HEAD
                                                                                : HTTP_OTHER;
    enum http_status status = parse_version(line, request);
    /* Other methods have other forms of target; they are refused whatever it says. */
    if (status != HTTP_OK || request->method == HTTP_OTHER)
        return status;
    return parse_target(target, request);
}

/* What can be told of a line whose end has not come: whether it may become one. */
static bool may_become_request(struct part line)
{
    struct part rest = line, method = take_until(&rest, ' ');
    return method.length <= METHOD_MAX && is_all(method, is_token_character) &&
           (line.length == 0 || method.length > 0);
}

/* ---- the fields ---- */

static bool is_host_character(char c)
{
    return c != '/' && c != '?' && c != '@' && (is_target_character(c) || c == '[' || c == ']');
}

static enum http_status parse_body_length(struct part value, struct http_request *request)
{
    if (value.length == 0 || value.length > BODY_DIGITS_MAX || !is_all(value, is_digit))
        return HTTP_BAD_REQUEST;
    for (size_t i = 0; i < value.length; i++)
        request->body = request->body * 10 + (uint64_t)(value.at[i] - '0');
    return HTTP_OK;
}

static void parse_connection(struct part value, struct fields *fields)
{
    while (value.length > 0) {
        struct part word = trimmed(take_until(&value, ','));
        fields->close |= is_word(word, "close");
        fields->keep_alive |= is_word(word, "keep-alive");
    }
}

static enum http_status parse_field(struct part line, struct http_request *request,
                                    struct fields *fields)
{
    struct part value = line, name = take_until(&value, ':');

    /* Also a folded line, and a blank before the colon: nobody may read those differently. */
    if (name.length == 0 || name.length == line.length || !is_all(name, is_token_character))
        return HTTP_BAD_REQUEST;
    value = trimmed(value);
    if (is_word(name, "Host")) {
        request->host = value.at;
        request->host_length = value.length;
        return fields->hosts++ > 0 || !is_all(value, is_host_character) ? HTTP_BAD_REQUEST
                                                                        : HTTP_OK;
    }
    if (is_word(name, "Content-Length"))
        return fields->lengths++ > 0 ? HTTP_BAD_REQUEST : parse_body_length(value, request);
    if (is_word(name, "Transfer-Encoding"))
        fields->codings++;
    else if (is_word(name, "Connection"))
        parse_connection(value, fields);
    else if (is_word(name, "Expect"))
        *(is_word(value, "100-continue") ? &request->continues : &fields->unknown_expectation) =
            true;
    return HTTP_OK;
}

/* What only the whole header tells. */
static enum http_status judge(struct http_request *request, const struct fields *fields)
{
    bool persists = request->minor > 0;
    if ((persists && fields->hosts == 0) ||
        (fields->codings > 0 && (fields->lengths > 0 || !persists)))
        return HTTP_BAD_REQUEST;
    if (fields->codings > 0)
        return HTTP_NOT_IMPLEMENTED;
    if (request->body > HTTP_BODY_MAX)
        return HTTP_BODY_TOO_LARGE;
    if (persists && fields->unknown_expectation)
        return HTTP_EXPECTATION;
    request->continues &= persists && request->body > 0;
    request->keep = !fields->close && (persists || fields->keep_alive);
    return HTTP_OK;
}

/* ---- the whole ---- */

/* Takes a line off the bytes, without its end. False when its end has not come; then it is what
 * there is of it. */
static bool take_line(struct part *bytes, struct part *line)
{
    bool whole = bytes->length > 0 && memchr(bytes->at, '\n', bytes->length) != NULL;
    *line = take_until(bytes, '\n');
    if (line->length > 0 && line->at[line->length - 1] == '\r')
        line->length--;
    return whole;
}

static bool has_control(struct part line)
{
    for (size_t i = 0; i < line.length; i++)
        if (is_control(line.at[i]))
            return true;
    return false;
}

enum http_status http_parse(const char *bytes, size_t size, struct http_request *request)
{
    struct part rest = { bytes, size }, line;
    struct fields fields = { 0 };
    bool first = true;

    *request = (struct http_request){ .method = HTTP_OTHER };
    /* An empty line that an old client sent behind its last body. */
    if (size >= 1 && *bytes == '\n')
        rest = skip(rest, 1);
    else if (size >= 2 && memcmp(bytes, "\r\n", 2) == 0)
        rest = skip(rest, 2);
    for (;; first = false) {
        bool whole = take_line(&rest, &line);
        if (has_control(line))
            return HTTP_BAD_REQUEST;
        if (!whole)
            return first && !may_become_request(line) ? HTTP_BAD_REQUEST : HTTP_MORE;
        if (!first && line.length == 0)
            break;
        enum http_status status =
            first ? parse_request_line(line, request) : parse_field(line, request, &fields);
        if (status != HTTP_OK)
            return status;
    }
    request->length = (size_t)(rest.at - bytes);
    return judge(request, &fields);
}

/* ---- the query ---- */

/* Percent-encoding, and + for a blank, as forms write it. */
static bool decode(struct part part, char *out, size_t size)
{
    size_t length = 0;
    while (part.length > 0) {
        int byte = *part.at == '+' ? ' ' : *part.at == '%' ? decoded(part) : *part.at;
        if (byte < 0 || is_control((char)byte) || length + 1 >= size)
            return false;
        out[length++] = (char)byte;
        part = skip(part, *part.at == '%' ? 3 : 1);
    }
    out[length] = '\0';
    return true;
}

int http_parameter(const struct http_request *request, size_t *at, struct http_parameter *out)
{
    if (request->query == NULL || *at >= request->query_length)
        return 0;
    struct part rest = { request->query + *at, request->query_length - *at };
    struct part value = take_until(&rest, '&');
    *at = request->query_length - rest.length;
    struct part both = value, name = take_until(&value, '=');
    return name.length > 0 && name.length < both.length &&
                   decode(name, out->name, sizeof out->name) &&
                   decode(value, out->value, sizeof out->value)
               ? 1
               : -EINVAL;
}
