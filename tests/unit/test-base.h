/* The cases of the base layer, one group a file. */
#pragma once

#include <check.h>

TCase *text_cases(void);
TCase *address_cases(void);
TCase *process_cases(void);

/* main's own arguments, for the titles. */
extern int test_argc;
extern char **test_argv;
