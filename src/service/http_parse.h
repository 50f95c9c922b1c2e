/*
 * Requests of HTTP/1.0 and 1.1 (RFC 9112), from bytes alone: no I/O, no memory of its own, nothing
 * that a client's numbers could make large. Strict where a second reading could differ from ours;
 * a line may end in LF alone, as RFC 9112 2.2 allows, so that people can type.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_REQUEST_MAX = 8192, /* request line and header */
    HTTP_BODY_MAX = 65536,   /* what is read and thrown away */
    HTTP_PATH_MAX = 64
};

/* What a request deserves. MORE: its header is not whole yet, and nothing is wrong so far. */
#define HTTP_STATUSES(STATUS)                                                                      \
    STATUS(OK, 200, "OK")                                                                          \
    STATUS(BAD_REQUEST, 400, "Bad Request")                                                        \
    STATUS(FORBIDDEN, 403, "Forbidden")                                                            \
    STATUS(NOT_FOUND, 404, "Not Found")                                                            \
    STATUS(NOT_ALLOWED, 405, "Method Not Allowed")                                                 \
    STATUS(TIMEOUT, 408, "Request Timeout")                                                        \
    STATUS(BODY_TOO_LARGE, 413, "Content Too Large")                                               \
    STATUS(TARGET_TOO_LONG, 414, "URI Too Long")                                                   \
    STATUS(EXPECTATION, 417, "Expectation Failed")                                                 \
    STATUS(HEADER_TOO_LARGE, 431, "Request Header Fields Too Large")                               \
    STATUS(INTERNAL, 500, "Internal Server Error")                                                 \
    STATUS(NOT_IMPLEMENTED, 501, "Not Implemented")                                                \
    STATUS(UNAVAILABLE, 503, "Service Unavailable")                                                \
    STATUS(VERSION, 505, "HTTP Version Not Supported")

enum http_status {
    HTTP_MORE = 0,
#define STATUS(name, number, text) HTTP_##name = number,
    HTTP_STATUSES(STATUS)
#undef STATUS
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER };

struct http_request {
    enum http_method method;
    unsigned int minor;       /* of the version: 0 or 1 */
    char path[HTTP_PATH_MAX]; /* %XX of unreserved characters decoded, the rest as it came; empty
                                 when it is longer than any path there is */
    const char *query;        /* behind the `?`, in the parsed bytes; NULL: none */
    size_t query_length;
    const char *host; /* of the field Host, in the parsed bytes; NULL: none */
    size_t host_length;
    bool keep;      /* the client wants to ask again on this connection */
    bool continues; /* it waits for 100 Continue before it sends the body */
    uint64_t body;  /* bytes that follow the header */
    size_t length;  /* of the header with its empty line */
};

/* Reads the request at the beginning of `bytes`. HTTP_OK: it is whole and well-formed (with
 * whatever method and path). HTTP_MORE. Else the status to refuse it with; the connection cannot be
 * used any more then. For every longer run of the same bytes the result is the same, once it is not
 * HTTP_MORE. */
enum http_status http_parse(const char *bytes, size_t size, struct http_request *request);

/* One name=value of a query, decoded; terminated. */
struct http_parameter {
    char name[32], value[96];
};

/* The next one; *at starts as 0. 1; 0 when there is none left; -EINVAL when it is none, or longer
 * than any there is. */
int http_parameter(const struct http_request *request, size_t *at, struct http_parameter *out);
