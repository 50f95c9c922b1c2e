/* The reader of HTTP requests: what is taken, what is refused, and that it does not matter in how
 * many pieces it comes. */
#include "test-service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/http_parse.h"

#define END "\r\nHost: a\r\n\r\n"

static const struct {
    const char *bytes;
    enum http_status status;
} requests[] = {
    { "GET / HTTP/1.1" END, HTTP_OK },
    { "GET / HTTP/1.0\r\n\r\n", HTTP_OK },
    { "GET / HTTP/1.0\n\n", HTTP_OK },
    { "\r\nGET / HTTP/1.0\r\n\r\n", HTTP_OK },
    { "GET / HTTP/1.9" END, HTTP_OK },
    { "HEAD /livez HTTP/1.1" END, HTTP_OK },
    { "DELETE /anything?x HTTP/1.1" END, HTTP_OK },
    { "OPTIONS * HTTP/1.1" END, HTTP_OK },
    { "CONNECT example.org:443 HTTP/1.1" END, HTTP_OK },
    { "GET http://example.org/livez HTTP/1.1" END, HTTP_OK },
    { "GET http://example.org HTTP/1.1" END, HTTP_OK },
    { "GET /?a=b&c=%20d HTTP/1.1" END, HTTP_OK },
    { "GET / HTTP/1.1\r\nhOsT:\t[::1]:8080 \r\nX-Any: \xe9 \"(x)\"\r\nEmpty:\r\n\r\n", HTTP_OK },
    { "GET / HTTP/1.1\r\nContent-Length: 65536" END, HTTP_OK },
    { "GET / HTTP/1.1\r\nContent-Length: 0000" END, HTTP_OK },
    { "GET / HTTP/1.1\r\nConnection: , close,,x" END, HTTP_OK },

    { "hello\r\n", HTTP_BAD_REQUEST },
    { "\r\n\r\n", HTTP_BAD_REQUEST },
    { "\x16\x03\x01", HTTP_BAD_REQUEST },
    { "{\"param1\":\"value1\"}\n", HTTP_BAD_REQUEST },
    { "GET /\r\n", HTTP_BAD_REQUEST },
    { "GET  / HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1 \r\n", HTTP_BAD_REQUEST },
    { " GET / HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET\t/ HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET / http/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/11\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.10\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/2.0\r\n", HTTP_VERSION },
    { "PRI * HTTP/2.0\r\n", HTTP_VERSION },
    { "GET / HTTP/0.9\r\n", HTTP_VERSION },
    { "GET * HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET livez HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET ftp://example.org/ HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET /%zz HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET /% HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET /%00 HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET /#part HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET /<script> HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET /stra\xc3\x9f"
      "e HTTP/1.1\r\n",
      HTTP_BAD_REQUEST },
    { "THISMETHODISLONGERTHANANYTHATTHEREIS / HTTP/1.1\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\n\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nHost: a b\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nHost : a\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\n Host: a\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nHost\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\n: a\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nX: a\rb\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nX: \x01\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nContent-Length: +1\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nContent-Length:\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nContent-Length: 65537" END, HTTP_BODY_TOO_LARGE },
    { "GET / HTTP/1.1\r\nTransfer-Encoding: chunked" END, HTTP_NOT_IMPLEMENTED },
    { "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3" END, HTTP_BAD_REQUEST },
    { "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BAD_REQUEST },
    { "GET / HTTP/1.1\r\nExpect: a-miracle" END, HTTP_EXPECTATION },
};

enum { REQUESTS = sizeof requests / sizeof *requests };

/* From memory of exactly that size, so that a sanitizer sees a read beyond it. */
static enum http_status parse(const char *bytes, size_t size, struct http_request *request)
{
    char *copy = malloc(size + (size == 0));
    if (size > 0)
        memcpy(copy, bytes, size);
    enum http_status status = http_parse(copy, size, request);
    request->query = NULL; /* points into the copy */
    free(copy);
    return status;
}

START_TEST(a_request_is_judged_by_the_table)
{
    struct http_request request;
    const char *bytes = requests[_i].bytes;

    enum http_status status = parse(bytes, strlen(bytes), &request);
    ck_assert_msg(status == requests[_i].status, "%d for %s", (int)status, bytes);
    if (status == HTTP_OK)
        ck_assert_uint_eq(request.length, strlen(bytes));
}
END_TEST

/* In pieces: nothing is said before the end, or at once what is said at the end. */
START_TEST(a_request_in_pieces_is_judged_the_same)
{
    struct http_request request;
    const char *bytes = requests[_i].bytes;

    for (size_t size = 0; size < strlen(bytes); size++) {
        enum http_status status = parse(bytes, size, &request);
        if (status != HTTP_MORE)
            ck_assert_msg(status == requests[_i].status && status != HTTP_OK, "%d after %zu of %s",
                          (int)status, size, bytes);
    }
}
END_TEST

START_TEST(what_follows_a_request_is_not_looked_at)
{
    struct http_request request;
    char bytes[512];

    for (size_t i = 0; i < REQUESTS; i++) {
        snprintf(bytes, sizeof bytes, "%s\x16GET", requests[i].bytes);
        ck_assert_int_eq(parse(bytes, strlen(bytes), &request), requests[i].status);
    }
}
END_TEST

static struct http_request read_good(const char *bytes)
{
    struct http_request request;
    ck_assert_int_eq(http_parse(bytes, strlen(bytes), &request), HTTP_OK);
    return request;
}

START_TEST(paths_are_compared_decoded_and_never_guessed)
{
    static const struct {
        const char *bytes, *path;
    } paths[] = {
        { "GET / HTTP/1.0\n\n", "/" },
        { "GET /%6civez HTTP/1.0\n\n", "/livez" },
        { "GET http://h:1?x=y HTTP/1.0\n\n", "/" },
        { "GET HTTPS://h/readyz HTTP/1.0\n\n", "/readyz" },
        { "GET /%2Flivez HTTP/1.0\n\n", "/%2Flivez" },
        { "GET /a/../livez HTTP/1.0\n\n", "/a/../livez" },
        { "GET //livez HTTP/1.0\n\n", "//livez" },
        { "GET /012345678901234567890123456789012345678901234567890123456789012 HTTP/1.0\n\n", "" },
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        ck_assert_str_eq(read_good(paths[i].bytes).path, paths[i].path);
}
END_TEST

START_TEST(a_connection_is_kept_as_version_and_field_say)
{
    ck_assert(read_good("GET / HTTP/1.1" END).keep);
    ck_assert(!read_good("GET / HTTP/1.0\n\n").keep);
    ck_assert(!read_good("GET / HTTP/1.1\nConnection: CLOSE" END).keep);
    ck_assert(!read_good("GET / HTTP/1.1\nConnection: x , close" END).keep);
    ck_assert(read_good("GET / HTTP/1.0\nConnection: keep-alive\n\n").keep);
    ck_assert(!read_good("GET / HTTP/1.0\nConnection: keep-alive, close\n\n").keep);
}
END_TEST

START_TEST(only_a_body_is_waited_for)
{
    ck_assert(read_good("PUT / HTTP/1.1\nExpect: 100-continue\nContent-Length: 5" END).continues);
    ck_assert(!read_good("PUT / HTTP/1.1\nExpect: 100-continue\nContent-Length: 0" END).continues);
    ck_assert(!read_good("PUT / HTTP/1.0\nExpect: 100-continue\nContent-Length: 5\n\n").continues);
    ck_assert_uint_eq(read_good("PUT / HTTP/1.1\nContent-Length: 0512" END).body, 512);
}
END_TEST

START_TEST(a_query_is_decoded)
{
    struct http_request request =
        read_good("GET /?service=a%2Eb&sessions=all&x=&plus=1+%2B+1 HTTP/1.0\n\n");
    static const char *const wanted[][2] = {
        { "service", "a.b" }, { "sessions", "all" }, { "x", "" }, { "plus", "1 + 1" }
    };
    struct http_parameter parameter;
    size_t at = 0;

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        ck_assert_int_eq(http_parameter(&request, &at, &parameter), 1);
        ck_assert_str_eq(parameter.name, wanted[i][0]);
        ck_assert_str_eq(parameter.value, wanted[i][1]);
    }
    ck_assert_int_eq(http_parameter(&request, &at, &parameter), 0);
}
END_TEST

START_TEST(a_query_that_is_none_is_refused)
{
    static const char *const queries[] = {
        "novalue", "=x", "&", "a=%0a", "a=b&&c", "name-that-is-longer-than-any-there-is=1",
    };
    struct http_parameter parameter;
    char bytes[128];

    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        int got = 1;
        size_t at = 0;
        struct http_request request;
        snprintf(bytes, sizeof bytes, "GET /?%s HTTP/1.0\n\n", queries[i]);
        enum http_status status = http_parse(bytes, strlen(bytes), &request);
        while (status == HTTP_OK && got == 1)
            got = http_parameter(&request, &at, &parameter);
        ck_assert_msg(status == HTTP_BAD_REQUEST || got == -EINVAL, "%s", queries[i]);
    }
}
END_TEST

TCase *http_cases(void)
{
    TCase *cases = tcase_create("http");

    tcase_add_loop_test(cases, a_request_is_judged_by_the_table, 0, REQUESTS);
    tcase_add_loop_test(cases, a_request_in_pieces_is_judged_the_same, 0, REQUESTS);
    tcase_add_test(cases, what_follows_a_request_is_not_looked_at);
    tcase_add_test(cases, paths_are_compared_decoded_and_never_guessed);
    tcase_add_test(cases, a_connection_is_kept_as_version_and_field_say);
    tcase_add_test(cases, only_a_body_is_waited_for);
    tcase_add_test(cases, a_query_is_decoded);
    tcase_add_test(cases, a_query_that_is_none_is_refused);
    return cases;
}
