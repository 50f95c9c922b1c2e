#include <string.h>

#include "service/handlers.h"

void manners_delay(struct stream *stream, const struct manners *manners)
{
    if (manners->delay)
        stream_delay(stream, manners->delay);
}

/* Whether the message, without the line end that a person's terminal adds, is the word to quit. */
static bool says_quit(const unsigned char *message, size_t size, const char *quit)
{
    while (size > 0 && (message[size - 1] == '\n' || message[size - 1] == '\r'))
        size--;
    return quit && *quit && size == strlen(quit) && !memcmp(message, quit, size);
}

enum session_end message_serve(struct stream *stream, const struct manners *manners,
                               void (*answer)(unsigned char *bytes, size_t size))
{
    static unsigned char message[MESSAGE_MAX];
    size_t size;

    while ((size = stream_read(stream, message, sizeof message)) > 0) {
        if (says_quit(message, size, manners->quit))
            return SESSION_QUIT;
        if (answer)
            answer(message, size);
        manners_delay(stream, manners);
        if (!stream_write(stream, message, size))
            break;
        if (manners->once)
            return SESSION_COMPLETE;
    }
    return stream->end;
}
