/* Next: a message comes back with each byte one higher: A gives B, 255 gives 0. */
#include "service/handlers.h"

static void add_one(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i]++;
}

enum session_end next_serve(struct stream *stream, const struct manners *manners)
{
    return message_serve(stream, manners, add_one);
}
