/* A directory with configuration files, and what conf_load says of them. */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "conf/conf.h"

TCase *syntax_cases(void);
TCase *value_cases(void);
TCase *file_cases(void);
TCase *service_cases(void);
TCase *memory_cases(void);

/* A test case in a directory of its own, which is the working directory, and gone afterwards. */
TCase *case_in_directory(const char *name);

void write_bytes(const char *name, const void *bytes, size_t size);
void write_text(const char *name, const char *text);

/* What the last load found: the lines, each with its newline, without the directory's name. */
extern char told[65536];
extern size_t told_warnings;

/* Loads `forkechod.conf` of the directory, with overrides that end with NULL. */
struct conf *load(const char *const *overrides);
/* Called right before and after each conf_load, where the test itself allocates nothing. */
extern void (*before_load)(void), (*after_load)(void);
/* The same without any file. */
struct conf *load_without_file(const char *const *overrides);
/* Writes forkechod.conf and loads it. */
struct conf *load_text(const char *text);

/* The file is right; the text is that of conf_dump without its comments, to be freed. */
char *dump_of(const struct conf *conf);

/* The file is refused, and all of this is said of it. */
#define ck_refused(text, mistakes)                                                                 \
    do {                                                                                           \
        struct conf *refused_ = load_text(text);                                                   \
        ck_assert_str_eq(told, mistakes);                                                          \
        ck_assert_ptr_null(refused_);                                                              \
    } while (0)

/* The file is taken, and nothing is said of it. */
#define ck_taken(text)                                                                             \
    do {                                                                                           \
        struct conf *taken_ = load_text(text);                                                     \
        ck_assert_str_eq(told, "");                                                                \
        ck_assert_ptr_nonnull(taken_);                                                             \
        conf_free(taken_);                                                                         \
    } while (0)

/* A service that is well, for files that test something else. */
#define GOOD_SERVICE "[service good]\nlisten = 127.0.0.1:7\n"
