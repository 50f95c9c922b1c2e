/* Words of others in a page's own language. */
#include <string.h>

#include "status/pages.h"

void put_escaped(struct buffer *out, const char *words)
{
    static const char special[] = "&<>\"'";
    static const char *const entities[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };
    for (;;) {
        size_t plain = strcspn(words, special);
        buffer_add(out, words, plain);
        words += plain;
        if (*words == '\0')
            return;
        buffer_text(out, entities[strchr(special, *words++) - special]);
    }
}

void put_string_value(struct buffer *out, const char *words)
{
    buffer_text(out, "\"");
    for (; *words != '\0'; words++)
        if (*words == '"' || *words == '\\')
            buffer_format(out, "\\%c", *words);
        else if ((unsigned char)*words < ' ')
            buffer_format(out, "\\u%04x", (unsigned char)*words);
        else
            buffer_add(out, words, 1);
    buffer_text(out, "\"");
}

void put_lower(struct buffer *out, const char *words)
{
    for (; *words != '\0'; words++) {
        char byte = *words >= 'A' && *words <= 'Z' ? (char)(*words + ('a' - 'A')) : *words;
        buffer_add(out, &byte, 1);
    }
}
