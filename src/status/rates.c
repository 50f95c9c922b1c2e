/* The board's samples: what happened in the last minutes. */
#include "status/collect.h"

enum { MINUTE = 60 / BOARD_SAMPLE_SECONDS };

/* A number that went back is one that was set back: a name that is used again. */
static uint64_t grown(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

size_t status_steps(const struct board_service *service, uint32_t samples,
                    struct status_step out[BOARD_SAMPLES - 1])
{
    uint32_t count = samples < BOARD_SAMPLES ? samples : BOARD_SAMPLES;
    for (uint32_t i = 1; i < count; i++) {
        const struct board_sample *before =
            &service->samples[(samples - count + i - 1) % BOARD_SAMPLES];
        const struct board_sample *after = &service->samples[(samples - count + i) % BOARD_SAMPLES];
        out[i - 1] = (struct status_step){ .accepted = grown(before->accepted, after->accepted),
                                           .refused = grown(before->refused, after->refused),
                                           .bytes = grown(before->bytes, after->bytes),
                                           .live = after->live };
    }
    return count == 0 ? 0 : count - 1;
}

void status_measure(struct status_service *service, uint32_t samples)
{
    struct status_step steps[BOARD_SAMPLES - 1];
    size_t count = status_steps(&service->entry, samples, steps);
    size_t first = count > MINUTE ? count - MINUTE : 0;
    uint64_t seconds = (count - first) * BOARD_SAMPLE_SECONDS;

    for (size_t i = first; i < count; i++) {
        service->accepted_rate += 1000 * steps[i].accepted;
        service->refused_rate += 1000 * steps[i].refused;
        service->byte_rate += 1000 * steps[i].bytes;
    }
    if (seconds > 0) {
        service->accepted_rate /= seconds;
        service->refused_rate /= seconds;
        service->byte_rate /= seconds;
    }
}
