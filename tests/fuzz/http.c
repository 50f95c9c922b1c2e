/* Any bytes as a request of HTTP; for clang's -fsanitize=fuzzer,address. */
#include <stdlib.h>

#include "service/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct http_request request, shorter;
    struct http_parameter parameter;
    size_t at = 0;
    enum http_status status = http_parse((const char *)bytes, size, &request);

    if (status == HTTP_OK && (request.length == 0 || request.length > size))
        abort();
    while (status == HTTP_OK && http_parameter(&request, &at, &parameter) == 1)
        continue;
    /* What was judged whole was not judged otherwise when a byte of it was missing. */
    if (size > 0) {
        enum http_status before = http_parse((const char *)bytes, size - 1, &shorter);
        if (before != HTTP_MORE && before != status)
            abort();
    }
    return 0;
}
