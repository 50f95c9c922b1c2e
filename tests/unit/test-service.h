/* The cases of the service layer, one group a file. */
#pragma once

#include <check.h>

TCase *bulk_cases(void);
TCase *handler_cases(void);
TCase *http_cases(void);
TCase *stream_cases(void);
