#include "sys/oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void change(int score, int least, int most)
{
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) > 0) {
        long now = strtol(text, NULL, 10);
        int length = snprintf(text, sizeof(text), "%d", score);
        if (now >= least && now <= most)
            (void)!pwrite(fd, text, (size_t)length, 0);
    }
    close(fd);
}

void oom_protect(int score)
{
    change(score, 0, 0);
}

void oom_offer(int score)
{
    change(score, -1000, score - 1);
}
