/* The screen of `forkechoctl top`: screen.c has the keys, and draw.c what is drawn. */
#pragma once

#include "ctl/select.h"

struct top {
    struct document document; /* of the last look that brought one */
    const struct document_session **shown;
    size_t shown_count, cursor, first; /* the chosen row, and the first on the screen */
    const char *sort;
    bool reverse;
    char filter[64];
    bool failed; /* the last look; `message` says why */
    char message[512];
    enum { TOP_LIST, TOP_HELP, TOP_FILTER, TOP_CONFIRM } mode;
    char at[64]; /* the ID of the session that the cursor was put on; it goes where that goes */
    char chosen[64], chosen_client[64]; /* the session that is to be ended */
    bool quit, kill, look_now;
};

/* top.c: sorts and filters what there is. */
void top_arrange(struct top *top);

void screen_open(void);
/* Gives the terminal back as it was. */
void screen_close(void);
void screen_draw(struct top *top);
/* Does what the keys say that were pressed; waits for none. */
void screen_take_keys(struct top *top);
