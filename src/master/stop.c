#include "master/state.h"

#include "base/text.h"
#include "log/log.h"

/* How long a socket that goes away may be emptied first, and what KILL gives TERM. */
enum { LAST_CALL_MS = 1000, KILL_AFTER_MS = 500 };

static void each_generation(struct master *master, void (*act)(struct generation *generation))
{
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE)
            act(&master->generations[i]);
}

/* Takes no more clients, and lets those that are there finish. */
static void stop_accepting(struct master *master, bool at_once)
{
    uint64_t grace = at_once || master->conf == NULL ? 0 : master->conf->daemon.graceful_timeout;

    reload_abandon(master);
    master_enter(master, LIFE_STOPS);
    master->drained_ms = 0;
    for (uint32_t i = 0; i < master->service_count; i++)
        master->services[i]->restart_at_ms = 0;
    master->end_at_ms = master->now_ms + grace;
    for (int i = 0; i < BOARD_BLOCKS && !at_once; i++)
        if (master->generations[i].state != GENERATION_NONE) {
            services_retire(master, &master->generations[i], LAST_CALL_MS);
            generation_stopping(&master->generations[i]);
        }
    /* The listeners hold copies until theirs are empty. */
    store_close(&master->store);
}

/* Whoever sends clients here is told by readyz, and gets drain_delay to hear it. */
static void drain(struct master *master)
{
    reload_abandon(master);
    master->drained_ms = master->now_ms + master->conf->daemon.drain_delay;
}

void stop_begin(struct master *master, bool at_once)
{
    bool delays = !at_once && master->life == LIFE_SERVES && master->conf->daemon.drain_delay > 0;
    if (master->life == LIFE_STOPS) {
        if (master->end_at_ms != 0)
            master->end_at_ms = master->now_ms;
        return;
    }
    if (master->life != LIFE_DRAINS) {
        upgrade_abandon(master);
        if (delays) /* whoever has read the line and asks readyz hears the same */
            master_enter(master, LIFE_DRAINS);
        systemd_stopping("stopping");
        uint32_t live = board_live_now(&master->board);
        log_event(EVENT_STOP, NULL, "%u session%s, %s", live, text_plural(live),
                  at_once  ? "ended at once"
                  : delays ? "which may finish; clients are taken for drain_delay"
                           : "which may finish");
    }
    if (delays)
        drain(master);
    else
        stop_accepting(master, at_once);
}

void stop_check(struct master *master)
{
    if (master->life == LIFE_DRAINS && master->now_ms >= master->drained_ms)
        stop_accepting(master, false);
    if (master->end_at_ms != 0 && master->now_ms >= master->end_at_ms) {
        each_generation(master, generation_end);
        master->end_at_ms = 0;
        master->kill_at_ms = master->now_ms + KILL_AFTER_MS;
    }
    if (master->kill_at_ms != 0 && master->now_ms >= master->kill_at_ms) {
        each_generation(master, generation_kill);
        master->kill_at_ms = master->now_ms + KILL_AFTER_MS;
    }
}

bool stop_is_done(const struct master *master)
{
    if (master->life != LIFE_STOPS)
        return false;
    for (int i = 0; i < BOARD_BLOCKS; i++)
        if (master->generations[i].state != GENERATION_NONE)
            return false;
    return true;
}
