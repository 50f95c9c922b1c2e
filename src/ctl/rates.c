#include "ctl/rates.h"

#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b)
{
    const struct document_session *const *first = a, *const *second = b;
    return strcmp((*first)->id, (*second)->id);
}

/* A count that went back is one that somebody wrote over. */
static double rate(uint64_t before, uint64_t now, double seconds)
{
    return seconds > 0 && now > before ? (double)(now - before) / seconds : 0;
}

static void measure(const struct document_session *before, struct document_session *now)
{
    double seconds = now->age_s - before->age_s;
    now->in_per_s = rate(before->bytes_in, now->bytes_in, seconds);
    now->out_per_s = rate(before->bytes_out, now->bytes_out, seconds);
}

void rates_measure(const struct document *before, struct document *now)
{
    size_t count = before->session_count;
    const struct document_session **sorted = calloc(count + 1, sizeof(*sorted));
    if (sorted == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &before->sessions[i];
    qsort(sorted, count, sizeof(*sorted), by_id);
    for (size_t i = 0; i < now->session_count; i++) {
        const struct document_session *session = &now->sessions[i];
        const struct document_session *const *found =
            bsearch(&session, sorted, count, sizeof(*sorted), by_id);
        if (found != NULL)
            measure(*found, &now->sessions[i]);
    }
    free(sorted);
}
