#pragma once

#include <check.h>

TCase *load_cases(void);
