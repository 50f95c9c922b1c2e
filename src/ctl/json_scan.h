/* The tokens of JSON, for json.c. What returns an int returns 0, or -1 with what is wrong. */
#pragma once

#include "ctl/json.h"

/* Sets that it is no JSON at `at`, and why. Returns -1. */
int scan_fail(const struct json *json, const char *why);
/* Skips blanks. The next character, or -1. */
int scan_peek(struct json *json);
/* Takes this character, behind blanks; false: another one is there. */
bool scan_take(struct json *json, char character);
/* Takes a word that its first letter promised. */
int scan_word(struct json *json, const char *word);
/* Takes a text from its quote on, and decodes it to json->texts, which is moved behind it. */
int scan_text(struct json *json);

struct scan_number {
    const char *first, *end; /* of its characters, the sign apart */
    bool negative, whole;    /* without fraction and exponent */
};

/* Takes a number. Something follows it in the text: strtod(3) on it ends. */
int scan_number(struct json *json, struct scan_number *out);
