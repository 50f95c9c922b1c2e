#include "client/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

enum { CHUNK = 1024, ESCAPE_SIZE = 4 /* \xHH */ };

/* Text on its way to the terminal: room for a chunk of which every byte is escaped. */
struct text {
    char bytes[(CHUNK + MB_LEN_MAX) * ESCAPE_SIZE + 1];
    size_t size;
};

void screen_init(struct screen *screen)
{
    *screen = (struct screen){ .terminal = isatty(STDOUT_FILENO) };
}

/* Standard output may be somebody else's non-blocking descriptor. */
static int write_all(const char *bytes, size_t size)
{
    struct pollfd room = { .fd = STDOUT_FILENO, .events = POLLOUT };

    while (size) {
        ssize_t count = write(STDOUT_FILENO, bytes, size);
        if (count >= 0) {
            bytes += count;
            size -= (size_t)count;
        } else if (errno == EAGAIN) {
            poll(&room, 1, -1);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static void add_plain(struct text *text, const char *bytes, size_t count)
{
    memcpy(text->bytes + text->size, bytes, count);
    text->size += count;
}

static void add_escaped(struct text *text, const char *bytes, size_t count)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        char shown[ESCAPE_SIZE] = { '\\', 'x', digits[byte >> 4], digits[byte & 15] };
        add_plain(text, shown, sizeof shown);
    }
}

/* Moves the first character of `pending` into the text. Returns how many bytes it had, 0 when it is
 * not yet whole. */
static size_t move_character(const struct screen *screen, struct text *text)
{
    const char *bytes = screen->pending;
    mbstate_t state = { 0 };
    wchar_t wide;

    if (*bytes == '\r' && screen->pending_count == 1)
        return 0;
    if (*bytes == '\r' && bytes[1] == '\n') {
        add_plain(text, "\n", 1);
        return 2;
    }
    size_t count = mbrtowc(&wide, bytes, screen->pending_count, &state);
    if (count == (size_t)-2)
        return 0;
    if (count == 0 || count == (size_t)-1) {
        add_escaped(text, bytes, 1);
        return 1;
    }
    if (iswprint((wint_t)wide) || *bytes == '\n' || *bytes == '\t')
        add_plain(text, bytes, count);
    else
        add_escaped(text, bytes, count);
    return count;
}

static void take_byte(struct screen *screen, char byte, struct text *text)
{
    size_t moved;

    screen->pending[screen->pending_count++] = byte;
    while (screen->pending_count && (moved = move_character(screen, text))) {
        screen->pending_count -= moved;
        memmove(screen->pending, screen->pending + moved, screen->pending_count);
    }
}

static int put(struct screen *screen, const struct text *text)
{
    if (text->size)
        screen->within_line = text->bytes[text->size - 1] != '\n';
    return write_all(text->bytes, text->size);
}

int screen_write(struct screen *screen, const char *bytes, size_t size)
{
    int result = 0;

    if (!screen->terminal)
        return write_all(bytes, size);
    while (size && !result) {
        struct text text = { .size = 0 };
        size_t count = size < CHUNK ? size : CHUNK;
        for (size_t i = 0; i < count; i++)
            take_byte(screen, bytes[i], &text);
        bytes += count;
        size -= count;
        result = put(screen, &text);
    }
    return result;
}

int screen_end(struct screen *screen)
{
    struct text text = { .size = 0 };

    add_escaped(&text, screen->pending, screen->pending_count);
    screen->pending_count = 0;
    if (screen->within_line || text.size)
        add_plain(&text, "\n", 1);
    return put(screen, &text);
}
