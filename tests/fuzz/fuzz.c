#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Standard error is closed later on, where what is tested writes to it. */
static int complaints = STDERR_FILENO;

__attribute__((constructor)) static void keep_complaints(void)
{
    complaints = dup(STDERR_FILENO);
}

void fuzz_fail(const char *what, const char *file, int line)
{
    dprintf(complaints, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

char *fuzz_text(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    if (size > 0)
        memcpy(text, bytes, size);
    text[size] = '\0';
    return text;
}

bool fuzz_cut(struct fuzz_part *rest, uint8_t end, struct fuzz_part *part)
{
    if (rest->size == 0)
        return false;
    const uint8_t *found = memchr(rest->bytes, end, rest->size);
    size_t taken = found == NULL ? rest->size : (size_t)(found - rest->bytes);
    *part = (struct fuzz_part){ rest->bytes, taken };
    taken += found != NULL;
    *rest = (struct fuzz_part){ rest->bytes + taken, rest->size - taken };
    return true;
}
