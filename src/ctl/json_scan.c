#include "ctl/json_scan.h"

#include <string.h>
#include <sysexits.h>

#include "base/text.h"

int scan_fail(const struct json *json, const char *why)
{
    return failure_set(json->why, EX_PROTOCOL, "%s is no JSON at offset %zu: %s", json->name,
                       (size_t)(json->at - json->begin), json->at == json->end ? "it ends" : why);
}

int scan_peek(struct json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t'))
        json->at++;
    return json->at < json->end ? (unsigned char)*json->at : -1;
}

bool scan_take(struct json *json, char character)
{
    bool there = scan_peek(json) == (unsigned char)character;
    json->at += there;
    return there;
}

int scan_word(struct json *json, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0)
        return scan_fail(json, "no value");
    json->at += length;
    return 0;
}

/* ---- texts ---- */

/* The value of four hexadecimal digits, or -1. */
static long scan_hex(struct json *json)
{
    long value = 0;
    for (int i = 0; i < 4; i++, json->at++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit =
            json->at < json->end ? memchr(digits, *json->at, sizeof digits - 1) : NULL;
        if (digit == NULL)
            return scan_fail(json, "no hexadecimal digit");
        value = value << 4 | ((digit - digits) & 15);
    }
    return value;
}

static char *put_utf8(char *to, long character)
{
    if (character < 0x80) {
        *to++ = (char)character;
        return to;
    }
    int rest = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3; /* bytes behind the first */
    *to++ = (char)(0xff00 >> (rest + 1) | character >> 6 * rest);
    while (rest-- > 0)
        *to++ = (char)(0x80 | (character >> 6 * rest & 0x3f));
    return to;
}

/* Behind \u: a character of the first plane, or two surrogates (RFC 8259 7). */
static int scan_unicode(struct json *json, char **to)
{
    long character = scan_hex(json);
    if (character >= 0xd800 && character < 0xdc00) {
        if (scan_word(json, "\\u") < 0)
            return -1;
        long low = scan_hex(json);
        if (low < 0)
            return -1;
        character = low >= 0xdc00 && low < 0xe000
                        ? 0x10000 + ((character - 0xd800) << 10) + (low - 0xdc00)
                        : 0xdc00;
    }
    if (character < 0)
        return -1;
    if (character == 0 || (character >= 0xdc00 && character < 0xe000))
        return scan_fail(json, "no character that a text may have");
    *to = put_utf8(*to, character);
    return 0;
}

static int scan_escape(struct json *json, char **to)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    json->at++;
    const char *letter =
        json->at < json->end ? memchr(letters, *json->at, sizeof letters - 1) : NULL;
    if (letter != NULL) {
        json->at++;
        *(*to)++ = bytes[letter - letters];
        return 0;
    }
    if (json->at == json->end || *json->at != 'u')
        return scan_fail(json, "no such escape");
    json->at++;
    return scan_unicode(json, to);
}

/* The size of the character at `at`, if a text may have it as it is; else 0. */
static size_t scan_character(const char *at, const char *end)
{
    unsigned char byte = (unsigned char)*at;
    return byte < 0x80 ? byte >= ' ' : text_utf8(at, (size_t)(end - at));
}

int scan_text(struct json *json)
{
    const char *at = json->at + 1, *end = json->end;
    char *to = json->texts;
    while (at < end && *at != '"') {
        size_t size = *at == '\\' ? 0 : scan_character(at, end);
        for (size_t i = 0; i < size; i++)
            *to++ = *at++;
        if (size > 0)
            continue;
        json->at = at;
        if (*at != '\\')
            return scan_fail(json, "no character that a text may have");
        if (scan_escape(json, &to) < 0)
            return -1;
        at = json->at;
    }
    json->at = at;
    if (at == end)
        return scan_fail(json, "");
    json->at++;
    *to++ = '\0';
    json->texts = to;
    return 0;
}

/* ---- numbers ---- */

static bool take_one_of(struct json *json, const char *characters)
{
    bool there = json->at < json->end && *json->at != '\0' && strchr(characters, *json->at) != NULL;
    json->at += there;
    return there;
}

static size_t take_digits(struct json *json)
{
    const char *first = json->at;
    while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
        json->at++;
    return (size_t)(json->at - first);
}

int scan_number(struct json *json, struct scan_number *out)
{
    out->negative = take_one_of(json, "-");
    out->first = json->at;
    size_t digits = take_digits(json);
    if (digits == 0 || (digits > 1 && *out->first == '0'))
        return scan_fail(json, "no value");
    out->whole = true;
    if (take_one_of(json, ".")) {
        out->whole = false;
        if (take_digits(json) == 0)
            return scan_fail(json, "no digit");
    }
    if (take_one_of(json, "eE")) {
        out->whole = false;
        take_one_of(json, "+-");
        if (take_digits(json) == 0)
            return scan_fail(json, "no digit");
    }
    out->end = json->at;
    return json->at < json->end ? 0 : scan_fail(json, "");
}
