#include "status/words.h"

#include <string.h>

static const char *const lives[] = { [LIFE_STARTS] = "starting",
                                     [LIFE_SERVES] = "serving",
                                     [LIFE_DRAINS] = "draining",
                                     [LIFE_STOPS] = "stopping" };
static const char *const services[] = { [SERVICE_ABSENT] = "gone",
                                        [SERVICE_SERVING] = "serving",
                                        [SERVICE_PAUSED] = "paused",
                                        [SERVICE_DRAINED] = "drained",
                                        [SERVICE_BROKEN] = "broken" };
static const char *const levels[] = { "emerg",   "alert",  "crit", "err",
                                      "warning", "notice", "info", "debug" };
static const char *const ends[] = {
#define SESSION_END(name, status, text, error) [status] = #name,
    SESSION_ENDS(SESSION_END)
#undef SESSION_END
};

#define PICK(table, index) ((index) < sizeof(table) / sizeof(*(table)) ? (table)[index] : "unknown")

const char *word_of_life(uint32_t life)
{
    return PICK(lives, life);
}

const char *word_of_service(uint32_t state)
{
    return PICK(services, state);
}

const char *word_of_log_level(uint32_t level)
{
    return PICK(levels, level);
}

const char *word_of_row(const struct board_row *row)
{
    return board_activity_word(row->torn ? ACTIVITY_COUNT : (enum board_activity)row->activity);
}

void word_of_end(struct buffer *out, enum session_end end)
{
    for (const char *letter = ends[end]; *letter != '\0'; letter++) {
        char small = (char)(*letter >= 'A' && *letter <= 'Z' ? *letter - 'A' + 'a' : *letter);
        buffer_add(out, &small, 1);
    }
}
