#include "conf/scan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A piece of a line. */
struct piece {
    const char *text;
    size_t length;
};

/* Where a scan stands. */
struct scanner {
    struct findings *findings;
    struct scan *out;
    char *free_text;     /* the next free byte of out->texts */
    const char *section; /* the one we are in; NULL: none that is to be read */
    bool before_first;   /* no section has begun */
    bool full;           /* nothing more is read */
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct piece strip(struct piece piece)
{
    while (piece.length && is_blank(piece.text[0])) {
        piece.text++;
        piece.length--;
    }
    while (piece.length && is_blank(piece.text[piece.length - 1]))
        piece.length--;
    return piece;
}

static struct piece behind(struct piece piece, size_t count)
{
    return (struct piece){ piece.text + count, piece.length - count };
}

/* Blanks, and a comment that a blank parts from what is in front of it. */
static bool is_comment_or_nothing(struct piece rest)
{
    struct piece text = strip(rest);

    return !text.length || (strchr("#;", *text.text) && text.text > rest.text);
}

static const char *keep(struct scanner *scanner, struct piece piece)
{
    char *copy = scanner->free_text;

    memcpy(copy, piece.text, piece.length);
    copy[piece.length] = '\0';
    scanner->free_text += piece.length + 1;
    return copy;
}

static void add(struct scanner *scanner, const struct conf_place *place, const char *value)
{
    struct scan *out = scanner->out;

    if (out->count == SCAN_SETTINGS_MAX) {
        findings_error(scanner->findings, place, "more than %d lines that say something",
                       SCAN_SETTINGS_MAX);
        scanner->full = true;
        return;
    }
    struct setting *more = reallocarray(out->settings, out->count + 1, sizeof(*more));
    if (!more) {
        scanner->findings->out_of_memory = true;
        return;
    }
    out->settings = more;
    more[out->count++] = (struct setting){ *place, value };
}

static void scan_header(struct scanner *scanner, struct conf_place *place, struct piece line)
{
    const char *close = memchr(line.text, ']', line.length);
    struct piece name = { line.text + 1, close ? (size_t)(close - line.text) - 1 : 0 };

    scanner->before_first = false;
    scanner->section = NULL;
    name = strip(name);
    if (!close)
        findings_error(scanner->findings, place, "no ] in \"%s\" ([SECTION] alone on its line)",
                       show(line.text, line.length).text);
    else if (close != line.text + line.length - 1)
        findings_error(scanner->findings, place,
                       "text behind ] in \"%s\" ([SECTION] alone on its "
                       "line; a comment needs one of its own)",
                       show(line.text, line.length).text);
    else if (!name.length || name.length > SCAN_NAME_MAX || memchr(name.text, ':', name.length) ||
             memchr(name.text, '[', name.length))
        findings_error(scanner->findings, place,
                       "not a section's name: \"%s\" (daemon, defaults or service NAME)",
                       show(name.text, name.length).text);
    else {
        scanner->section = place->section = keep(scanner, name);
        add(scanner, place, NULL);
    }
}

/* Takes the quotes off a value that begins with one. NULL when it was wrong, and told. */
static const char *scan_quoted(struct scanner *scanner, const struct conf_place *place,
                               struct piece text)
{
    const char *close = memchr(text.text + 1, '"', text.length - 1);

    if (!close) {
        findings_error(scanner->findings, place, "no closing quote: \"%s\" (\"VALUE\")",
                       show(text.text, text.length).text);
        return NULL;
    }
    struct piece value = { text.text + 1, (size_t)(close - text.text) - 1 };
    if (!is_comment_or_nothing(behind(text, value.length + 2))) {
        findings_error(scanner->findings, place,
                       "text behind the closing quote: \"%s\" (write \\x22 for a quote in a text)",
                       show(text.text, text.length).text);
        return NULL;
    }
    return keep(scanner, value);
}

static const char *scan_value(struct scanner *scanner, const struct conf_place *place,
                              struct piece rest)
{
    struct piece text = strip(rest);

    if (is_comment_or_nothing(rest))
        return keep(scanner, (struct piece){ text.text, 0 });
    if (*text.text == '"')
        return scan_quoted(scanner, place, text);
    for (size_t i = 0; i < text.length; i++) {
        if (strchr("#;", text.text[i])) {
            if (i && is_blank(text.text[i - 1]))
                return keep(scanner, strip((struct piece){ text.text, i }));
            findings_error(scanner->findings, place,
                           "%c begins a comment in \"%s\" (put a blank in "
                           "front of a comment, quotes around a value)",
                           text.text[i], show(text.text, text.length).text);
            return NULL;
        }
        if (text.text[i] == '"' || (text.text[i] == '\'' && !i)) {
            findings_error(scanner->findings, place,
                           "a stray quote in \"%s\" (\"VALUE\", with \\x22 "
                           "for a quote in a text)",
                           show(text.text, text.length).text);
            return NULL;
        }
    }
    return keep(scanner, text);
}

static void scan_setting(struct scanner *scanner, struct conf_place *place, struct piece line)
{
    const char *equals = memchr(line.text, '=', line.length);
    struct piece key =
        strip((struct piece){ line.text, equals ? (size_t)(equals - line.text) : 0 });

    for (size_t i = 0; i < key.length; i++)
        if (!isalnum((unsigned char)key.text[i]) && !strchr("_-.", key.text[i]))
            equals = NULL;
    if (!equals || !key.length || key.length > SCAN_NAME_MAX) {
        findings_error(scanner->findings, place,
                       "neither a section nor a setting: \"%s\" ([SECTION], or KEY = VALUE)",
                       show(line.text, line.length).text);
        return;
    }
    if (!scanner->section) { /* of a section that was wrong, the header alone is told */
        if (scanner->before_first)
            findings_error(scanner->findings, place,
                           "in front of any section: \"%s\" ([daemon], "
                           "[defaults] or [service NAME] above it)",
                           show(line.text, line.length).text);
        return;
    }
    place->section = scanner->section;
    place->key = keep(scanner, key);
    const char *value = scan_value(scanner, place, behind(line, (size_t)(equals - line.text) + 1));
    if (value)
        add(scanner, place, value);
}

static void scan_line(struct scanner *scanner, struct conf_place *place,
                      const struct textline *textline)
{
    struct piece line = strip((struct piece){ textline->text, textline->length });

    if (!textline_check(scanner->findings, place, textline) || !line.length)
        return;
    if (line.text[line.length - 1] == '\\')
        findings_error(scanner->findings, place,
                       "a backslash at the end of a line (no line goes on "
                       "in the next one)");
    else if (*line.text == '[')
        scan_header(scanner, place, line);
    else if (!strchr("#;", *line.text))
        scan_setting(scanner, place, line);
}

bool scan_file(struct findings *findings, unsigned int source, const char *path, struct scan *out)
{
    struct scanner scanner = { .findings = findings, .out = out, .before_first = true };
    struct conf_place place = { .source = source };
    struct textline line = { 0 };

    *out = (struct scan){ 0 };
    if (!textfile_read(findings, place, path, &out->file))
        return false;
    /* Each text is shorter than what it was cut from by the byte that ended it. */
    if (!(out->texts = scanner.free_text = malloc(out->file.size + 1))) {
        findings->out_of_memory = true;
        return false;
    }
    while (!scanner.full && textfile_next(&out->file, &line)) {
        place = (struct conf_place){
            .source = source, .order = line.number, .file = out->file.path, .line = line.number
        };
        scan_line(&scanner, &place, &line);
    }
    return true;
}

/* The section of an override; a bare NAME is a service's. */
static const char *override_section(struct scanner *scanner, struct piece section, bool *bare)
{
    struct piece name = strip(section);
    char text[SCAN_NAME_MAX + sizeof("service ")];
    bool full = (name.length == 6 && !memcmp(name.text, "daemon", 6)) ||
                (name.length == 8 && !memcmp(name.text, "defaults", 8)) ||
                (name.length > 8 && !memcmp(name.text, "service ", 8));

    *bare = !full;
    int length =
        snprintf(text, sizeof(text), "%s%.*s", full ? "" : "service ", (int)name.length, name.text);
    return keep(scanner, (struct piece){ text, (size_t)length });
}

bool scan_override(struct findings *findings, unsigned int source, const char *text,
                   struct scan *out, bool *bare)
{
    struct scanner scanner = { .findings = findings, .out = out };
    struct conf_place place = { .source = source };
    struct textline line = { text, strlen(text), 1 };
    const char *equals = strchr(text, '='),
               *dot = equals ? memrchr(text, '.', (size_t)(equals - text)) : NULL;

    *out = (struct scan){ 0 };
    *bare = false;
    if (!textline_check(findings, &place, &line))
        return false;
    struct piece section = { text, dot ? (size_t)(dot - text) : 0 };
    struct piece key = { dot ? dot + 1 : text, dot ? (size_t)(equals - dot) - 1 : 0 };
    key = strip(key);
    if (!strip(section).length || section.length > SCAN_NAME_MAX || !key.length ||
        key.length > SCAN_NAME_MAX || strchr(equals, '"')) {
        findings_error(findings, &place, "-o: not a setting: \"%s\" (SECTION.KEY=VALUE, unquoted)",
                       show(text, line.length).text);
        return false;
    }
    if (!(out->texts = scanner.free_text = malloc(line.length + sizeof("service ")))) {
        findings->out_of_memory = true;
        return false;
    }
    place.section = override_section(&scanner, section, bare);
    add(&scanner, &place, NULL);
    place.key = keep(&scanner, key);
    add(&scanner, &place, keep(&scanner, strip((struct piece){ equals + 1, strlen(equals + 1) })));
    return true;
}

void scan_free(struct scan *scan)
{
    textfile_free(&scan->file);
    free(scan->settings);
    free(scan->texts);
    *scan = (struct scan){ 0 };
}
