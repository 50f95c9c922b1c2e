#include "status/escape.h"

#include <string.h>

#include "base/text.h"

struct substitute {
    char character;
    const char *text;
};

static const struct substitute json[] = { { '"', "\\\"" }, { '\\', "\\\\" }, { 0 } };
static const struct substitute html[] = { { '&', "&amp;" }, { '<', "&lt;" },   { '>', "&gt;" },
                                          { '"', "&#34;" }, { '\'', "&#39;" }, { 0 } };

static const char *find(const struct substitute *table, char character)
{
    for (; table->text != NULL; table++)
        if (table->character == character)
            return table->text;
    return NULL;
}

static void escape(struct buffer *out, const char *text, size_t length,
                   const struct substitute *table)
{
    const char *end = text + length, *at = text;
    while (at < end) {
        size_t size = text_utf8(at, (size_t)(end - at));
        bool bad = size == 0 || text_is_control(at, size);
        const char *instead = bad ? "\xef\xbf\xbd" : find(table, *at);
        if (instead != NULL) {
            buffer_add(out, text, (size_t)(at - text));
            buffer_text(out, instead);
            text = at + (size == 0 ? 1 : size);
        }
        at += size == 0 ? 1 : size;
    }
    buffer_add(out, text, (size_t)(end - text));
}

void escape_json_part(struct buffer *out, const char *text, size_t length)
{
    escape(out, text, length, json);
}

void escape_json(struct buffer *out, const char *text)
{
    escape(out, text, strlen(text), json);
}

/* What JSON escapes is what OpenMetrics does, line feeds apart, which are gone by then. */
void escape_label(struct buffer *out, const char *text)
{
    escape_json(out, text);
}

void escape_html(struct buffer *out, const char *text)
{
    escape(out, text, strlen(text), html);
}
