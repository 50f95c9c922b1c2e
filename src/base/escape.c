#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

size_t text_utf8(const char *bytes, size_t length)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = length ? (unsigned char)bytes[0] : 0xff;
    size_t size = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t point = first & (0x7fU >> (size > 1 ? size : 0));

    if (!size || size > length || first > 0xf4)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (((unsigned char)bytes[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | ((unsigned char)bytes[i] & 0x3f);
    }
    /* Neither longer than needed, nor half of a UTF-16 pair, nor beyond the last character. */
    if (point < least[size] || (point >= 0xd800 && point < 0xe000) || point > 0x10ffff)
        return 0;
    return size;
}

bool text_is_control(const char *character, size_t size)
{
    unsigned char first = (unsigned char)character[0];

    if (size == 1)
        return first < 0x20 || first == 0x7f;
    return size == 2 && first == 0xc2 && (unsigned char)character[1] < 0xa0;
}

/* The length of the character at `bytes` if it can be shown as it is, else 0. */
static size_t showable(const char *bytes, size_t length)
{
    size_t size = text_utf8(bytes, length);

    return !size || text_is_control(bytes, size) || *bytes == '"' || *bytes == '\\' ? 0 : size;
}

const char *text_escape(const char *bytes, size_t length, char *out, size_t size)
{
    static const char cut_mark[] = "…";
    size_t used = 0, cut = 0;

    if (!size)
        return out;
    for (size_t i = 0; i < length;) {
        char piece[8];
        size_t taken = showable(bytes + i, length - i), piece_size = taken;
        if (taken) {
            memcpy(piece, bytes + i, taken);
        } else {
            taken = 1;
            piece_size = (size_t)snprintf(piece, sizeof piece, "\\x%02X", (unsigned char)bytes[i]);
        }
        if (used + piece_size >= size) {
            size_t mark = size >= sizeof cut_mark ? sizeof cut_mark - 1 : 0;
            memcpy(out + cut, cut_mark, mark);
            used = cut + mark;
            break;
        }
        memcpy(out + used, piece, piece_size);
        used += piece_size;
        i += taken;
        if (used + sizeof cut_mark <= size)
            cut = used;
    }
    out[used] = '\0';
    return out;
}

enum { WORD_MAX = 64 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits from one word to the other: a letter more, less, other, or two letters swapped. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1], m = strlen(a), n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        const size_t *above = rows[(i - 1) % 3], *second = rows[(i + 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            row[j] = smaller(above[j - 1] + (x != y), smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                row[j] = smaller(row[j], second[j - 2] + 1);
        }
    }
    return rows[m % 3][n];
}

const char *text_nearest(const char *word, const char *const *words, size_t count)
{
    size_t length = strlen(word), limit = length / 3 ? length / 3 : 1, best = limit + 1;
    const char *nearest = NULL;

    if (length < 2 || length > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i]) > WORD_MAX)
            continue;
        size_t far = distance(word, words[i]);
        if (length >= 3 && !strncasecmp(word, words[i], length))
            far = smaller(far, limit);
        if (far < best) {
            best = far;
            nearest = words[i];
        }
    }
    return nearest;
}
