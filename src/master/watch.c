#include "master/state.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/log.h"
#include "sys/sandbox.h"

/* A master that did not run for so long cannot blame its listeners for having been silent. And of
 * one listener it takes so many records before it looks at the others. */
enum { OWN_PAUSE_MS = 5000, RECORDS_A_TURN = 256 };

static struct service_state *service_of(struct master *master, const struct generation *generation)
{
    return master->services[generation->service];
}

static void became_ready(struct master *master, struct generation *generation)
{
    struct service_state *service = service_of(master, generation);
    if (generation->state != GENERATION_STARTING)
        return;
    generation->state = GENERATION_READY;
    if (service->current == generation) {
        switches_hand_over(service, generation);
        generation_go(generation, report_wanted(master), services_own_sockets(master, generation));
        services_show(master, service);
        services_tell_wards(master, generation);
        if (service->backoff_ms != 0) /* else nobody died: it was drained, and is resumed */
            log_event(EVENT_LISTENER_RESTARTED, NULL, "service %s", service->name);
    }
}

static void heed(struct master *master, struct generation *generation, const struct record *record)
{
    if (record->kind == RECORD_READY) {
        report_gaps(master, generation, record->text);
        became_ready(master, generation);
    } else if (record->kind == RECORD_FAILED) {
        generation->failed = true;
        memcpy(generation->reason, record->text, sizeof(generation->reason));
    } else {
        if (record->kind == RECORD_SESSION_END) {
            generation->last_ended = record->pid;
            generation->last_end = (enum session_end)record->end;
            generation->told++;
        }
        report_record(master, generation, record);
    }
}

bool watch_receive(struct master *master, struct generation *generation)
{
    struct record record;
    int got = 1;
    for (int i = 0; i < RECORDS_A_TURN && got > 0; i++)
        if ((got = generation_receive(generation, &record)) > 0)
            heed(master, generation, &record);
    /* Of no version we know: nothing it says can be trusted. */
    if (got == -EPROTO && generation->state != GENERATION_DEAD)
        kill(generation->pid, SIGKILL);
    if (got < 0) /* its SIGCHLD follows */
        channel_close(&generation->channel);
    return got > 0;
}

/* How a listener died, in words. */
static void describe_death(const struct generation *generation, uint32_t denied,
                           const siginfo_t *info, struct failure *why)
{
    char call[64];
    if (generation->failed)
        failure_set(why, EX_OSERR, "%s", generation->reason);
    else if (denied != 0)
        failure_set(why, EX_SOFTWARE, "%s: %s", session_end_text(SESSION_SANDBOX),
                    sandbox_call(denied, call, sizeof(call)));
    else if (info->si_code == CLD_EXITED)
        failure_set(why, EX_OSERR, "exited with status %d", info->si_status);
    else
        failure_set(why, EX_OSERR, "killed by signal %d (%s)", info->si_status,
                    strsignal(info->si_status));
}

/* From now on the master writes this block. */
static void inherit_sessions(struct master *master, const struct generation *generation)
{
    unsigned int index = (unsigned int)(generation - master->generations);
    int64_t slot = -1;
    uint32_t live = 0;
    while ((slot = board_next(&master->board, index, slot)) >= 0)
        if (master->board.slot[slot].state == SLOT_LIVE)
            live++;
    atomic_store(&master->board.blocks[index].live, live);
}

/* Records that waited in the listener's memory died with it. */
static void count_untold(struct master *master, const struct generation *generation)
{
    struct board_block *block = &master->board.blocks[generation - master->generations];
    uint64_t known = generation->told + block->counts[COUNT_DROPPED] + block->counts[COUNT_QUIET];
    uint64_t ended = 0;
    if (block->pool != 0) /* workers have sent theirs, and count what they could not send */
        return;
    for (int i = 0; i < SESSION_END_COUNT; i++)
        ended += block->counts[COUNT_ENDED + i];
    if (ended > known)
        board_count(block, COUNT_DROPPED, ended - known);
}

static void replace(struct master *master, struct generation *generation, const struct failure *why)
{
    struct service_state *service = service_of(master, generation);
    struct log_details details = LOG_DETAILS_NONE;
    struct failure told;

    details.service = service->name;
    details.pid = generation->pid;
    if (service->next == generation && master->reload.conf != NULL) {
        failure_set(&told, why->status, "service %s: its listener could not start: %s",
                    service->name, why->text);
        reload_fail(master, &told);
        return;
    }
    log_event(EVENT_LISTENER_DIED, &details, "service %s: %s", service->name, why->text);
    if (service->current != generation)
        return;
    service->current = NULL;
    services_plan_restart(master, service, master->now_ms - generation->started_ms);
}

/* The slot of an orphaned session: by its number, or the one whose fork its listener did not
 * survive to write down. -1 when there is none. */
static int64_t find_slot(struct master *master, const struct generation *generation, pid_t pid)
{
    unsigned int index = (unsigned int)(generation - master->generations);
    int64_t slot = -1, nameless = -1;
    while ((slot = board_next(&master->board, index, slot)) >= 0) {
        const struct board_slot *row = &master->board.slot[slot];
        if (row->pid == pid)
            return slot;
        if (row->state == SLOT_FORKING)
            nameless = slot;
    }
    return nameless;
}

/* Rows say it too, but those the listener has written. */
static uint32_t block_of(const struct master *master, const struct generation *generation)
{
    return (uint32_t)(generation - master->generations);
}

/* Writes the end of a session that its own listener could not report. */
static void end_orphan(struct master *master, struct generation *generation, uint32_t slot,
                       struct record *record)
{
    uint64_t now_us = clock_us();
    struct board_row row;
    board_read(&master->board, slot, &row); /* or its listener was killed while it wrote there */
    row.block = block_of(master, generation);
    record->bytes_in = row.bytes_in;
    record->bytes_out = row.bytes_out;
    record->turns = row.turns;
    record->count = record->end == SESSION_SANDBOX ? row.denied : 0;
    record->duration_us = row.since_us > 0 ? now_us - row.since_us : 0;
    record_set_text(record, row.client);
    board_slot_end(&master->board, slot, &row, (enum session_end)record->end, now_us);
    if (board_row_is_session(&row))
        report_session_end(master, service_of(master, generation)->name, record);
}

/* Whether the operator asked to end the session in the slot. */
static bool was_killed(const struct master *master, int64_t slot)
{
    struct board_row row;
    return slot >= 0 && board_read(&master->board, (uint32_t)slot, &row) &&
           atomic_load(&master->board.slot[slot].killed) == row.turn;
}

static void orphan_ended(struct master *master, struct generation *generation,
                         const siginfo_t *info)
{
    int64_t slot = find_slot(master, generation, info->si_pid);
    enum session_end asked = master->kill_at_ms != 0    ? SESSION_STOPPED
                             : was_killed(master, slot) ? SESSION_KILLED
                                                        : SESSION_CRASHED;
    struct record record = {
        .kind = RECORD_SESSION_END,
        .pid = info->si_pid,
        .end = (uint16_t)session_end_of(info->si_code, info->si_status, asked),
        .signal = info->si_code == CLD_EXITED ? 0 : info->si_status,
    };
    if (slot >= 0)
        end_orphan(master, generation, (uint32_t)slot, &record);
}

/* A session that the listener had reaped when it died: told already, or never to be told. Its place
 * is free again, though others of the generation may go on for days. */
static void settle_reaped(struct master *master, struct generation *generation)
{
    unsigned int index = block_of(master, generation);
    int64_t slot = -1;
    while ((slot = board_next(&master->board, index, slot)) >= 0) {
        const struct board_slot *row = &master->board.slot[slot];
        struct board_row told;
        if (row->state != SLOT_LIVE || getpgid(row->pid) == generation->pid)
            continue;
        if (row->pid == generation->last_ended &&
            board_read(&master->board, (uint32_t)slot, &told)) {
            told.block = index;
            board_slot_end(&master->board, (uint32_t)slot, &told, generation->last_end, clock_us());
            continue;
        }
        struct record record = { .kind = RECORD_SESSION_END,
                                 .pid = row->pid,
                                 .end = SESSION_UNKNOWN };
        end_orphan(master, generation, (uint32_t)slot, &record);
    }
}

static void listener_died(struct master *master, struct generation *generation,
                          const siginfo_t *info)
{
    struct failure why;
    uint32_t denied = master->board.blocks[generation - master->generations].denied;
    /* Once the sessions were told to end, what is left is killed. */
    bool killed = info->si_code == CLD_KILLED && master->kill_at_ms != 0;
    bool expected = generation->state == GENERATION_DRAINING &&
                    (killed || (info->si_code == CLD_EXITED && info->si_status == 0));
    generation->state = GENERATION_DEAD;
    if (master->board.blocks[generation - master->generations].pool != 0)
        kill(-generation->pid,
             SIGTERM); /* without a keeper, workers end when they have no client */
    while (watch_receive(master, generation)) { /* what it said last */
    }
    channel_close(&generation->channel);
    inherit_sessions(master, generation);
    count_untold(master, generation);
    settle_reaped(master, generation);
    if (expected) {
        struct log_details details = LOG_DETAILS_NONE;
        details.service = service_of(master, generation)->name;
        details.pid = generation->pid;
        log_event(EVENT_LISTENER_ENDED, &details, "service %s [%d]", details.service,
                  generation->pid);
        return;
    }
    describe_death(generation, denied, info, &why);
    replace(master, generation, &why);
}

void watch_reap(struct master *master)
{
    for (int i = 0; i < BOARD_BLOCKS; i++) {
        struct generation *generation = &master->generations[i];
        siginfo_t info;
        int got;
        if (generation->state == GENERATION_NONE)
            continue;
        if (generation_has_died(generation, &info)) {
            listener_died(master, generation, &info);
            struct generation *heir = service_of(master, generation)->current;
            if (heir != NULL)
                services_tell_wards(master, heir);
        }
        if (generation->state != GENERATION_DEAD)
            continue;
        while ((got = generation_reap_orphan(generation, &info)) > 0)
            orphan_ended(master, generation, &info);
        if (got == -ECHILD)
            services_bury(master, generation);
    }
}

void watch_heartbeats(struct master *master)
{
    if (master->now_ms - master->last_turn_ms > OWN_PAUSE_MS)
        master->lenient_until_ms = master->now_ms + HEARTBEAT_LIMIT_MS;
    for (int i = 0; i < BOARD_BLOCKS; i++) {
        struct generation *generation = &master->generations[i];
        uint64_t beat = master->board.blocks[i].heartbeat_ms;
        if (generation->state == GENERATION_NONE || generation->state == GENERATION_DEAD ||
            generation->stuck)
            continue;
        if (beat < generation->started_ms)
            beat = generation->started_ms;
        if (master->now_ms < beat + HEARTBEAT_LIMIT_MS || master->now_ms < master->lenient_until_ms)
            continue;
        struct log_details details = LOG_DETAILS_NONE;
        details.service = service_of(master, generation)->name;
        details.pid = generation->pid;
        log_event(EVENT_LISTENER_STUCK, &details,
                  "service %s: no sign of life for %d s; it is replaced, its sessions go on",
                  details.service, HEARTBEAT_LIMIT_MS / 1000);
        kill(generation->pid, SIGKILL);
        generation->stuck = true;
    }
}

bool watch_all_fresh(const struct master *master)
{
    for (int i = 0; i < BOARD_BLOCKS; i++) {
        const struct generation *generation = &master->generations[i];
        uint64_t beat = master->board.blocks[i].heartbeat_ms;
        if (generation->state == GENERATION_SERVING &&
            master->now_ms > beat + UINT64_C(2) * HEARTBEAT_LIMIT_MS &&
            master->now_ms > master->lenient_until_ms)
            return false;
    }
    return true;
}
