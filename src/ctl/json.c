#include "ctl/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "ctl/json_scan.h"

/* ---- failures ---- */

/* Well-formed, and not what belongs here. `state` is "no" or "no right". */
static int wrong(const struct json *json, const char *state, const char *member, const char *what)
{
    return failure_set(json->why, EX_PROTOCOL, "%s has %s %s%s%s (at offset %zu)", json->name,
                       state, member, what == NULL ? "" : " of a ", what == NULL ? "" : what,
                       (size_t)(json->at - json->begin));
}

/* ---- values ---- */

/* What a value is, by kinds; none: an object, an array, null, or a number that nothing here is. */
struct value {
    unsigned int kinds;
    const char *text;
    uint64_t count;
    double real;
    bool flag;
};

/* No byte of it, and no character of two bytes (C1), tells a terminal to do something. */
static bool is_plain(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        if (*at < ' ' || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
            return false;
    return true;
}

static int read_text(struct json *json, struct value *out)
{
    out->text = json->texts;
    if (scan_text(json) < 0)
        return -1;
    out->kinds = JSON_TEXT | (is_plain(out->text) ? JSON_PLAIN : 0U);
    return 0;
}

static bool fits_count(const struct scan_number *number, uint64_t *out)
{
    *out = 0;
    for (const char *digit = number->first; number->whole && digit < number->end; digit++)
        if (__builtin_mul_overflow(*out, 10U, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*digit - '0'), out))
            return false;
    return number->whole;
}

static int read_number(struct json *json, struct value *out)
{
    struct scan_number number;
    if (scan_number(json, &number) < 0)
        return -1;
    if (number.negative)
        return 0;
    bool is_count = fits_count(&number, &out->count);
    out->real = is_count ? (double)out->count : strtod(number.first, NULL);
    out->kinds = (is_count ? JSON_COUNT : 0U) | (isfinite(out->real) ? JSON_REAL : 0U);
    return 0;
}

static int read_flag(struct json *json, struct value *out, bool flag)
{
    out->flag = flag;
    out->kinds = JSON_FLAG;
    return scan_word(json, flag ? "true" : "false");
}

static int skip_element(struct json *json, void *context)
{
    (void)context;
    return json_skip(json);
}

static int skip_member(struct json *json, char *key, void *context)
{
    (void)key, (void)context;
    return json_skip(json);
}

static int read_value(struct json *json, struct value *out)
{
    *out = (struct value){ 0 };
    switch (json_peek(json)) {
    case '"':
        return read_text(json, out);
    case 't':
    case 'f':
        return read_flag(json, out, *json->at == 't');
    case 'n':
        return scan_word(json, "null");
    case '{':
        return json_members(json, "", skip_member, NULL);
    case '[':
        return json_array(json, "", skip_element, NULL);
    default:
        return read_number(json, out);
    }
}

static void store(const struct value *value, enum json_kind kind, void *out)
{
    switch (kind) {
    case JSON_TEXT:
    case JSON_PLAIN:
        *(const char **)out = value->text;
        break;
    case JSON_COUNT:
        *(uint64_t *)out = value->count;
        break;
    case JSON_REAL:
        *(double *)out = value->real;
        break;
    case JSON_FLAG:
        *(bool *)out = value->flag;
        break;
    case JSON_OTHER:
        break;
    }
}

int json_value(struct json *json, enum json_kind kind, const char *member, const char *what,
               void *out)
{
    struct value value;
    json_peek(json);
    const struct json here = *json;
    if (read_value(json, &value) < 0)
        return -1;
    if ((value.kinds & (unsigned int)kind) == 0)
        return wrong(&here, "no right", member, what);
    store(&value, kind, out);
    return 0;
}

int json_skip(struct json *json)
{
    char *texts = json->texts;
    struct value value;
    int result = read_value(json, &value);
    json->texts = texts;
    return result;
}

int json_peek(struct json *json)
{
    return scan_peek(json);
}

int json_end(struct json *json)
{
    return json_peek(json) < 0 ? 0 : scan_fail(json, "something follows");
}

/* ---- what is in brackets ---- */

/* Whether another one follows: 1; 0 behind the closing bracket. */
static int more(struct json *json, bool *first, char closing)
{
    if (scan_take(json, closing)) {
        json->depth--;
        return 0;
    }
    if (!*first && !scan_take(json, ','))
        return scan_fail(json, closing == '}' ? "no , and no }" : "no , and no ]");
    *first = false;
    return 1;
}

static int open_bracket(struct json *json, char bracket, const char *what)
{
    if (!scan_take(json, bracket)) {
        const struct json here = *json;
        return json_skip(json) < 0 ? -1 : wrong(&here, "no right", what, NULL);
    }
    return ++json->depth <= JSON_DEPTH ? 0 : scan_fail(json, "too deep");
}

int json_members(struct json *json, const char *what,
                 int (*each)(struct json *json, char *key, void *context), void *context)
{
    bool first = true;
    int result = open_bracket(json, '{', what);
    while (result == 0 && (result = more(json, &first, '}')) > 0) {
        char *key = json->texts;
        if (json_peek(json) != '"')
            return scan_fail(json, "no name of a member");
        if (scan_text(json) < 0)
            return -1;
        if (!is_plain(key))
            return wrong(json, "no right", "name", "member");
        if (!scan_take(json, ':'))
            return scan_fail(json, "no :");
        result = each(json, key, context);
    }
    return result;
}

int json_array(struct json *json, const char *what, int (*each)(struct json *json, void *context),
               void *context)
{
    bool first = true;
    int result = open_bracket(json, '[', what);
    while (result == 0 && (result = more(json, &first, ']')) > 0)
        result = each(json, context);
    return result;
}

/* ---- objects of a shape ---- */

struct filling {
    const struct json_shape *shape;
    char *out;
    uint64_t seen; /* members, by bits */
    size_t next;   /* the one that is expected: whoever writes many objects keeps to an order */
};

/* The shape's member of that name; NULL: none. */
static const struct json_member *find(struct filling *filling, const char *key)
{
    const struct json_shape *shape = filling->shape;
    for (size_t i = 0; i < shape->count; i++) {
        size_t at = (filling->next + i) % shape->count;
        if (strcmp(shape->members[at].name, key) == 0) {
            filling->next = at + 1;
            return &shape->members[at];
        }
    }
    return NULL;
}

static int take_member(struct json *json, char *key, void *context)
{
    struct filling *filling = context;
    const struct json_shape *shape = filling->shape;
    const struct json_member *member = find(filling, key);
    json->texts = key; /* which is not needed any more */
    if (member == NULL)
        return json_skip(json);
    uint64_t bit = UINT64_C(1) << (member - shape->members);
    if (filling->seen & bit)
        return wrong(json, "a second", member->name, shape->what);
    filling->seen |= bit;
    if (member->kind == JSON_OTHER)
        return member->read(json, filling->out + member->at);
    return json_value(json, member->kind, member->name, shape->what, filling->out + member->at);
}

int json_object(struct json *json, const struct json_shape *shape, void *out)
{
    struct filling filling = { .shape = shape, .out = out };
    if (json_members(json, shape->what != NULL ? shape->what : "object", take_member, &filling) < 0)
        return -1;
    for (size_t i = 0; i < shape->count; i++)
        if (!shape->members[i].optional && !(filling.seen >> i & 1))
            return wrong(json, "no", shape->members[i].name, shape->what);
    return 0;
}
