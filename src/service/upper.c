/* Upper: a message comes back with the ASCII letters in capitals, and every other byte as it was.
 */
#include "service/handlers.h"

static void raise_letters(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] >= 'a' && bytes[i] <= 'z')
            bytes[i] = (unsigned char)(bytes[i] - 'a' + 'A');
}

enum session_end upper_serve(struct stream *stream, const struct manners *manners)
{
    return message_serve(stream, manners, raise_letters);
}
