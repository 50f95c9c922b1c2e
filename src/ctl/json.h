/*
 * JSON (RFC 8259), strictly, in one pass and without a tree: the members that a shape names go to
 * where it says; everything else is checked and skipped. The text may come from anybody: nothing in
 * it makes this recurse deeper than JSON_DEPTH, or write more bytes than it has read.
 *
 * All functions read the next value and return 0, or -1 with what is wrong and its offset in `why`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

enum { JSON_DEPTH = 16 };

struct json {
    const char *name;             /* of the document, in failures */
    const char *begin, *at, *end; /* its text; `at` is what is read next */
    char *texts; /* where the next decoded text goes: into room for as many bytes as the text has */
    unsigned int depth; /* of objects and arrays around `at` */
    struct failure *why;
};

/* Each is a bit: a whole number is a count and a real one. */
enum json_kind {
    JSON_TEXT = 1,   /* const char *, without U+0000 */
    JSON_PLAIN = 2,  /* the same, without control characters: a terminal can show it */
    JSON_COUNT = 4,  /* uint64_t */
    JSON_REAL = 8,   /* double, not negative */
    JSON_FLAG = 16,  /* bool */
    JSON_OTHER = 32, /* what the member's `read` makes of it */
};

/* A member of an object, and where it goes. */
struct json_member {
    const char *name;
    enum json_kind kind;
    bool optional;
    size_t at;
    int (*read)(struct json *json, void *out);
};

struct json_shape {
    const char *what; /* is of this shape, in failures; NULL: the document */
    size_t count;     /* of members, at most 64 */
    const struct json_member *members;
};

/* An object with all members of the shape, none twice; `out` is what their places are in. */
int json_object(struct json *json, const struct json_shape *shape, void *out);
/* An object of any members, the `what` of a failure: `each` is called in front of each member's
 * value and reads it. The key lasts as long as the texts. */
int json_members(struct json *json, const char *what,
                 int (*each)(struct json *json, char *key, void *context), void *context);
/* An array, the `what` of a failure: `each` is called in front of each element and reads it. */
int json_array(struct json *json, const char *what, int (*each)(struct json *json, void *context),
               void *context);
/* A value of this kind, the `member` of a `what`. */
int json_value(struct json *json, enum json_kind kind, const char *member, const char *what,
               void *out);
int json_skip(struct json *json);

/* The first character of the next value; -1: the text ends. */
int json_peek(struct json *json);
/* That nothing follows. */
int json_end(struct json *json);
