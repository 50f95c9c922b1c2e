#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/signals.h"
#include "log/log.h"
#include "master/state.h"
#include "sys/daemonize.h"
#include "sys/oom.h"
#include "sys/pidfile.h"

enum { TURN_MS = 1000, HURRY_MS = 50, SLOTS_LEAST = 4096 };

static struct signals signals = { .fd = -1 };

int master_open_signals(struct failure *why)
{
    static const int wanted[] = { SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD };
    static const int ignored[] = { SIGPIPE };
    signals_ignore(ignored, sizeof(ignored) / sizeof(ignored[0]));
    int error = signals_open(&signals, wanted, sizeof(wanted) / sizeof(wanted[0]));
    return error < 0 ? failure_errno(why, EX_OSERR, -error, "cannot take signals") : 0;
}

/* All that a signal asks of the master. */
static void look_at_signals(struct master *master)
{
    int number;
    pid_t process;
    while ((number = signals_next(&signals, &process)) != 0) {
        switch (number) {
        case SIGCHLD:
            watch_reap(master);
            upgrade_reap(master);
            break;
        case SIGHUP:
            master->reload.wanted = true;
            break;
        case SIGUSR1:
            report_state(master);
            break;
        case SIGUSR2:
            master->upgrade.wanted = true;
            break;
        case SIGTERM:
            stop_begin(master, false);
            break;
        default: /* INT and QUIT */
            stop_begin(master, true);
            break;
        }
    }
}

void master_enter(struct master *master, enum board_life life)
{
    master->life = life;
    if (master->board.header != NULL)
        atomic_store(&master->board.header->life, life);
}

/* What readers of the board cannot know otherwise. */
void master_show(struct master *master)
{
    struct board_header *header = master->board.header;
    if (header == NULL)
        return;
    atomic_store(&header->log_dropped, master->log_dropped_before + log_dropped());
    atomic_store(&header->log_level, (uint32_t)report_log_level(master));
    atomic_store(&header->log_switched, master->log_switch >= 0);
    atomic_store(&header->reload_rejected, master->reload.rejected);
    if (master->now_ms < master->next_sample_ms)
        return;
    master->next_sample_ms = master->now_ms + UINT64_C(1000) * BOARD_SAMPLE_SECONDS;
    board_sample(&master->board);
}

static void each_second(struct master *master)
{
    if (log_waits())
        log_tick(master->now_ms);
    if (master->now_ms < master->next_second_ms)
        return;
    master->next_second_ms = master->now_ms + 1000;
    log_tick(master->now_ms);
    report_dropped(master);
    report_status(master);
    master_show(master);
    if (master->life == LIFE_STOPS || master->life == LIFE_DRAINS)
        systemd_extend(5000);
}

static void feed_watchdog(struct master *master)
{
    uint64_t period = systemd_watchdog_period();
    if (period == 0 || master->now_ms < master->next_watchdog_ms)
        return;
    master->next_watchdog_ms = master->now_ms + period;
    if (watch_all_fresh(master))
        systemd_watchdog();
}

static void look_at_clock(struct master *master)
{
    control_expire(master);
    audit_go_on(master);
    watch_heartbeats(master);
    services_restart_due(master);
    reload_check(master);
    control_go_on(master);
    upgrade_check(master);
    uint64_t due_ms = reload_due(master);
    if (due_ms != 0 && master->now_ms >= due_ms)
        reload_begin(master);
    stop_check(master);
    each_second(master);
}

static int time_to_wait(const struct master *master)
{
    uint64_t now = master->now_ms;
    bool hurry = log_waits() || control_is_waiting(master);
    int wait = clock_until(now, master->next_second_ms, hurry ? HURRY_MS : TURN_MS);
    wait = clock_until(now, master->end_at_ms, wait);
    wait = clock_until(now, master->kill_at_ms, wait);
    wait = clock_until(now, reload_due(master), wait);
    wait = clock_until(now, audit_due(master), wait);
    wait = clock_until(now, master->drained_ms, wait);
    wait = clock_until(now, upgrade_due(master), wait);
    if (systemd_watchdog_period() != 0)
        wait = clock_until(now, master->next_watchdog_ms, wait);
    for (uint32_t i = 0; i < master->service_count; i++)
        if (!master->services[i]->changes) /* else it waits for the reload */
            wait = clock_until(now, master->services[i]->restart_at_ms, wait);
    return wait;
}

enum { SET_MAX = BOARD_BLOCKS + 1 + 1 + CONTROL_CLIENTS_MAX };

/* Listeners first, then signals, then the control socket and its clients. No more entries than it
 * takes: poll(2) refuses a set that is larger than RLIMIT_NOFILE. */
struct poll_set {
    struct pollfd fds[SET_MAX];
    struct generation *speakers[BOARD_BLOCKS];
    size_t speaking, count;
};

static void collect(struct master *master, struct poll_set *set)
{
    set->speaking = 0;
    for (int i = 0; i < BOARD_BLOCKS; i++) {
        struct generation *generation = &master->generations[i];
        const struct channel *channel = &generation->channel;
        if (generation->state == GENERATION_NONE || channel->fd < 0)
            continue;
        set->fds[set->speaking] =
            (struct pollfd){ .fd = channel->fd,
                             .events = channel->queued > 0 ? POLLIN | POLLOUT : POLLIN };
        set->speakers[set->speaking++] = generation;
    }
    set->count = set->speaking;
    set->fds[set->count++] = (struct pollfd){ .fd = signals.fd, .events = POLLIN };
    set->count += control_collect(master, set->fds + set->count);
}

static void wait_and_serve(struct master *master)
{
    struct poll_set set;
    collect(master, &set);
    int ready = poll(set.fds, set.count, time_to_wait(master));

    master->now_ms = clock_ms();
    if (ready <= 0)
        return;
    for (size_t i = 0; i < set.speaking; i++) {
        if (set.fds[i].revents & POLLOUT)
            channel_flush(&set.speakers[i]->channel);
        if (set.fds[i].revents & (POLLIN | POLLHUP | POLLERR))
            watch_receive(master, set.speakers[i]);
    }
    if (set.fds[set.speaking].revents != 0)
        look_at_signals(master);
    size_t control = set.speaking + 1;
    control_dispatch(master, set.fds + control, set.count - control);
}

static void loop(struct master *master)
{
    while (!stop_is_done(master)) {
        report_titles(master);
        wait_and_serve(master);
        look_at_clock(master);
        feed_watchdog(master);
        master->last_turn_ms = master->now_ms;
    }
}

static int open_program(struct master *master, struct failure *why)
{
    const char *path = secure_getenv("FORKECHOD_LISTENER");
    if (path == NULL)
        path = LIBEXECDIR "/listener";
    master->seed.program = open(path, O_PATH | O_CLOEXEC);
    if (master->seed.program < 0)
        return failure_errno(why, EX_OSERR, errno, "cannot open the listener program %s", path);
    return 0;
}

static int make_board(struct master *master, struct failure *why)
{
    uint64_t slots = master->start->conf->daemon.max_sessions;
    if (slots == 0) {
        for (size_t i = 0; i < master->start->conf->count; i++)
            slots += 2 * (uint64_t)master->start->conf->services[i]->instances;
        if (slots < SLOTS_LEAST)
            slots = SLOTS_LEAST;
    }
    if (board_create(&master->board, (uint32_t)slots, why) < 0)
        return -1;
    struct board_header *header = master->board.header;
    atomic_store(&header->master, getpid());
    atomic_store(&header->started_s, (uint64_t)time(NULL));
    atomic_store(&header->started_us, clock_us());
    snprintf(header->program, sizeof(header->program), "%s", VERSION);
    return 0;
}

/* What a start and an upgrade have in common. */
static int set_up_process(struct master *master, struct failure *why)
{
    master->seed.board = &master->board;
    master->seed.store = &master->store;
    upgrade_init(master);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return failure_errno(why, EX_OSERR, errno, "cannot become the reaper of sessions");
    return open_program(master, why);
}

/* In place of another program. */
static int take_over(struct master *master, struct failure *why)
{
    const struct heritage *heritage = master->start->heritage;

    master->conf = master->start->conf;
    if (succession_take(master, heritage, why) < 0 || privilege_limit_master(why) < 0)
        return -1;
    report_open_log(master, master->conf); /* again: now it is known what was switched */
    upgrade_arrived(master, heritage);
    return 0;
}

/* Everything that a start takes, in the order in which it is taken. */
static int set_up(struct master *master, struct failure *why)
{
    const struct conf_daemon *daemon = &master->start->conf->daemon;

    memcpy(master->user, daemon->user, sizeof(master->user));
    memcpy(master->pid_path, daemon->pid_file, sizeof(daemon->pid_file));
    if (privilege_find(daemon->user, daemon->group, DAEMON_USER, &master->identity, why) < 0 ||
        make_board(master, why) < 0)
        return -1;
    if (daemon->pid_file[0] != '\0' && (master->pid_file = pidfile_open(daemon->pid_file, why)) < 0)
        return -1;
    if (control_open(master, daemon->control_socket, why) < 0)
        return -1;
    store_open(&master->store, master->start->passed, (size_t)master->start->passed_count);
    oom_protect(OOM_MASTER); /* a right that goes with the next step */
    if (privilege_limit_master(why) < 0)
        return -1;
    return reload_start(master, master->start->conf, why);
}

int master_run(const struct master_start *start)
{
    static struct master master;
    struct failure why;

    master =
        (struct master){ .start = start, .signals = signals.fd, .pid_file = -1, .log_switch = -1 };
    control_init(&master);
    if (start->heritage == NULL)
        master.reload.conf = start->conf;
    master.reload.remarks = start->remarks;
    master.now_ms = master.last_turn_ms = clock_ms();
    report_open_log(&master, start->conf);
    if (set_up_process(&master, &why) < 0 ||
        (start->heritage == NULL ? set_up(&master, &why) : take_over(&master, &why)) < 0)
        reload_fail(&master, &why);
    loop(&master);

    report_dropped(&master);
    log_event(EVENT_STOPPED, NULL, "status %d", master.status);
    control_close(&master);
    audit_end(&master);
    int error = pidfile_close(master.pid_path, master.pid_file);
    if (error < 0)
        log_event(EVENT_SYSTEM, NULL, "cannot remove %s: %s", master.pid_path, strerror(-error));
    services_forget(&master);
    conf_free(master.conf);
    conf_mistakes_free(&master.reload.remarks);
    board_destroy(&master.board);
    close(master.seed.program);
    log_close();
    return master.status;
}
