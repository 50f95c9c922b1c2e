#include "listener/listener.h"

#include <string.h>

/* An episode is over when nothing happened for so long; one that never ends is told about again. */
enum { QUIET_REFUSED_MS = 10000, QUIET_THROTTLED_MS = 1000, LONGEST_MS = 300000 };

static void send_begin(struct listener *listener, enum board_cause cause,
                       const struct episode *episode, const char *client, int error)
{
    struct record record = { .kind = episode->refusing ? RECORD_REFUSED : RECORD_THROTTLE_BEGIN,
                             .cause = (uint16_t)cause,
                             .error = error };
    if (client != NULL)
        record_set_text(&record, client);
    channel_send(&listener->channel, &record, true);
}

static void send_end(struct listener *listener, enum board_cause cause,
                     const struct episode *episode)
{
    struct record record = { .kind = episode->refusing ? RECORD_REFUSED_END : RECORD_THROTTLE_END,
                             .cause = (uint16_t)cause,
                             .count = episode->count,
                             .duration_us = (episode->last_ms - episode->since_ms) * 1000 };
    channel_send(&listener->channel, &record, true);
}

void episode_note(struct listener *listener, enum board_cause cause, bool refusing,
                  const char *client, int error)
{
    struct episode *episode = &listener->episodes[cause];
    episode->last_ms = listener->now_ms;
    episode->count++;
    if (episode->since_ms != 0)
        return;
    episode->since_ms = listener->now_ms;
    episode->refusing = refusing;
    send_begin(listener, cause, episode, client, error);
}

/* A pause is no quiet: what is lacking is tried again at its end. */
static bool is_over(const struct episode *episode, uint64_t now_ms, uint64_t pause_ms)
{
    uint64_t quiet = episode->refusing ? QUIET_REFUSED_MS : QUIET_THROTTLED_MS + pause_ms;
    return now_ms - episode->last_ms >= quiet ||
           (episode->refusing && now_ms - episode->since_ms >= LONGEST_MS);
}

void episode_expire(struct listener *listener, bool all)
{
    for (unsigned int cause = 0; cause < CAUSE_COUNT; cause++) {
        struct episode *episode = &listener->episodes[cause];
        if (episode->since_ms == 0 ||
            (!all && !is_over(episode, listener->now_ms, listener->pause_ms)))
            continue;
        /* A single refusal was told in full when it happened. */
        if (!episode->refusing || episode->count > 1)
            send_end(listener, cause, episode);
        *episode = (struct episode){ 0 };
    }
}
